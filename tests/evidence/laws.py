"""Honest laws made up for these tests: one signal in use, the others off, in production's row layout."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from detector.entities import BINS
from detector.evidence import law, sums
from detector.evidence.law import CHANNELS, KINDS, Law
from detector.profile import nulls
from features import NUMBERS
from features.contract import STAGES, Rows
from tests.layouts import CLIENT_ROW

F = len(NUMBERS.signals)
HONEST = (
    40.0 * np.array([1, 2, 4, 8, 20, 60, 120, 125, 125, 120, 60, 20, 8, 4, 2, 1]) / 680
)  # alpha of a typical signal


def made(alphas: Sequence[Sequence[float]] | NDArray[np.float64], weights: Sequence[float] = ()) -> Law:
    """The law whose first signal is a mixture of these Pólya laws (equal weights where none are given)."""
    alpha = np.ones((F, KINDS, BINS))
    weight = np.full((F, KINDS), 1.0 / KINDS)
    equal = np.full(len(alphas), 1.0 / len(alphas))
    weight[0], alpha[0] = nulls.padded(np.array(weights) if weights else equal, np.array(alphas, np.float64))
    mean = (weight[:, :, None] * alpha / alpha.sum(2, keepdims=True)).sum(1)
    edges = np.full((F, STAGES, BINS - 1), np.arange(BINS - 1.0))
    flat, ones = np.zeros((F, CHANNELS)), np.ones((F, CHANNELS))
    return law.make(
        np.arange(F) == 0, edges, weight, alpha, mean, flat, flat, ones, ones, ones, np.full(F, np.inf), 0.0
    )


def blank(entities: int = 1) -> Rows:
    return np.zeros(entities, CLIENT_ROW)


def evidence_of(counts: NDArray[np.int64], known: Law, before: NDArray[np.int64] | None = None) -> NDArray[np.float64]:
    """All channels of the first signal, nats."""
    rows, line = blank(), sums.lines(F, 1)
    rows["counts"][0, 0, 0] = counts
    if before is not None:
        rows["before"][0, 0] = before
    sums.refresh(rows[0], line[0], known.tables[0])
    assert line["total"][0, 0] == counts.sum()
    desk = sums.desk(F)
    sums.find_all(line[0], known.tables[0], desk[0])
    return np.asarray(desk["found"][0, 0])


def counts_of(bins: Sequence[int] | NDArray[np.int64]) -> NDArray[np.int64]:
    return np.bincount(np.asarray(bins, np.int64), minlength=BINS)


def polya_bins(rng: np.random.Generator, alpha: NDArray[np.float64], clients: int, queries: int) -> NDArray[np.int64]:
    """(clients, queries): each client has shares of its own, drawn from the Dirichlet law."""
    shares = rng.dirichlet(alpha, clients)
    found: NDArray[np.int64] = (rng.random((clients, queries, 1)) > shares.cumsum(1)[:, None, :]).sum(2)
    return found.clip(0, BINS - 1)
