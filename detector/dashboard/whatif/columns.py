"""The score tape as columns in memory: all of an entity's points together, in the order in which they were decided.

Some sixty bytes a point. The ids of queries lie in one run of bytes, since they are looked at only where a case opens.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

import msgspec
import numpy as np
from numpy.typing import NDArray

from detector.alert import ATTACKS, Attack
from detector.policy import level_of_class
from detector.tape import Exposed, Point, score_of

NOTHING_LEARNED = -1  # clone, of a point that does not say what leaked
MOST_CLONE = 32_767
RECORD = np.dtype(
    [
        ("entity", "<i4"), ("budget", "|b1"), ("level", "<u2"), ("clone", "<i2"), ("attack", "|u1"), ("group", "|u1"),
        ("n", "<i8"), ("at", "<i8"), ("asked", "<i8"), ("id_at", "<i8"), ("id_len", "<i4"),
    ]
)  # fmt: skip


class Slim(msgspec.Struct, frozen=True, gc=False):
    """Of a saved point what `decide` looks at, and the members of a group."""

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


class Who(msgspec.Struct, frozen=True):
    """An entity of the tape."""

    key: bytes
    kind: str
    id: str


@dataclass(frozen=True)
class Columns:
    """points: sorted by entity, n and budget; the points of entity e are points[starts[e]:starts[e + 1]].

    groups: the levels that thresholds are of (`client`, `client:automation`, `ring`); a point's `group` is its place.
    kind: by entity, the place of its level in `kinds`. last: the place of its last score, -1 where it has none. peak,
    asked, clone: by entity, the highest level of all its points, the most that a budget point counted, and the highest
    clone; 0, 0 and NOTHING_LEARNED where there is none.
    """

    model: str = ""
    who: Sequence[Who] = ()
    points: NDArray[np.void] = field(default_factory=lambda: np.zeros(0, RECORD))
    starts: NDArray[np.int64] = field(default_factory=lambda: np.zeros(1, np.int64))
    groups: tuple[str, ...] = ()
    ids: bytes | bytearray = b""
    peak: NDArray[np.int64] = field(default_factory=lambda: np.zeros(0, np.int64))
    asked: NDArray[np.int64] = field(default_factory=lambda: np.zeros(0, np.int64))
    clone: NDArray[np.int64] = field(default_factory=lambda: np.zeros(0, np.int64))
    last: NDArray[np.int64] = field(default_factory=lambda: np.zeros(0, np.int64))
    kinds: tuple[str, ...] = ()
    kind: NDArray[np.uint8] = field(default_factory=lambda: np.zeros(0, np.uint8))

    def __len__(self) -> int:
        return len(self.points)

    @property
    def since(self) -> int | None:
        return int(self.points["at"].min()) if len(self.points) else None

    @property
    def until(self) -> int | None:
        return int(self.points["at"].max()) if len(self.points) else None

    def of_kind(self, values: Mapping[str, int]) -> NDArray[np.int64]:
        """A value for each entity, by its kind."""
        found: NDArray[np.int64] = np.array([values[kind] for kind in self.kinds], np.int64)[self.kind]
        return found

    def of_group(self, group: str) -> NDArray[np.int64]:
        """The entities whose last score was one of this level."""
        if group not in self.groups:
            return np.zeros(0, np.int64)
        some = np.flatnonzero(self.last >= 0)
        theirs = self.points["group"][self.last[some]]
        return some[np.flatnonzero(theirs == self.groups.index(group))]

    def peak_score(self, entity: int) -> float:
        return score_of(int(self.peak[entity]))

    def point(self, place: int) -> Point:
        """The point as `decide` sees it, without its evidence."""
        entity, budget, level, clone, attack, group, n, at, asked, id_at, id_len = self.points[place].item()
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

    def __init__(self) -> None:
        self._columns = Columns()
        self._places: dict[bytes, int] = {}
        self._who: list[Who] = []
        self._kinds: dict[str, int] = {}
        self._kind: list[int] = []
        self._groups: dict[str, int] = {}
        self._ids = bytearray()
        self._model = ""
        self._hands: dict[str, dict[tuple[str, str], int]] = {}

    @property
    def columns(self) -> Columns:
        return self._columns

    def hands(self, client: str) -> list[tuple[str, str]]:
        """The groups and rings (level, id) whose points name a client, the newest first."""
        found = self._hands.get(client, {})
        return sorted(found, key=lambda hand: -found[hand])

    def place(self, key: bytes) -> int | None:
        """Of an entity among the columns' `who`."""
        return self._places.get(key)

    def take(self, points: Iterable[Slim]) -> None:
        """Adds points; one that is known (key, n, budget) is replaced."""
        rows = [self._row(point) for point in points]
        if rows:
            self._settle(np.concatenate([self._columns.points, np.array(rows, RECORD)]))

    def prune(self, before: int) -> None:
        """Forgets points of before a log time (microseconds). Their entities keep their places."""
        points = self._columns.points
        kept = points["at"] >= before
        if not kept.all():
            self._settle(points[kept])

    def _settle(self, points: NDArray[np.void]) -> None:
        points = _in_order(points)
        starts = np.searchsorted(points["entity"], np.arange(len(self._who) + 1))
        budget = points["budget"]
        self._columns = Columns(
            model=self._model,
            who=self._who,
            points=points,
            starts=starts,
            groups=tuple(self._groups),
            ids=self._ids,
            kinds=tuple(self._kinds),
            kind=np.array(self._kind, np.uint8),
            last=_most(np.where(budget, -1, np.arange(len(points))), starts, -1),
            peak=_most(np.where(budget, 0, points["level"]), starts, 0),
            asked=_most(np.where(budget, points["asked"], 0), starts, 0),
            clone=_most(points["clone"], starts, NOTHING_LEARNED),
        )

    def _row(self, point: Slim) -> tuple[int | bool, ...]:
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
            point.asked_today, id_at, len(query),
        )  # fmt: skip

    def _new(self, point: Slim) -> int:
        self._model = point.model
        self._who.append(Who(point.key, point.kind, point.id))
        self._kind.append(self._kinds.setdefault(point.kind, len(self._kinds)))
        place = self._places[point.key] = len(self._places)
        return place


def _in_order(points: NDArray[np.void]) -> NDArray[np.void]:
    """By entity, n and budget; of points that are equal in these the one that came last."""
    order = np.lexsort((points["budget"], points["n"], points["entity"]))
    points = points[order]
    told_apart = np.ones(len(points), np.bool_)
    told_apart[:-1] = False
    for name in ("entity", "n", "budget"):
        told_apart[:-1] |= points[name][1:] != points[name][:-1]
    return points[told_apart]


def _most(values: NDArray[np.integer], starts: NDArray[np.int64], none: int) -> NDArray[np.int64]:
    """The maximum of each entity's values; `none` for who has none."""
    found = np.full(len(starts) - 1, none, np.int64)
    some = np.flatnonzero(np.diff(starts))
    if len(some):
        found[some] = np.maximum.reduceat(values, starts[some])
    return found
