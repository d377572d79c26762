"""What spans clients, judged at ticks of log time in one process: groups, rings, and the storms that hold alerts."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from detector.entities import Entities
from detector.levels import Asked, GroupLevel
from detector.policy import Dated
from detector.profile.artefact import Profile
from detector.query import I64, U8, Query
from detector.rings.accounts import ACCOUNT, RING
from detector.rings.level import RingLevel
from detector.storm import Passed, Sky, Storms, Waiting
from detector.tape import Point


class Spans(Protocol):
    """Where a pipeline's clients go on to what spans them: one process judges it beside them, workers hand it on."""

    @property
    def tables(self) -> list[Entities]: ...

    def members(self) -> dict[str, list[str]]:
        """The accounts of each ring."""
        ...

    def asked(self, queries: list[Query], ticks: I64, at: I64, bins: U8, people: NDArray[np.bool_]) -> None:
        """Queries in their ticks; bins (n, additive signals). Those of `people` count for groups and accounts."""
        ...

    def put(self, waiting: Waiting) -> None:
        """An alert that waits for its tick."""
        ...

    def due(self, before: int, *, ended: bool) -> Iterator[list[Point]]:
        """The points of ticks before `before`; with `ended` also of a ring's tick that has begun."""
        ...

    def close(self, before: int, policies: Sequence[Dated]) -> Iterator[Passed]:
        """The alerts whose tick has come."""
        ...

    def group_of(self, query: Query) -> bytes:
        """The key of the client's group of the first kind."""
        ...

    def state(self) -> tuple[dict[str, bytes], Sky]: ...

    def restore(self, ticks: Mapping[str, bytes], sky: Sky) -> None: ...


class Spanning:
    """Judges it here. See Spans."""

    def __init__(self, profile: Profile) -> None:
        s = profile.summary
        self.groups = groups_of(profile)
        self.rings = rings_of(profile)
        self._storms = storms_of(profile)
        self._kinds = s.groups
        self._judged = 0  # the ticks before this one were judged

    @property
    def tables(self) -> list[Entities]:
        of_rings = [self.rings.accounts, self.rings.rings] if self.rings else []
        return [*(level.entities for level in self.groups.values()), *of_rings]

    def members(self) -> dict[str, list[str]]:
        return self.rings.members() if self.rings else {}

    def asked(self, queries: list[Query], ticks: I64, at: I64, bins: U8, people: NDArray[np.bool_]) -> None:
        self._storms.asked(ticks.tolist())
        if not self.groups and not self.rings:
            return
        for kind, asked, names in gathered(queries, ticks, at, bins, people, self._kinds, rings=self.rings is not None):
            if kind == RING:
                assert self.rings is not None
                self.rings.gather(asked)
            else:
                level = self.groups[kind]
                level.open.gather(asked._replace(slot=level.entities.slots(names)))

    def put(self, waiting: Waiting) -> None:
        self._storms.put(waiting)

    def due(self, before: int, *, ended: bool) -> Iterator[list[Point]]:
        if before > self._judged:
            self._judged = before
            for level in self.groups.values():
                yield level.close(before)
        if self.rings:
            yield self.rings.close(before, ended=ended)

    def close(self, before: int, policies: Sequence[Dated]) -> Iterator[Passed]:
        return self._storms.close(before, policies)

    def group_of(self, query: Query) -> bytes:
        kind, level = next(iter(self.groups.items()), ("", None))
        name = (query.groups or {}).get(kind)
        if name is None or level is None:
            return b""
        return level.entities.keys[level.entities.slot(name)]

    def state(self) -> tuple[dict[str, bytes], Sky]:
        ticks = {kind: level.open.saved() for kind, level in self.groups.items()}
        if self.rings:
            ticks[RING] = self.rings.saved()
        return ticks, self._storms.state()

    def restore(self, ticks: Mapping[str, bytes], sky: Sky) -> None:
        for kind, level in self.groups.items():
            if kind in ticks:
                level.open.restore(ticks[kind])
        if self.rings and RING in ticks:
            self.rings.restore(ticks[RING])
        self._storms.restore(sky)


def gathered(
    queries: list[Query],
    ticks: I64,
    at: I64,
    bins: U8,
    people: NDArray[np.bool_],
    kinds: Sequence[str],
    *,
    rings: bool,
) -> Iterator[tuple[str, Asked, list[str]]]:
    """The queries of people for rings (all of them) and for the groups of each kind, with the names of the groups. A
    declared class is judged by itself, not in the sums of its organisation. The slots are still to be filled in.
    """
    ids, clients = [query.id or "" for query in queries], [query.client or "" for query in queries]
    asked, all_of_them = Asked(ticks, ticks, at, bins, ids, clients), people.all()
    if rings:
        found = asked if all_of_them else asked.taken(np.flatnonzero(people))
        yield RING, found, found.clients
    for kind in kinds:
        groups = [None if query.groups is None else query.groups.get(kind) for query in queries]
        found, names = asked, groups
        if None in groups or not all_of_them:
            inside = [i for i, group in enumerate(groups) if group is not None and people[i]]
            found, names = asked.taken(np.array(inside, np.int64)), [groups[i] for i in inside]
        yield kind, found, [name or "" for name in names]


def groups_of(profile: Profile) -> dict[str, GroupLevel]:
    """The levels of groups that a profile judges, by kind."""
    kit, epoch_us = profile.kit, profile.summary.epoch_us
    return {
        kind: GroupLevel(kit, profile.entities(kind), profile.laws[kind], epoch_us) for kind in profile.summary.groups
    }


def rings_of(profile: Profile) -> RingLevel | None:
    learned = profile.summary.rings
    if not learned:
        return None
    tables = profile.entities(ACCOUNT), profile.entities(RING)
    return RingLevel(profile.kit, *tables, profile.laws[RING], learned, profile.summary.epoch_us)


def storms_of(profile: Profile) -> Storms:
    return Storms(profile.summary.model, profile.summary.id, openings_per_query(profile))


def openings_per_query(profile: Profile) -> float:
    """How many openings the promise lets honest clients expect a query."""
    s = profile.summary
    return (s.promise or 0.0) * s.clients / max(s.queries, 1)
