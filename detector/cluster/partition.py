"""One partition of judgement: a pipeline, how far it has applied what was sent to it, and what is to be kept of it.

No I/O. What was sent is applied once and without holes: messages by their offset, records by a watermark for each
source stream. `entries` is what a snapshot writes, `restore` takes it back entry by entry.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

import msgspec

from detector.alert import Alert
from detector.cluster.wire import Records, chunk_of
from detector.decide import Case
from detector.errors import StoreError
from detector.pipeline import Pipeline, State, Step
from detector.policy import Dated, Policy
from detector.query import DeadLetter
from detector.tape import Point

NOTHING = -1  # the offset before the first
VERSION = 1  # of the entries
MARK = b"m"
TOLD = b"t"
ROW, CASE = b"r", b"c"  # before an entity's key of 16 bytes


class Mark(msgspec.Struct, frozen=True, array_like=True):
    """How far the rows and cases beside it are applied.

    applied: the last message in them. watermarks: of each source stream, its last record in them. policies: in force,
    each with the log time from which. profile, partitions: of whom all this is.
    """

    version: int
    profile: str
    partitions: int
    applied: int
    watermarks: dict[str, int]
    policies: list[Dated]
    state: State


class Row(msgspec.Struct, frozen=True, array_like=True):
    id: str
    row: bytes


@dataclass(slots=True)
class Telling:
    """What was found and is not yet durable."""

    alerts: list[Alert] = field(default_factory=list)
    points: list[Point] = field(default_factory=list)
    letters: list[DeadLetter] = field(default_factory=list)

    def __bool__(self) -> bool:
        return bool(self.alerts or self.points or self.letters)


class Partition:
    """The state of one partition. `made` makes its pipeline from the policies that are in force.

    `told` is the last message whose alerts are durable. After a crash messages are applied again from the snapshot on:
    the same pipeline finds the same alerts, and those up to `told` are not told again.
    """

    def __init__(self, profile: str, partitions: int, policy: Policy, made: Callable[[list[Dated]], Pipeline]) -> None:
        self.pipeline = made([Dated(0, policy)])
        self.applied = self.told = NOTHING
        self.telling = Telling()
        self.saved = True  # nothing was applied since the last snapshot
        self._watermarks: dict[str, int] = {}
        self._profile, self._partitions, self._policy = profile, partitions, policy
        self._mark: Mark | None = None

    # -- applying

    def apply(self, offset: int, records: Records) -> Step:
        """Applies a message once. Raises StoreError when messages before it are missing: end the process then."""
        if offset <= self.applied:
            return Step()
        if offset > self.applied + 1:
            raise StoreError(f"messages are missing between {self.applied} and {offset}")
        step = self._advance(records)
        self.applied = offset
        self.saved = False
        if offset > self.told:
            self.telling.alerts += step.alerts
            self.telling.points += step.points
            self.telling.letters += step.letters
        return step

    def _advance(self, records: Records) -> Step:
        chunk = chunk_of(records, self._watermarks.get(records.stream, NOTHING))
        if chunk is None:
            return Step()
        step = self.pipeline.advance(chunk)
        self._watermarks[chunk.stream] = chunk.offsets[-1]
        # Nothing here waits for other streams, so an alert goes out with the message that raised it.
        step.alerts += self.pipeline.tick([chunk.stream]).alerts
        return step

    # -- keeping

    @property
    def new(self) -> bool:
        """Whether nothing of it was ever applied."""
        return self.applied == NOTHING

    @property
    def caught_up(self) -> bool:
        """Whether all that was told before a crash is applied again."""
        return self.applied >= self.told

    def all_told(self) -> None:
        """What was found so far is durable."""
        self.told = max(self.told, self.applied)
        self.telling = Telling()

    def renew(self) -> None:
        """Takes the settings' policy when it is another than the one in force: from the log time on at which nothing
        can have been decided. Call it right before `entries`, so that a crash does not undo it.
        """
        policies = self.pipeline.policies
        if self.caught_up and policies[-1].policy.version != self._policy.version:
            policies.append(Dated(max(self.pipeline.decided + 1, policies[-1].since), self._policy))

    def entries(self) -> Iterator[tuple[bytes, bytes]]:
        """What changed since `settled`, as (key, value); the mark comes last."""
        clients = self.pipeline.clients
        for (key, row), (_, _, _, id_) in zip(clients.changed(), clients.changed_names(), strict=True):
            yield ROW + key, msgspec.msgpack.encode(Row(id_, row))
        for key in self.pipeline.docket.changed:
            yield CASE + key, msgspec.msgpack.encode(self.pipeline.cases[key])
        yield MARK, self.mark()

    def mark(self) -> bytes:
        state, policies = self.pipeline.state(), self.pipeline.policies
        return msgspec.msgpack.encode(
            Mark(VERSION, self._profile, self._partitions, self.applied, self._watermarks, policies, state)
        )

    def settled(self) -> None:
        """The entries are durable."""
        self.pipeline.clients.settled()
        self.pipeline.docket.changed.clear()
        self.saved = True

    # -- coming back

    def restore(self, key: bytes, value: bytes) -> None:
        """Takes an entry back; of one key the latest counts. Raises StoreError, ProfileError."""
        try:
            if key[:1] == ROW:
                row = msgspec.msgpack.decode(value, type=Row)
                self.pipeline.clients.restore(row.id, row.row)
            elif key[:1] == CASE:
                self.pipeline.cases[key[1:]] = msgspec.msgpack.decode(value, type=Case)
            elif key == TOLD:
                self.told = msgspec.msgpack.decode(value, type=int)
            elif key == MARK:
                self._mark = msgspec.msgpack.decode(value, type=Mark)
        except msgspec.MsgspecError as error:
            raise StoreError(f"an entry of the saved state cannot be read: {error}") from error

    def restored(self) -> None:
        """All entries were given. Raises StoreError when they are another profile's."""
        mark = self._mark
        if mark is None:
            return
        ours = (VERSION, self._profile, self._partitions)
        if (mark.version, mark.profile, mark.partitions) != ours:
            raise StoreError(
                f"the saved state is of profile {mark.profile} over {mark.partitions} partitions (version "
                f"{mark.version}); this worker has {self._profile} over {self._partitions} (version {VERSION}): "
                "another profile needs another cluster.name, see docs/cluster.md"
            )
        self.applied, self._watermarks = mark.applied, dict(mark.watermarks)
        self.pipeline.policies[:] = mark.policies
        self.pipeline.restore(mark.state)
        self._mark = None
