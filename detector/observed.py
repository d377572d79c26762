"""Queries that count and are not weighed (no answer came, another version answered), in order among those that are.

A client's state depends on the order of its own queries alone. So a batch is taken in rounds: of each client the
queries up to the first that is of the other kind, then of each the ones up to the next change, and so on.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from detector.evidence.kernels import ADMITTED, NO_BIN
from detector.levels import PART, ClientLevel, Naming, Weighed
from detector.query import Batch


def advance(
    weighing: ClientLevel, watching: ClientLevel, batch: Batch, naming: Naming, weigh: NDArray[np.bool_]
) -> list[Weighed]:
    """What `weighing.advance` gives, but that the queries that are not to be weighed go to `watching`.

    `watching` is a level without a law over the same rows. Its queries are `kept` with no bins.
    """
    if weigh.all():
        return weighing.advance(batch, naming)
    found = []
    for start in range(0, len(batch), PART):
        s = slice(start, start + PART)
        names = Naming(naming.query_ids[s], naming.clients[s])
        found.append(_part(weighing, watching, batch.part(start, start + PART), names, weigh[s]))
    return found


def _part(
    weighing: ClientLevel, watching: ClientLevel, batch: Batch, naming: Naming, weigh: NDArray[np.bool_]
) -> Weighed:
    n = len(batch)
    status, clock, levels = np.zeros(n, np.uint8), np.zeros(n, np.int64), np.zeros(n, np.int32)
    bins = np.full((n, len(weighing.kit.signals)), NO_BIN, np.uint8)
    points, looks = [], []
    rounds = rounds_of(batch.slots, weigh)
    for number in range(int(rounds.max()) + 1):
        rows = np.flatnonzero(rounds == number)
        if not len(rows):
            continue
        level = watching if number % 2 else weighing
        names = Naming([naming.query_ids[i] for i in rows.tolist()], [naming.clients[i] for i in rows.tolist()])
        (part,) = level.advance(batch.taken(rows), names)
        kept = rows[part.kept]
        status[rows], clock[kept], levels[kept] = part.status, part.clock, part.levels
        if level is weighing:
            bins[kept] = part.bins
        points += [(int(rows[i]), point) for i, point in part.points]
        looks += [look._replace(place=int(rows[look.place])) for look in part.looks]
    points.sort(key=lambda found: (found[0], found[1].budget))
    kept = np.flatnonzero(status == ADMITTED)
    return Weighed(status, kept, clock[kept], bins[kept], levels[kept], points, looks)


def rounds_of(slots: NDArray[np.int64], weigh: NDArray[np.bool_]) -> NDArray[np.int64]:
    """In which round each query is taken: even rounds are weighed, odd ones are not.

    >>> rounds_of(np.array([1, 2, 1, 1, 2]), np.array([True, False, False, True, False])).tolist()
    [0, 1, 1, 2, 1]
    """
    order = np.argsort(slots, kind="stable")
    mine, kind = slots[order], weigh[order]
    first = np.append(True, mine[1:] != mine[:-1])
    turns = np.where(first, ~kind, np.append(False, kind[1:] != kind[:-1])).astype(np.int64)
    total = np.cumsum(turns)
    starts = np.flatnonzero(first)
    before = (total - turns)[starts]
    rounds = np.empty(len(slots), np.int64)
    rounds[order] = total - np.repeat(before, np.diff(np.append(starts, len(slots))))
    return rounds
