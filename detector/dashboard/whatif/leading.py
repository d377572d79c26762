"""Which reason leads an alert on a point: by it openings are counted together (detector.storm.signal_of).

It is what detector.reasons puts first, for many points at once (tests/dashboard/test_weather.py holds them together).
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import chain
from typing import Any, NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray

from detector.alert import NAMED, Kind
from detector.evidence.naming import speaker
from detector.exposure.known import MEASURES
from detector.query import I64
from detector.reasons import ALONE, BY_A_MACHINE, CLASS, SWEEP, USUAL, WEAK_DB
from detector.storm import NO_SIGNAL
from detector.tape import Exposed
from features.contract import Signal

LEAST_EVIDENCE = round(100 * WEAK_DB)  # hundredths of a deciban
NEVER = -(2**31)  # of what is no reason


class Weighed(Protocol):
    """What reasons see of a point."""

    @property
    def kind(self) -> str: ...
    @property
    def of_class(self) -> str: ...
    @property
    def evidence(self) -> tuple[int, ...]: ...
    @property
    def odds(self) -> tuple[int, ...]: ...
    @property
    def exposed(self) -> Exposed | None: ...
    @property
    def sequence(self) -> int: ...


class Leads(NamedTuple):
    """Of points: the place of the leading reason in `names`, and which kinds of attack have a reason of their own that
    leads the alerts which are called so (a bit each, of NAMED).
    """

    first: NDArray[np.uint8]
    own: NDArray[np.uint8]


class Leading:
    """Of a kit's signals. names: of all reasons that can lead; the last is that of no reason."""

    def __init__(self, signals: Sequence[Signal]) -> None:
        self.names = (*(signal.name for signal in signals), *MEASURES, SWEEP, CLASS, NO_SIGNAL)
        self._most = np.array([2**30 if signal.alone else ALONE for signal in signals], np.int64)
        self._machine = [f for f, signal in enumerate(signals) if signal.name in BY_A_MACHINE]
        self._own = [speaker(kind, signals) for kind in NAMED]

    def of(self, points: Sequence[Weighed]) -> Leads:
        count, width = len(points), len(self._most)
        evidence, known = _padded([point.evidence for point in points], width)
        odds, told = _padded([point.odds or point.evidence for point in points], width)
        named, _ = _padded([point.odds for point in points], width)
        said = np.full((count, len(self.names)), NEVER, np.int64)
        reason = known & told & (evidence >= LEAST_EVIDENCE) & (odds >= USUAL)
        said[:, :width] = np.where(reason, np.minimum(odds, self._most), NEVER)
        leaked = [point.exposed.odds if point.exposed is not None else () for point in points]
        exposed, _ = _padded(leaked, len(MEASURES))
        said[:, width : width + len(MEASURES)] = np.where(exposed >= USUAL, exposed, NEVER)
        sequence = np.array([point.sequence for point in points], np.int64)
        said[:, width + len(MEASURES)] = np.where(sequence >= USUAL, sequence, NEVER)
        people = np.array([point.kind == "client" and not point.of_class for point in points], np.bool_)
        machine = (named[:, self._machine] >= ALONE).any(axis=1)
        said[:, -2] = np.where(people & machine, NEVER + 1, NEVER)  # it stands behind all others
        said[:, -1] = np.where(people & machine, NEVER, NEVER + 1)
        own = np.zeros(count, np.uint8)
        for bit, place in enumerate(self._own):
            if place is not None:
                own |= ((named[:, place] >= USUAL) << bit).astype(np.uint8)
        return Leads(said.argmax(axis=1).astype(np.uint8), own)

    def leads(self, first: NDArray[np.uint8], own: NDArray[np.uint8], kind: Kind, *, opens: bool) -> I64:
        """The places of what leads the alerts on points that are called `kind`; opens: that open a case."""
        found = first.astype(np.int64)
        if not opens:  # only an opening proposes a class
            found[found == len(self.names) - 2] = len(self.names) - 1
        place = self._own[NAMED.index(kind)] if kind in NAMED else None
        if place is not None:
            found[(own >> NAMED.index(kind)) & 1 == 1] = place
        return found


def _padded(rows: Sequence[tuple[int, ...]], width: int) -> tuple[NDArray[Any], NDArray[np.bool_]]:
    """(n, width) with zeros where a row is shorter, and where it is not."""
    lengths = np.array([len(row) for row in rows], np.int64)
    found = np.zeros((len(rows), width), np.int64)
    for length in np.unique(lengths).tolist():
        mine = np.flatnonzero(lengths == length)
        if length:
            numbers = chain.from_iterable(rows if len(mine) == len(rows) else (rows[i] for i in mine.tolist()))
            part = np.fromiter(numbers, np.int64, length * len(mine)).reshape(len(mine), length)
            found[mine, : min(length, width)] = part[:, :width]
    return found, np.arange(width) < lengths[:, None]
