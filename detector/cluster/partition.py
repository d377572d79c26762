"""A partition of any stage: how far it has applied what was sent to it, what it found, and what is to be kept of it.

No I/O. Messages are applied once and without holes, by their offset; what is done with one is the stage's work
(clients.py, groups.py, town.py). `entries` is what a snapshot writes, `restore` takes it back entry by entry.

What was found is told in a transaction, once. What goes to other partitions is passed on after that transaction, which
proves that the partition was still ours; after a crash it is passed again, and skipped there by its number.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import NamedTuple, Protocol

import msgspec

from detector.alert import Alert
from detector.cluster.forgetting import CASE, ROW, Forget, lose
from detector.cluster.passing import Parcel
from detector.cluster.policies import Answer, Entry, Policies, answered
from detector.cluster.versions import VERSION, current
from detector.decide import Case
from detector.entities import Entities
from detector.errors import StoreError
from detector.pipeline import Step
from detector.query import DeadLetter
from detector.tape import Point

NOTHING = -1  # the offset before the first
MARK = b"m"
TOLD = b"t"


class Mark(msgspec.Struct, frozen=True, array_like=True):
    """How far the rows and cases beside it are applied.

    applied: the last message in them. body: the rest of the work's state. profile, partitions: of whom all this is.
    """

    version: int
    profile: str
    partitions: int
    applied: int
    body: bytes


class Row(msgspec.Struct, frozen=True, array_like=True):
    id: str
    row: bytes
    kind: str = "client"


class Found(NamedTuple):
    """What one message gave: to be told, and to be passed on."""

    step: Step
    parcels: list[Parcel]


class Limit(NamedTuple):
    """unanswered: a proposal waits for the partition's answer; bound: a log time that it must not come to as yet."""

    unanswered: bool
    bound: int | None


class Work(Protocol):
    """What a stage does with messages. Pure: the same messages in the same order give the same."""

    def follow(self, policies: Policies) -> None:
        """What holds by now: nothing at or after the time of new ones was decided here."""
        ...

    def concerned(self, one: Forget) -> bool:
        """Whether this is asked to forget an entity, and has not yet. Others get word of it (passing.Handed)."""
        ...

    def forget(self, one: Forget) -> None: ...

    def words(self) -> Iterator[Parcel]:
        """Of who was forgotten, for others: right after the snapshot that says so, or when that was restored."""
        ...

    def enters(self, policies: Policies) -> list[Entry]:
        """What this stage has to enter to the topic of policies."""
        ...

    @property
    def decided(self) -> int:
        """The latest log time, microseconds, at which anything can have been decided."""
        ...

    @property
    def known(self) -> int:
        """How many entities have a row here."""
        ...

    def reach(self, value: bytes) -> int:
        """A log time, microseconds, up to which things may be decided once this message is taken."""
        ...

    def take(self, value: bytes) -> Found: ...

    def entries(self) -> Iterator[tuple[bytes, bytes]]:
        """Rows, cases and the like that changed since `settled`, as (key, value)."""
        ...

    def erased(self) -> list[bytes]:
        """The keys of entries that are to be taken away since `settled`, before others are written."""
        ...

    def settled(self) -> None: ...

    def restore(self, key: bytes, value: bytes | None) -> None:
        """Takes an entry back; of one key the latest counts. None: there is none any more."""
        ...

    def body(self) -> bytes: ...

    def resume(self, body: bytes) -> None:
        """After all entries were given."""
        ...


@dataclass(slots=True)
class Telling:
    """What was found and is not yet durable."""

    alerts: list[Alert] = field(default_factory=list)
    held: list[Alert] = field(default_factory=list)
    points: list[Point] = field(default_factory=list)
    letters: list[DeadLetter] = field(default_factory=list)

    def __bool__(self) -> bool:
        return bool(self.alerts or self.held or self.points or self.letters)


class Partition:
    """`told` is the last message of which what it found is durable. After a crash messages are applied again from the
    snapshot on: the same work finds the same, and what is of messages up to `told` is not told again.
    """

    def __init__(self, profile: str, partitions: int, work: Work) -> None:
        self.work = work
        self.applied = self.told = NOTHING
        self.telling = Telling()
        self.parcels: list[Parcel] = []  # that are not passed on yet
        self.saved = True  # nothing was applied since the last snapshot
        self.new = True  # nothing of it is durable, or nothing as this version writes it
        self.partitions = partitions
        self._profile = profile
        self._mark: bytes | None = None

    # -- applying

    def apply(self, offset: int, value: bytes) -> Step:
        """Applies a message once. Raises StoreError when messages before it are missing: end the process then."""
        if offset <= self.applied:
            return Step()
        if offset > self.applied + 1:
            raise StoreError(f"messages are missing between {self.applied} and {offset}")
        step, parcels = self.work.take(value)
        self.applied = offset
        self.saved = False
        self.parcels += parcels
        if offset > self.told:
            self.telling.alerts += step.alerts
            self.telling.held += step.held
            self.telling.points += step.points
            self.telling.letters += step.letters
        return step

    def limit(self, policies: Policies, place: str) -> Limit:
        """How far this partition, called `place`, may go under the policies as they are known now."""
        return Limit(bool(policies.unanswered(place)), policies.bound(place))

    def stops(self, offset: int, value: bytes, limit: Limit) -> bool:
        """Whether a message must wait for what is decided of a policy. What was told before a crash need not."""
        if offset <= self.told:
            return False
        return limit.unanswered or (limit.bound is not None and self.work.reach(value) >= limit.bound)

    def follow(self, policies: Policies) -> None:
        """What is decided of policies is in force."""
        self.work.follow(policies)

    def concerns(self, policies: Policies) -> list[Forget]:
        """Whom it is asked to forget: only when it has caught up."""
        return [one for one in policies.forget.values() if self.caught_up and self.work.concerned(one)]

    def forget(self, one: Forget) -> None:
        """Forgets an entity. All that was found is told and passed on; save a snapshot, then `spread`."""
        assert not self.telling
        assert not self.parcels
        self.work.forget(one)
        self.saved = False

    def spread(self) -> None:
        """Word of who was forgotten is to be passed on, before anything else is applied."""
        self.parcels += self.work.words()

    # -- keeping

    @property
    def caught_up(self) -> bool:
        """Whether all that was told before a crash is applied again."""
        return self.applied >= self.told

    @property
    def urgent(self) -> bool:
        """Whether others wait for what was found."""
        return bool(self.parcels or self.telling.alerts or self.telling.held)

    def all_told(self) -> None:
        """What was found so far is durable."""
        self.told = max(self.told, self.applied)
        self.telling = Telling()

    def answers(self, policies: Policies, place: str) -> list[Entry]:
        """What this partition, called `place`, has to say to what was proposed, and to enter: only when it has caught
        up.
        """
        if not self.caught_up:
            return []
        at = self.work.decided
        said = [
            answered(id_, place, Answer(at, at < proposal.since))
            for id_, proposal in policies.unanswered(place).items()
        ]
        return [*said, *self.work.enters(policies)]

    def entries(self) -> Iterator[tuple[bytes, bytes | None]]:
        """What changed since `settled`, as (key, value), None for what is to be taken away; the mark comes last."""
        yield from ((key, None) for key in self.work.erased())
        yield from self.work.entries()
        yield MARK, self.mark()

    def mark(self) -> bytes:
        mark = Mark(VERSION, self._profile, self.partitions, self.applied, self.work.body())
        return msgspec.msgpack.encode(mark)

    def settled(self) -> None:
        """The entries are durable."""
        self.work.settled()
        self.saved, self.new = True, False

    # -- coming back

    def restore(self, key: bytes, value: bytes | None) -> None:
        """Takes an entry back. Raises StoreError, ProfileError."""
        try:
            if value is None:
                self.work.restore(key, None)
            elif key == TOLD:
                self.told = msgspec.msgpack.decode(value, type=int)
            elif key == MARK:
                self._mark = value
            else:
                self.work.restore(key, value)
        except msgspec.MsgspecError as error:
            raise StoreError(f"an entry of the saved state cannot be read: {error}") from error

    def restored(self) -> None:
        """All entries were given. Raises StoreError when they are another profile's, or a later version's."""
        if self._mark is None:
            return
        try:
            value, version = current(self._mark, self.told)
            mark = msgspec.msgpack.decode(value, type=Mark)
        except msgspec.MsgspecError as error:
            raise StoreError(f"an entry of the saved state cannot be read: {error}") from error
        if (mark.profile, mark.partitions) != (self._profile, self.partitions):
            raise StoreError(
                f"the saved state is of profile {mark.profile} over {mark.partitions} partitions; this worker has "
                f"{self._profile} over {self.partitions}: another profile needs another cluster.name, see "
                "docs/cluster.md"
            )
        self.applied, self.new = mark.applied, version != VERSION
        self.work.resume(mark.body)
        self._mark = None
        self.spread()


def rows_of(tables: list[Entities]) -> Iterator[tuple[bytes, bytes]]:
    """The rows of tables that changed, as entries."""
    for table in tables:
        for (key, row), (_, _, kind, id_) in zip(table.changed(), table.changed_names(), strict=True):
            yield ROW + key, msgspec.msgpack.encode(Row(id_, row, kind))


def cases_of(cases: dict[bytes, Case], changed: set[bytes]) -> Iterator[tuple[bytes, bytes]]:
    for key in sorted(changed):
        yield CASE + key, msgspec.msgpack.encode(cases[key])


def restore_one(tables: list[Entities], cases: dict[bytes, Case], key: bytes, value: bytes | None) -> None:
    """Takes back a row or a case, or that there is none any more."""
    if value is None:
        lose(tables, cases, key)
    elif key[:1] == ROW:
        row = msgspec.msgpack.decode(value, type=Row)
        for table in tables:
            if table.kind == row.kind:
                table.restore(row.id, row.row)
    elif key[:1] == CASE:
        cases[key[1:]] = msgspec.msgpack.decode(value, type=Case)
