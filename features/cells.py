"""The input space in 64 cells around the training data, and how much of the training data each of them holds."""

from __future__ import annotations

from typing import Any

import numba
import numpy as np
from numpy.typing import NDArray
from sklearn.cluster import MiniBatchKMeans
from threadpoolctl import threadpool_limits

from features.contract import DIMS, Reference

CELLS = 64


def learn(reference: Reference) -> dict[str, NDArray[Any]]:
    """cells: centres (DIMS, m) int16, m <= CELLS; mass: share of the training data in each (m,), never 0."""
    centres = clustered(reference, CELLS)
    held = np.bincount(cells_of(reference.x, centres), minlength=centres.shape[1]) + 0.5
    return {"cells": centres, "mass": held / held.sum()}


def clustered(reference: Reference, most: int) -> NDArray[np.int16]:
    """The centres of `most` clusters (all points where there are fewer), (DIMS, m) int16."""
    points = np.unique(reference.x, axis=0)
    if len(points) > most:
        sample = reference.x.astype(np.float64)
        clusters = MiniBatchKMeans(most, random_state=reference.seed, n_init=1, batch_size=4096)
        with threadpool_limits(1):  # a busy machine's threads wait for each other, five times as long as they work
            points = np.unique(np.rint(clusters.fit(sample).cluster_centers_).astype(np.int16), axis=0)
    return np.ascontiguousarray(points.T)


def cells_of(x: NDArray[np.int16], centres: NDArray[np.int16]) -> NDArray[np.uint8]:
    """x (n, DIMS) -> the nearest centre of each (n,); of equal ones the first."""
    found = np.empty(len(x), np.uint8)
    _nearest_cell(x, centres, found)
    return found


@numba.njit(cache=True)
def _nearest_cell(x, centres, found):  # type: ignore[no-untyped-def]
    squared = np.empty(centres.shape[1], np.uint32)
    for i in range(x.shape[0]):
        distances(x[i], centres, squared)
        found[i] = np.argmin(squared)


@numba.njit(cache=True, forceinline=True)
def distances(point, centres, squared):  # type: ignore[no-untyped-def]
    """Fills squared (m,) with the squared distance of a point (DIMS,) to each centre."""
    squared[:] = 0
    for d in range(DIMS):  # centres lie along the inner loop, where the processor can take many at once
        at = np.int32(point[d])
        for j in range(squared.size):
            apart = at - np.int32(centres[d, j])
            squared[j] += np.uint32(apart * apart)


@numba.njit(cache=True)
def nearest(x, centres, found):  # type: ignore[no-untyped-def]
    """The first column of found (n, ...): how far each of x (n, DIMS) lies from the nearest of centres (DIMS, m)."""
    squared = np.empty(centres.shape[1], np.uint32)
    for i in range(x.shape[0]):
        distances(x[i], centres, squared)
        found[i, 0] = np.sqrt(np.float64(squared.min()))
