"""In place of judging what spans clients, a partition of clients hands it on when ticks close (detector.spanning)."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from detector.cluster.tally import Sum, summed
from detector.entities import Entities, Name, entity_key
from detector.levels import OpenTicks
from detector.policy import Dated
from detector.profile.artefact import Profile
from detector.query import I64, U8, Query
from detector.rings.accounts import RING
from detector.rings.level import TICKS
from detector.spanning import gathered
from detector.storm import Passed, Sky, Waiting
from detector.tape import Point

ROOM = 1_024  # names that are kept though nothing of them waits


class Interned:
    """Names as numbers, for as long as something of them waits."""

    def __init__(self) -> None:
        self.ids: list[str] = []
        self._slots: dict[str, int] = {}

    def slots(self, names: Sequence[str]) -> I64:
        known = self._slots
        for name in names:
            if name not in known:
                known[name] = len(self.ids)
                self.ids.append(name)
        return np.array([known[name] for name in names], np.int64)


class Waits:
    """Queries of the groups of one kind, or of accounts, until their tick closes. ticks: of TICK_US in one such."""

    def __init__(self, width: int, ticks: int) -> None:
        self._width, self._ticks = width, ticks
        self.names = Interned()
        self.open = OpenTicks(self.names, width)

    def due(self, before: int, *, members: bool) -> list[Sum]:
        asked = self.open.due(before // self._ticks)
        if asked is None:
            return []
        asked = asked._replace(tick=asked.tick * self._ticks)
        found = list(summed(asked, self.names.ids, members=members))
        if len(self.names.ids) > ROOM:
            self.restore(self.open.saved())
        return found

    def restore(self, saved: bytes) -> None:
        self.names = Interned()
        self.open = OpenTicks(self.names, self._width)
        self.open.restore(saved)


class Handing:
    """What spans the clients of one partition, to be handed on. unnamed: kinds of groups whose members nobody names."""

    def __init__(self, profile: Profile, unnamed: Sequence[str]) -> None:
        s = profile.summary
        width = len(profile.kit.additive)
        self.waits = {kind: Waits(width, 1) for kind in s.groups}
        if s.rings:
            self.waits[RING] = Waits(width, TICKS)
        self._model, self._secret, self._unnamed = s.model, profile.secret, unnamed
        self.kinds, self._rings = s.groups, s.rings is not None
        self._asked: Counter[int] = Counter()
        self._waiting: list[Waiting] = []

    # -- what a pipeline asks of it

    @property
    def tables(self) -> list[Entities]:
        return []

    def members(self) -> dict[str, list[str]]:
        return {}

    def asked(self, queries: list[Query], ticks: I64, at: I64, bins: U8, people: NDArray[np.bool_]) -> None:
        self._asked.update(ticks.tolist())
        for kind, asked, names in gathered(queries, ticks, at, bins, people, self.kinds, rings=self._rings):
            waits = self.waits[kind]
            tick = asked.tick // TICKS if kind == RING else asked.tick
            waits.open.gather(asked._replace(tick=tick, slot=waits.names.slots(names)))

    def put(self, waiting: Waiting) -> None:
        self._waiting.append(waiting)

    def due(self, before: int, *, ended: bool) -> Iterator[list[Point]]:
        yield from ()

    def close(self, before: int, policies: Sequence[Dated]) -> Iterator[Passed]:
        yield from ()

    def group_of(self, query: Query) -> bytes:
        kind = next(iter(self.kinds), "")
        name = (query.groups or {}).get(kind)
        return b"" if name is None or not kind else entity_key(Name(self._model, kind, name), self._secret)

    def state(self) -> tuple[dict[str, bytes], Sky]:
        return {kind: waits.open.saved() for kind, waits in self.waits.items()}, Sky(asked=dict(self._asked))

    def restore(self, ticks: Mapping[str, bytes], sky: Sky) -> None:
        for kind, waits in self.waits.items():
            if kind in ticks:
                waits.restore(ticks[kind])
        self._asked = Counter(sky.asked)

    # -- what its partition takes out

    def sums(self, before: int) -> dict[str, list[Sum]]:
        """Those of ticks before `before`, by kind."""
        found = {kind: waits.due(before, members=kind not in self._unnamed) for kind, waits in self.waits.items()}
        return {kind: sums for kind, sums in found.items() if sums}

    def counts(self, before: int) -> dict[int, int]:
        """How many queries fell into each tick before `before`."""
        return {tick: self._asked.pop(tick) for tick in sorted(self._asked) if tick < before}

    def waiting(self) -> list[Waiting]:
        found, self._waiting = self._waiting, []
        return found
