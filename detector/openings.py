"""Openings of cases on one signal, counted tick by tick: when they are too many for chance, and when a storm is over.

Kernels over numbered entities, so that the pipeline asks about one tick (detector.storm) what what-if asks about a
month of them (dashboard/whatif/weather.py). Openings lie in the order of ticks; of an entity only the newest counts.
"""

from __future__ import annotations

from math import ceil, exp, sqrt
from typing import Any

import numba
import numpy as np

TAIL = 1e-6  # a count of openings that chance gives to one window in a million is no chance
MOST = 4_096  # openings that are remembered of a signal: beyond that a storm is one anyway
NO_STORM = 0


@numba.njit(cache=True)
def least_unlikely(expected):  # type: ignore[no-untyped-def]
    """The least count that a Poisson law of this mean reaches with a probability of at most TAIL.

    >>> least_unlikely(0.01), least_unlikely(1.0), least_unlikely(20.0)
    (3, 10, 46)
    """
    if expected > 500:  # exp would vanish; six standard deviations are as rare
        return ceil(expected + 6 * sqrt(expected))
    k, term = 0, exp(-expected)
    below = term
    while 1.0 - below > TAIL:
        k += 1
        term *= expected / k
        below += term
    return k + 1


@numba.njit(cache=True)
def taken(who, at, newest, head, start, stop, count, window):  # type: ignore[no-untyped-def]
    """Takes in the openings start:stop, which are of one tick, and leaves those that the window has passed.

    newest: by entity, the place of its newest opening that counts, -1 where none does. count: of these. Returns from
    which place on there are any, and the count.
    """
    for i in range(start, stop):
        count += newest[who[i]] < 0
        newest[who[i]] = i
    behind = at[stop - 1] - window
    while head < stop and (newest[who[head]] != head or at[head] <= behind or count > MOST):
        if newest[who[head]] == head:
            newest[who[head]] = -1
            count -= 1
        head += 1
    return head, count


@numba.njit(cache=True)
def reached(count, at_least, by_chance):  # type: ignore[no-untyped-def]
    """The limit of the storm that so many openings in the window are; NO_STORM where they are none.

    at_least: as the policy asks, 0 where it wants no storms. by_chance: openings that are to be expected.
    """
    if at_least == 0 or count < at_least or count <= by_chance:
        return NO_STORM
    limit = max(at_least, least_unlikely(by_chance))
    return limit if count >= limit else NO_STORM


@numba.njit(cache=True)
def over_at(who, at, newest, head, stop, since, limit, window):  # type: ignore[no-untyped-def]
    """The tick from which on a storm is over, if none is added: fewer than half of its limit are left in its window."""
    keep = (limit + 1) // 2
    for i in range(stop - 1, head - 1, -1):
        if newest[who[i]] == i:
            keep -= 1
            if keep == 0:  # the oldest that keeps it up
                return max(at[i] + window + 1, since)
    return since


@numba.njit(cache=True)
def storms(who, at, entities, windows, at_least, by_chance):  # type: ignore[no-untyped-def]
    """All storms that openings (in the order of ticks) make: from which tick on, and until which.

    entities: how many there are; windows, at_least, by_chance: of each opening's tick.
    """
    found = [(0, 0) for _ in range(0)]
    newest = np.full(entities, -1, np.int64)
    start, head, count, since, limit, window = 0, 0, 0, 0, NO_STORM, 0
    while start < len(who):
        stop = start
        while stop < len(who) and at[stop] == at[start]:
            stop += 1
        if limit != NO_STORM:
            over = over_at(who, at, newest, head, start, since, limit, window)
            if over <= at[start]:
                found.append((since, max(over, at[start - 1] + 1)))
                newest[who[head:start]] = -1
                head, count, limit = start, 0, NO_STORM
        head, count = taken(who, at, newest, head, start, stop, count, windows[start])
        if limit == NO_STORM:
            limit = reached(count, at_least[start], by_chance[start])
            since, window = at[start] + 1, windows[start]
        start = stop
    if limit != NO_STORM:
        over = over_at(who, at, newest, head, start, since, limit, window)
        found.append((since, max(over, at[-1] + 1)))  # under a policy with a shorter window it ends at once
    return found


class Counted:
    """The openings of one signal by the entities' ids, for whoever counts one tick after the other."""

    def __init__(self, recent: dict[str, int] | None = None) -> None:
        self.recent = dict(recent or {})  # entities and the tick of their newest opening, the oldest first

    def take(self, tick: int, entities: list[str], window: int) -> None:
        """Adds who opened a case in a tick, and leaves whom the window has passed."""
        ids = [*self.recent, *entities]
        who, at, newest = self._columns(ids, [*self.recent.values(), *[tick] * len(entities)])
        before = len(self.recent)
        newest[who[:before]] = np.arange(before)
        head, _ = taken(who, at, newest, 0, before, len(ids), before, window)
        left = [i for i in range(head, len(ids)) if newest[who[i]] == i]
        self.recent = {ids[i]: int(at[i]) for i in left}

    def over_at(self, since: int, limit: int, window: int) -> int:
        """See the kernel."""
        who, at, newest = self._columns([*self.recent], [*self.recent.values()])
        newest[who] = np.arange(len(who))
        return int(over_at(who, at, newest, 0, len(who), since, limit, window))

    @staticmethod
    def _columns(ids: list[str], at: list[int]) -> tuple[Any, Any, Any]:
        numbers: dict[str, int] = {}
        who = np.array([numbers.setdefault(id_, len(numbers)) for id_ in ids], np.int64)
        return who, np.array(at, np.int64), np.full(len(numbers), -1, np.int64)
