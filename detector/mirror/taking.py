"""What records of the workers' topics say, until it is kept: of rows and cases the newest, of all else each."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import NamedTuple

import msgspec

from detector.alert import Alert
from detector.cluster.forgetting import CASE, ROW, Forget
from detector.cluster.names import Names
from detector.cluster.partition import MARK, TOLD, Row
from detector.cluster.policies import FORGET, Policies
from detector.cluster.town import HELD, POPULATION, SUCCESSORS
from detector.decide import Case
from detector.errors import StoreError
from detector.query import DeadLetter
from detector.run import judge, successors


def topics_of(names: Names) -> list[str]:
    """What a mirror reads."""
    return [names.policies, *compacted(names), names.town, names.alerts, names.held, names.tape, names.letters]


def compacted(names: Names) -> list[str]:
    """Those of rows and cases."""
    return [names.state, names.groups, names.sky]


# What the one partition for all keeps beside rows and cases, as a store calls it. The bytes are the same.
EXTRAS = {POPULATION: judge.POPULATION, SUCCESSORS: successors.NAME}

AUDIT = "audit"  # alerts on what people did: those of this dashboard are in its outbox, others have their own


class Named(NamedTuple):
    """A row, whose it is, and the 16 bytes of its key."""

    key: bytes
    kind: str
    id: str
    row: bytes


class Placed(NamedTuple):
    """A point of the tape as it is saved: what it is found by, and its encoding."""

    key: bytes
    budget: bool
    n: int
    at: int
    level: int
    point: bytes
    tick: int | None = None


class Bound(msgspec.Struct, frozen=True, array_like=True):
    """The beginning of what a partition says of itself, in whatever version (cluster.partition.Mark)."""

    version: int
    profile: str


class Counted(msgspec.Struct, frozen=True):
    """Of what partitions hand to the town (cluster.passing.Handed), how many queries fell into ticks that are over."""

    sender: str
    number: int
    asked: dict[int, int] = {}


class Where(msgspec.Struct, frozen=True, gc=False):
    """Of a point of the tape, what it is found by."""

    key: bytes
    n: int
    at: int
    level: int
    budget: bool = False


class Taken:
    """Records that are not kept yet. `take` takes one; entries of compacted topics replace earlier ones of their key.

    rows, cases: by key, None where they are gone. gone: keys of rows that were taken away, be they there again.
    held: by key, which case of the entity is held. extras: as the store calls them. audits: ids of events that came
    back from where they were put.
    """

    def __init__(self, names: Names, profile: str, policies: Policies) -> None:
        self._profile, self._policies = profile, policies
        self._into: dict[str, Callable[[bytes, bytes | None], None]] = {
            names.state: self._entry,
            names.groups: self._entry,
            names.sky: self._entry,
            names.policies: self._policy,
            names.town: self._handed,
            names.alerts: self._alert,
            names.held: self._hold,
            names.tape: self._points,
            names.letters: self._letter,
        }
        self.rows: dict[bytes, bytes | None] = {}
        self.gone: list[bytes] = []
        self.cases: dict[bytes, bytes | None] = {}
        self.held: dict[bytes, str] = {}
        self.extras: dict[str, bytes] = {}
        self.alerts: list[Alert] = []
        self.holds: list[Alert] = []
        self.points: list[Placed] = []
        self.letters: list[DeadLetter] = []
        self.counted: list[Counted] = []
        self.asked: list[Forget] = []  # to be forgotten
        self.audits: set[str] = set()
        self.records = 0

    @property
    def newest(self) -> int:
        """Log time, microseconds; 0 where no point was taken."""
        return max((point.at for point in self.points), default=0)

    @property
    def weight(self) -> int:
        """About how many things are to be kept."""
        return self.records + len(self.points)

    def take(self, topic: str, key: bytes | None, value: bytes | None) -> None:
        """Raises StoreError for what cannot be read, or is another profile's."""
        self.records += 1
        try:
            self._into[topic](key or b"", value)
        except msgspec.MsgspecError as error:
            raise StoreError(f"a record of {topic} cannot be read: {error}") from error

    def named(self) -> Iterator[Named]:
        """The rows that are there."""
        for key, value in self.rows.items():
            if value is not None:
                row = _ROW.decode(value)
                yield Named(key, row.kind, row.id, row.row)

    # -- by topic

    def _entry(self, key: bytes, value: bytes | None) -> None:
        kind = key[:1]
        if key == MARK:
            if value is not None:
                self._check(_MARK.decode(value))
        elif key in EXTRAS:
            if value is not None:
                self.extras[EXTRAS[key]] = value
        elif kind == ROW:
            self.rows[key[1:]] = value
            if value is None:
                self.gone.append(key[1:])
        elif kind == CASE:
            self.cases[key[1:]] = value
        elif kind == HELD:
            self.held[key[1:]] = _HELD.decode(value) if value is not None else ""
        elif key != TOLD:
            self.records -= 1  # what a later version keeps beside: nobody who reads a store asks for it

    def _check(self, mark: Bound) -> None:
        if mark.profile != self._profile:
            raise StoreError(
                f"these workers have the profile {mark.profile}, the settings name {self._profile}: name theirs"
            )

    def _policy(self, key: bytes, value: bytes | None) -> None:
        self._policies.take(key, value)
        if key[:1] == FORGET and value is not None:
            self.asked.append(_FORGET.decode(value))

    def _alert(self, _key: bytes, value: bytes | None) -> None:
        alert = _ALERT.decode(value or b"")
        if alert.kind == AUDIT:
            self.audits.add(alert.id)
        else:
            self.alerts.append(alert)

    def _hold(self, _key: bytes, value: bytes | None) -> None:
        self.holds.append(_ALERT.decode(value or b""))

    def _points(self, _key: bytes, value: bytes | None) -> None:
        """As they were encoded: to decode all of them would cost ten times as much, and nobody looks at them here."""
        for raw in _POINTS.decode(value or b""):
            where = _WHERE.decode(raw)
            self.points.append(Placed(where.key, where.budget, where.n, where.at, where.level, bytes(raw)))

    def _handed(self, _key: bytes, value: bytes | None) -> None:
        counted = _COUNTED.decode(value or b"")
        if counted.asked:
            self.counted.append(counted)

    def _letter(self, _key: bytes, value: bytes | None) -> None:
        self.letters.append(_LETTER.decode(value or b""))


def with_held(body: bytes, held: str) -> bytes:
    """A case as one process keeps it: with the case of the entity that is held."""
    return msgspec.msgpack.encode(msgspec.structs.replace(_CASE.decode(body), held=held))


_ROW = msgspec.msgpack.Decoder(Row)
_MARK = msgspec.msgpack.Decoder(Bound)
_FORGET = msgspec.msgpack.Decoder(Forget)
_COUNTED = msgspec.msgpack.Decoder(Counted)
_CASE = msgspec.msgpack.Decoder(Case)
_HELD = msgspec.msgpack.Decoder(str)
_ALERT = msgspec.msgpack.Decoder(Alert)
_POINTS = msgspec.msgpack.Decoder(list[msgspec.Raw])
_WHERE = msgspec.msgpack.Decoder(Where)
_LETTER = msgspec.msgpack.Decoder(DeadLetter)
