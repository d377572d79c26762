"""The score tape as columns in memory: all of an entity's points together, in the order in which they were decided.

Some sixty bytes a point. The ids of queries lie in one run of bytes, since they are looked at only where a case opens.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import islice
from types import MappingProxyType
from typing import Any, NamedTuple

import msgspec
import numpy as np
from numpy.typing import NDArray

from detector.alert import ATTACKS, Attack
from detector.dashboard.whatif.leading import Leading
from detector.levels import TICK_US
from detector.policy import level_of_class
from detector.query import I64
from detector.tape import Exposed, Point, score_of
from features.contract import Signal

NOTHING_LEARNED = -1  # clone, of a point that does not say what leaked
MOST_CLONE = 32_767
N_BITS = 33  # of the order of an entity's points: 32 of n, one of budget
PART = 20_000  # points that are made columns of at once
LEAST_IDS = 2**20  # bytes of ids that are not worth moving


class Slim(msgspec.Struct, frozen=True, gc=False):
    """Of a saved point what `decide` and storms look at, and the members of a group."""

    key: bytes
    model: str
    kind: str
    id: str
    at: int
    n: int
    level: int
    query_id: str
    asked_today: int = 0
    budget: bool = False
    members: tuple[str, ...] = ()
    exposed: Exposed | None = None
    attack: Attack = "extraction"
    of_class: str = ""
    evidence: tuple[int, ...] = ()
    odds: tuple[int, ...] = ()
    sequence: int = 0


class Who(NamedTuple):
    """An entity of the tape."""

    key: bytes
    kind: str
    id: str


class Points(NamedTuple):
    """A column for each number of a point. entity, attack, group: places in `who`, ATTACKS and `groups`. clone:
    permille, NOTHING_LEARNED where it is not said. id_at, id_len: where the query's id lies in `ids`. tick: in which it
    was decided; first, own: of what leads an alert on it (leading.py).
    """

    entity: NDArray[np.int32]
    budget: NDArray[np.bool_]
    level: NDArray[np.uint16]
    clone: NDArray[np.int16]
    attack: NDArray[np.uint8]
    group: NDArray[np.uint8]
    n: I64
    at: I64
    asked: I64
    id_at: I64
    id_len: NDArray[np.int32]
    tick: NDArray[np.int32]
    first: NDArray[np.uint8]
    own: NDArray[np.uint8]

    @classmethod
    def of(cls, rows: Sequence[tuple[int, ...]]) -> Points:
        columns: Any = zip(*rows, strict=True) if rows else [()] * len(TYPES)
        return cls(*(np.array(column, dtype) for column, dtype in zip(columns, TYPES, strict=True)))

    def taken(self, which: NDArray[Any]) -> Points:
        return Points(*(column[which] for column in self))

    @property
    def order(self) -> I64:
        """What points are sorted and told apart by."""
        return (self.entity.astype(np.int64) << N_BITS) | (self.n << 1) | self.budget


def joined(parts: Sequence[Points]) -> Points:
    columns: Iterable[Any] = zip(*parts, strict=True)
    return Points(*(np.concatenate(column) for column in columns))


TYPES = ("i4", "?", "u2", "i2", "u1", "u1", "i8", "i8", "i8", "i8", "i4", "i4", "u1", "u1")
NO_POINTS = Points.of(())


class Tempo(NamedTuple):
    """How many queries were judged: ticks, ascending; total: of all ticks before each, and of all."""

    ticks: I64
    total: I64


NO_TEMPO = Tempo(np.zeros(0, np.int64), np.zeros(1, np.int64))
NO_LEADING = Leading(())


@dataclass(frozen=True)
class Columns:
    """points: sorted by entity, n and budget; those of entity e lie in starts[e]:starts[e + 1].

    groups: the levels that thresholds are of (`client`, `client:automation`, `ring`); a point's `group` is its place.
    kind: by entity, the place of its level in `kinds`; names: a number for its id, whatever its level. last: the
    place of its last score, -1 where it has none. peak, asked, clone: the highest level of all its points, the most
    that a budget point counted, and the highest clone; 0, 0 and NOTHING_LEARNED where there is none. tempo: how much
    everybody asked.
    """

    model: str = ""
    who: Sequence[Who] = ()
    points: Points = NO_POINTS
    starts: I64 = field(default_factory=lambda: np.zeros(1, np.int64))
    groups: tuple[str, ...] = ()
    ids: bytes | bytearray = b""
    peak: I64 = field(default_factory=lambda: np.zeros(0, np.int64))
    asked: I64 = field(default_factory=lambda: np.zeros(0, np.int64))
    clone: I64 = field(default_factory=lambda: np.zeros(0, np.int64))
    last: I64 = field(default_factory=lambda: np.zeros(0, np.int64))
    kinds: tuple[str, ...] = ()
    kind: NDArray[np.uint8] = field(default_factory=lambda: np.zeros(0, np.uint8))
    names: I64 = field(default_factory=lambda: np.zeros(0, np.int64))
    since: int | None = None
    until: int | None = None
    place_of: Mapping[bytes, int] = field(default_factory=dict)
    leading: Leading = NO_LEADING
    tempo: Tempo = NO_TEMPO

    def __len__(self) -> int:
        return len(self.points.at)

    @property
    def entities(self) -> int:
        """How many are known; who came later may stand in `who` already."""
        return len(self.peak)

    def of_kind(self, values: Mapping[str, int]) -> I64:
        """A value for each entity, by its kind."""
        found: I64 = np.array([values[kind] for kind in self.kinds], np.int64)[self.kind]
        return found

    def of_group(self, group: str) -> I64:
        """The entities whose last score was one of this level."""
        if group not in self.groups:
            return np.zeros(0, np.int64)
        some = np.flatnonzero(self.last >= 0)
        theirs = self.points.group[self.last[some]]
        return some[np.flatnonzero(theirs == self.groups.index(group))]

    def queries(self, behind: I64, until: I64) -> I64:
        """How many were judged in the ticks behind some and up to others."""
        ticks, total = self.tempo
        found: I64 = total[np.searchsorted(ticks, until, "right")] - total[np.searchsorted(ticks, behind, "right")]
        return found

    def peak_score(self, entity: int) -> float:
        return score_of(int(self.peak[entity]))

    def places(self, entities: I64) -> I64:
        """The places of all points of some entities, in order."""
        counts = self.starts[entities + 1] - self.starts[entities]
        before = np.cumsum(counts) - counts
        found: I64 = np.repeat(self.starts[entities] - before, counts) + np.arange(int(counts.sum()))
        return found

    def point(self, place: int) -> Point:
        """The point as `decide` sees it, without its evidence."""
        entity, budget, level, clone, attack, group, n, at, asked, id_at, id_len = (
            c[place].item() for c in self.points[:11]
        )
        who = self.who[entity]
        return Point(
            who.key, self.model, who.kind, who.id, at, n, level,
            str(self.ids[id_at : id_at + id_len], "utf-8", "surrogatepass"), asked, budget,
            exposed=None if clone == NOTHING_LEARNED else Exposed((), 0, clone, 0),
            attack=ATTACKS[attack],
            of_class=self.groups[group].partition(":")[2],
        )  # fmt: skip


class Gathering:
    """Columns that grow: takes points as they are read, and forgets those of before. One thread at a time; columns that
    were handed out do not change.
    """

    def __init__(self, signals: Sequence[Signal] = ()) -> None:
        self._leading = Leading(signals)
        self._columns = Columns(leading=self._leading)
        self._asked: dict[int, int] = {}
        self._tempo: Tempo | None = NO_TEMPO
        self._places: dict[bytes, int] = {}
        self._who: list[Who] = []
        self._kinds: dict[str, int] = {}
        self._kind: list[int] = []
        self._names: dict[str, int] = {}
        self._name: list[int] = []
        self._groups: dict[str, int] = {}
        self._ids = bytearray()
        self._model = ""
        self._hands: dict[str, dict[tuple[str, str], int]] = {}

    @property
    def columns(self) -> Columns:
        return self._columns

    def hands(self, client: str) -> list[tuple[str, str]]:
        """The groups and rings (level, id) whose points name a client, the newest first."""
        found = dict(self._hands.get(client, {}))
        return sorted(found, key=lambda hand: -found[hand])

    def take(self, points: Iterable[tuple[Slim, int | None]], asked: Mapping[int, int] = MappingProxyType({})) -> None:
        """Adds points, each with the tick in which it was decided (None: that of its `at`); one that is known (key, n,
        budget) is replaced. asked: queries by tick, as they stand now; it may be filled while the points are read.
        """
        points, parts = iter(points), [self._columns.points]
        while part := [*islice(points, PART)]:
            leads = self._leading.of([point for point, _ in part])
            rows = [self._row(point, point.at // TICK_US if tick is None else tick) for point, tick in part]
            parts.append(Points.of(rows)._replace(first=leads.first, own=leads.own))
        if asked:
            self._asked.update(asked)
            self._tempo = None
        if len(parts) > 1:
            self._settle(joined(parts))
        elif asked:
            self._columns = replace(self._columns, tempo=self._pace())

    def _pace(self) -> Tempo:
        if self._tempo is None:
            ticks = np.fromiter(self._asked, np.int64, len(self._asked))
            order = np.argsort(ticks, kind="stable")
            counts = np.fromiter(self._asked.values(), np.int64, len(self._asked))[order]
            self._tempo = Tempo(ticks[order], np.append(0, np.cumsum(counts)))
        return self._tempo

    def prune(self, before: int) -> None:
        """Forgets points of before a log time (microseconds). Their entities keep their places."""
        old = [tick for tick in self._asked if tick < before // TICK_US]
        for tick in old:
            del self._asked[tick]
        points = self._columns.points
        kept = points.at >= before
        if not kept.all():
            self._settle(self._with_their_ids(points.taken(kept)))

    def _with_their_ids(self, points: Points) -> Points:
        """The same points; where most of the ids are nobody's any more, those that are left are moved together."""
        if 2 * int(points.id_len.sum()) > len(self._ids) or len(self._ids) < LEAST_IDS:
            return points
        spans = zip(points.id_at.tolist(), points.id_len.tolist(), strict=True)
        old, self._ids = self._ids, bytearray()
        for at, length in spans:
            self._ids += old[at : at + length]
        return points._replace(id_at=np.cumsum(points.id_len, dtype=np.int64) - points.id_len)

    def _settle(self, points: Points) -> None:
        points = _in_order(points)
        starts = np.searchsorted(points.entity, np.arange(len(self._who) + 1))
        self._columns = Columns(
            model=self._model,
            who=self._who,
            points=points,
            starts=starts,
            groups=tuple(self._groups),
            ids=self._ids,
            kinds=tuple(self._kinds),
            kind=np.array(self._kind, np.uint8),
            names=np.array(self._name, np.int64),
            last=_most(np.where(points.budget, -1, np.arange(len(points.at))), starts, -1),
            peak=_most(np.where(points.budget, 0, points.level), starts, 0),
            asked=_most(np.where(points.budget, points.asked, 0), starts, 0),
            clone=_most(points.clone, starts, NOTHING_LEARNED),
            since=int(points.at.min()) if len(points.at) else None,
            until=int(points.at.max()) if len(points.at) else None,
            place_of=self._places,
            leading=self._leading,
            tempo=self._pace(),
        )

    def _row(self, point: Slim, tick: int) -> tuple[int, ...]:
        place = self._places.get(point.key)
        if place is None:
            place = self._new(point)
        for member in point.members:
            self._hands.setdefault(member, {})[point.kind, point.id] = point.at
        name = level_of_class(point.of_class) if point.of_class else point.kind
        group = self._groups.setdefault(name, len(self._groups))
        query = point.query_id.encode("utf-8", "surrogatepass")
        id_at = len(self._ids)
        self._ids += query
        clone = NOTHING_LEARNED if point.exposed is None else min(point.exposed.clone, MOST_CLONE)
        return (
            place, point.budget, point.level, clone, ATTACKS.index(point.attack), group, point.n, point.at,
            point.asked_today, id_at, len(query), tick, 0, 0,
        )  # fmt: skip

    def _new(self, point: Slim) -> int:
        self._model = point.model
        self._who.append(Who(point.key, point.kind, point.id))
        self._kind.append(self._kinds.setdefault(point.kind, len(self._kinds)))
        self._name.append(self._names.setdefault(point.id, len(self._names)))
        place = self._places[point.key] = len(self._places)
        return place


def _in_order(points: Points) -> Points:
    """By entity, n and budget; of points that are equal in these the one that came last."""
    order = points.order
    by = np.argsort(order, kind="stable")  # mostly in order already, which this kind is quick with
    last = np.append(order[by[1:]] != order[by[:-1]], True)[: len(by)]
    return points.taken(by[last])


def _most(values: NDArray[Any], starts: I64, none: int) -> I64:
    """The maximum of each entity's values; `none` for who has none."""
    found = np.full(len(starts) - 1, none, np.int64)
    some = np.flatnonzero(np.diff(starts))
    if len(some):
        found[some] = np.maximum.reduceat(values, starts[some])
    return found
