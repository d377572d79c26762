"""Whom to compare with whom: accounts and pools that stand out alike lie side by side.

Comparing all pairs costs the square of their number. An odd account stands out in a few signals, on one side each, and
the accounts of its ring stand out there too, about as far. So each is filed under its strongest (signal, side) and the
pairs of these, in the order of how far it stands out, and is compared with its neighbours alone. What is found depends
on what is filed, never on when it was.
"""

from __future__ import annotations

from bisect import bisect_left, insort
from math import log
from typing import NamedTuple

import numba
import numpy as np

from detector.entities import BINS
from detector.evidence.law import Law
from detector.rings.likelihood import Counts

STRONGEST = 3  # (signal, side) that are drawers, and all pairs of these
GRAIN = 1000  # steps of strength in a nat a query


class Signature(NamedTuple):
    """The drawers that something is filed in, and its place in each: nats a query that it stands out by, in steps."""

    drawers: tuple[int, ...]
    strength: int


def signature(counts: Counts, law: Law) -> Signature:
    """Of counts (F, BINS)."""
    sides, nats = np.zeros(len(counts), np.int64), np.zeros(len(counts))
    _stand_out(counts, law.shares, law.active, sides, nats)
    order = np.argsort(-nats, kind="stable")[:STRONGEST].tolist()
    places = sorted(2 * f + int(sides[f]) for f in order)
    width = 2 * len(counts)
    drawers = tuple(a * width + b for i, a in enumerate(places) for b in places[i:])  # each with itself, too
    return Signature(drawers, round(GRAIN * float(nats[order].sum())))


class Index:
    """Numbers (of accounts or pools) with a key each, filed by signature."""

    def __init__(self) -> None:
        self._drawers: dict[int, list[tuple[int, bytes, int]]] = {}
        self._filed: dict[int, tuple[Signature, bytes]] = {}

    def __len__(self) -> int:
        return len(self._filed)

    def file(self, number: int, key: bytes, under: Signature) -> None:
        """Files it, or files it anew."""
        if self._filed.get(number) == (under, key):
            return
        self.drop(number)
        self._filed[number] = under, key
        for drawer in under.drawers:
            insort(self._drawers.setdefault(drawer, []), (under.strength, key, number))

    def drop(self, number: int) -> None:
        filed = self._filed.pop(number, None)
        if filed is None:
            return
        under, key = filed
        for drawer in under.drawers:
            found = self._drawers[drawer]
            del found[bisect_left(found, (under.strength, key, number))]

    def near(self, under: Signature, most: int) -> list[int]:
        """Who stands out alike, at most so many from each drawer, in the order of keys; all where there are no more."""
        seen: dict[int, bytes] = {}
        if len(self._filed) <= most:
            seen = {number: key for number, (_, key) in self._filed.items()}
            return sorted(seen, key=seen.__getitem__)
        for drawer in under.drawers:
            found = self._drawers.get(drawer, [])
            start = max(min(bisect_left(found, (under.strength, b"", 0)) - most // 2, len(found) - most), 0)
            seen.update((number, key) for _, key, number in found[start : start + most])
        return sorted(seen, key=seen.__getitem__)


@numba.njit(cache=True)
def _stand_out(counts, honest, active, sides, nats):  # type: ignore[no-untyped-def]
    """Of each signal, the one cut of its bins that says most: on which side the excess lies (0 low, 1 high), and how
    many nats a query it is worth (Kullback and Leibler 1951).
    """
    for f in range(counts.shape[0]):
        total = counts[f].sum()
        if total == 0 or not active[f]:
            continue
        n, p = 0.0, 0.0
        for b in range(BINS - 1):
            n += counts[f, b]
            p += honest[f, b]
            mine = (n + p) / (total + 1.0)  # one honest query is added, so that few queries say little
            gain = mine * log(mine / p) + (1.0 - mine) * log((1.0 - mine) / (1.0 - p))
            if gain > nats[f]:
                nats[f], sides[f] = gain, 0 if mine > p else 1
