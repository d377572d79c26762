"""Exposure beside the signals of a batch: the columns that are weighed, and what a point of the tape tells of them."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from detector.exposure import student
from detector.exposure.known import MEASURES, Known
from detector.query import Batch
from detector.tape import Exposed


class Exposing(NamedTuple):
    """told (n, student.TOLD) float32 and stepped (n,) bool, see student.judge."""

    told: NDArray[np.float32]
    stepped: NDArray[np.bool_]

    def part(self, of: slice) -> Exposing:
        return Exposing(self.told[of], self.stepped[of])


def unexposed(n: int) -> Exposing:
    """Where nothing is known of exposure."""
    return Exposing(np.zeros((n, student.TOLD), np.float32), np.zeros(n, np.bool_))


def taught(batch: Batch, known: Known, rows: NDArray[Any]) -> NDArray[np.float64]:
    """What the looks of a batch found, (n, M + 2) as student.teach gives it. Updates the rows."""
    found = np.empty((len(batch), len(MEASURES) + 2))
    student.teach(batch.slots, batch.x, batch.labels, batch.odd, known, rows, found)
    return found


def said(slots: NDArray[np.int64], found: NDArray[np.float64], known: Known, rows: NDArray[Any]) -> Exposing:
    """What is said of looks, from rows that were told what was before. Updates the rows."""
    leaked = unexposed(len(slots))
    student.judge(slots, found, known, rows, *leaked)
    return leaked


def standing(batch: Batch, known: Known | None, rows: NDArray[Any]) -> Exposing:
    """How the entities of a batch stand after each of its queries."""
    if known is None:
        return unexposed(len(batch))
    return said(batch.slots, taught(batch, known, rows), known, rows)


def exposed(told: NDArray[np.float32]) -> list[Exposed | None]:
    """Rows of `Exposing.told` (m, TOLD), for the tape; None before the first look."""
    odds = np.rint(told[:, : len(MEASURES)] * 100).astype(np.int64).tolist()
    queries, equals = (told[:, column].astype(np.int64).tolist() for column in (student.SEEN, student.EQUALS))
    clone = np.rint(told[:, student.CLONE] * 1000).astype(np.int64).tolist()
    each = zip(odds, queries, clone, equals, strict=True)
    return [Exposed(tuple(o), q, c, e) if q else None for o, q, c, e in each]
