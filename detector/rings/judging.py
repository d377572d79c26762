"""A ring as one entity: is it odd, and is it one hand? Only this may accuse.

    odd       the channels of clients on the members' counts together, on a scale of their own: what honest accounts
              that are thrown together show. Without `turn`: counts of members have no order
    one hand  log KT(sum of counts) - sum over members of L(counts): how much likelier one law of whatever kind for all
              is than an honest law for each; on a scale learned from honest accounts that were linked

The score is the lesser of the two. A class with one assignment is one hand, and together asks like one honest client
who asks more; honest accounts with the same rare habit are odd together, and each in its own way. Who copies a model
through many accounts is both: what is a little odd in twenty queries is plain in a thousand.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import msgspec
import numba
import numpy as np
from numpy.typing import NDArray

from detector.entities import BINS
from detector.evidence import sums
from detector.evidence.law import CHANNELS, REACHES, TURN, Law
from detector.evidence.polya import doubled_of, laid, longest_of, reach, score_of, standard, strongest
from detector.evidence.sums import find_all, half_sum, refresh
from detector.evidence.telling import Permille, telling
from detector.rings.likelihood import Counts
from detector.tape import level_of

FEWEST = 4  # accounts, below which a ring is not judged


class Together(msgspec.Struct, frozen=True):
    """How far honest accounts that were linked go, nats (calibration.Scale)."""

    centre: float
    knee: float
    spread: float
    shape: float


class Verdict(NamedTuple):
    """level: grid level of the score; together: nats for one hand; nats (1, 2, F): see polya.strongest; shares and
    tails (1, F): see telling.
    """

    level: int
    together: float
    nats: NDArray[np.float64]
    shares: Permille
    tails: Permille


class Judging:
    """Judges rings by the law that was learned of them."""

    def __init__(self, law: Law) -> None:
        self._law = law
        self._line, self._desk = sums.lines(len(law.active), 1), sums.desk(len(law.active))
        laid(self._desk[0], law)
        self._row = np.zeros(1, _pooled(len(law.active)))

    def verdict(self, counts: Counts, apart: float, scale: Together) -> Verdict:
        """Of the members' counts together (F, BINS); apart: the likelihoods of each member's own, summed."""
        nats = np.zeros((1, 2, len(counts)))
        odd = float(_odd(self._filled(counts), self._line[0], self._law, self._desk[0], nats[0]))
        together = self.together(counts, apart)
        one_hand = -np.inf
        if together > scale.centre:
            one_hand = float(standard(together, scale.centre, scale.knee, scale.spread, scale.shape))
        return Verdict(level_of(min(odd, one_hand)), together, nats, *telling(counts[None], self._law))

    def together(self, counts: Counts, apart: float) -> float:
        """Nats for one hand."""
        return float(_one_law(self._filled(counts), self._line[0], self._law.tables[0])) - apart

    def raise_suprema(self, counts: Counts, highest: NDArray[np.float64]) -> None:
        """Raises highest (REACHES, F, CHANNELS) to the evidence of these counts: what the scale is learned from."""
        _raise(self._filled(counts), self._line[0], self._law.tables[0], self._desk[0], highest)

    def _filled(self, counts: Counts) -> Any:
        self._row["counts"][0, 0] = counts
        return self._row[0]


def no_suprema(rings: int, law: Law) -> NDArray[np.float64]:
    return np.full((rings, REACHES, len(law.active), CHANNELS), -np.inf)


def _pooled(signals: int) -> np.dtype[Any]:
    """As a client's row to `refresh`, with room for the queries of many."""
    return np.dtype([("counts", "<i8", (2, signals, BINS)), ("before", "<i8", (signals, BINS))])


@numba.njit(cache=True)
def _odd(row, line, law, desk, nats):  # type: ignore[no-untyped-def]
    _find(row, line, law.tables[0], desk)
    doubled = doubled_of(longest_of(line))
    strongest(desk, doubled, nats)
    return score_of(desk, law.slope, doubled)


@numba.njit(cache=True)
def _find(row, line, tables, desk):  # type: ignore[no-untyped-def]
    """The evidence of each signal in each channel; a ring has no past to turn from."""
    refresh(row, line, tables)
    find_all(line, tables, desk)
    desk.found[:, TURN] = np.nan


@numba.njit(cache=True)
def _one_law(row, line, tables):  # type: ignore[no-untyped-def]
    refresh(row, line, tables)
    likely = 0.0
    for f in range(tables.active.size):
        if tables.active[f] and line.total[f] > 0:
            likely += line.half[f] - half_sum(tables, f, line.total[f])
    return likely


@numba.njit(cache=True)
def _raise(row, line, tables, desk, highest):  # type: ignore[no-untyped-def]
    _find(row, line, tables, desk)
    known = highest[reach(longest_of(line))]
    for f in range(known.shape[0]):
        for c in range(CHANNELS):
            if desk.found[f, c] > known[f, c]:
                known[f, c] = desk.found[f, c]
