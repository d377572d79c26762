"""Queries that count and are not weighed (no answer came, another version answered), and those of clients of another
class, in order among the rest.

A client's state depends on the order of its own queries alone. So a batch is taken in rounds: of each client the
queries up to the first that another level takes, then of each the ones up to the next change, and so on.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from detector.evidence.kernels import ADMITTED, NO_BIN
from detector.levels import PART, ClientLevel, Naming, Weighed
from detector.query import Batch

WATCHED = -1  # the place of the last level, which has no law: its queries are `kept` with no bins


def advance(levels: Sequence[ClientLevel], batch: Batch, naming: Naming, places: NDArray[np.int64]) -> list[Weighed]:
    """What `advance` of the first level gives, but that query i goes to `levels[places[i]]`, all over the same rows."""
    if not places.any():
        return levels[0].advance(batch, naming)
    found = []
    for start in range(0, len(batch), PART):
        s = slice(start, start + PART)
        names = Naming(naming.query_ids[s], naming.clients[s])
        found.append(_part(levels, batch.part(start, start + PART), names, places[s]))
    return found


def _part(levels: Sequence[ClientLevel], batch: Batch, naming: Naming, places: NDArray[np.int64]) -> Weighed:
    n = len(batch)
    status, clock, reached = np.zeros(n, np.uint8), np.zeros(n, np.int64), np.zeros(n, np.int32)
    bins = np.full((n, len(levels[0].kit.signals)), NO_BIN, np.uint8)
    points, looks = [], []
    rounds = rounds_of(batch.slots, places)
    for number, place in sorted(set(zip(rounds.tolist(), places.tolist(), strict=True))):
        rows = np.flatnonzero((rounds == number) & (places == place))
        names = Naming([naming.query_ids[i] for i in rows.tolist()], [naming.clients[i] for i in rows.tolist()])
        (part,) = levels[place].advance(batch.taken(rows), names)
        kept = rows[part.kept]
        status[rows], clock[kept], reached[kept] = part.status, part.clock, part.levels
        if place != WATCHED:
            bins[kept] = part.bins
        points += [(int(rows[i]), point) for i, point in part.points]
        looks += [look._replace(place=int(rows[look.place])) for look in part.looks]
    points.sort(key=lambda found: (found[0], found[1].budget))
    kept = np.flatnonzero(status == ADMITTED)
    return Weighed(status, kept, clock[kept], bins[kept], reached[kept], points, looks)


def rounds_of(slots: NDArray[np.int64], places: NDArray[np.int64]) -> NDArray[np.int64]:
    """In which round each query is taken: how often its client's queries changed their level before it.

    >>> rounds_of(np.array([1, 2, 1, 1, 2]), np.array([0, -1, -1, 0, -1])).tolist()
    [0, 0, 1, 2, 0]
    """
    order = np.argsort(slots, kind="stable")
    mine, where = slots[order], places[order]
    first = np.append(True, mine[1:] != mine[:-1])
    total = np.cumsum(~first & np.append(False, where[1:] != where[:-1]))
    starts = np.flatnonzero(first)
    rounds = np.empty(len(slots), np.int64)
    rounds[order] = total - np.repeat(total[starts], np.diff(np.append(starts, len(slots))))
    return rounds
