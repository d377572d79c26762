"""What the owners of partitions pass on to each other: numbered by who sends, so that each is taken once and in order.

What is passed follows from what was applied, and after a crash it is passed again, under the same numbers: a repeat
changes nothing, and a hole is an error.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

import msgspec

from detector.cluster.forgetting import Forget
from detector.cluster.tally import Sum
from detector.errors import StoreError
from detector.learned.days import Sampled
from detector.learned.population import Came, Seen
from detector.storm import Waiting

GROUPS, TOWN = "groups", "town"  # to whom


class Day(msgspec.Struct, frozen=True, array_like=True):
    """What one partition knows of a day that has closed there (learned.population.Open), and who came to the end of a
    first horizon.
    """

    day: int
    looks: list[Seen]
    suspects: list[bytes]
    sampled: Sampled | None
    came: list[Came]


class Handed(msgspec.Struct, frozen=True, kw_only=True):
    """From one partition to another. number: of this sender to this receiver, from 1. closed: no more comes of ticks
    before this one.

    sums: by kind, of groups or accounts, in ticks before `closed`. asked: queries of such ticks. waiting: alerts, of
    ticks up to `closed` and later ones. days: that are over. forgotten: of whom nothing comes any more.
    """

    profile: str
    sender: str
    number: int
    closed: int
    sums: dict[str, list[Sum]] = {}
    asked: dict[int, int] = {}
    waiting: list[Waiting] = []
    days: list[Day] = []
    forgotten: list[Forget] = []


class Parcel(NamedTuple):
    """To a partition of the stage `to`."""

    to: str
    partition: int
    value: bytes


class Post:
    """Numbers what one partition sends."""

    def __init__(self, profile: str, sender: str, sent: Mapping[str, int] = {}) -> None:
        self._profile, self._sender = profile, sender
        self.sent = dict(sent)

    def parcel(
        self,
        to: str,
        partition: int,
        closed: int,
        *,
        sums: dict[str, list[Sum]] | None = None,
        asked: dict[int, int] | None = None,
        waiting: list[Waiting] | None = None,
        days: list[Day] | None = None,
        forgotten: list[Forget] | None = None,
    ) -> Parcel:
        target = f"{to}-{partition}"
        number = self.sent[target] = self.sent.get(target, 0) + 1
        handed = Handed(
            profile=self._profile,
            sender=self._sender,
            number=number,
            closed=closed,
            sums=sums or {},
            asked=asked or {},
            waiting=waiting or [],
            days=days or [],
            forgotten=forgotten or [],
        )
        return Parcel(to, partition, _ENCODER.encode(handed))


class Box:
    """What one partition has got: how much, and how far each sender is. senders: all that there are."""

    def __init__(self, profile: str, senders: list[str]) -> None:
        self._profile = profile
        self.got = dict.fromkeys(senders, 0)
        self.closed = dict.fromkeys(senders, 0)

    def peek(self, value: bytes) -> Handed:
        """A message. Raises StoreError for what is none, and for another profile's."""
        try:
            handed = _DECODER.decode(value)
        except msgspec.MsgspecError as error:
            raise StoreError(f"a message between partitions cannot be read: {error}") from error
        if handed.profile != self._profile:
            raise StoreError(
                f"a message was passed by a worker with the profile {handed.profile}, this one has {self._profile}: "
                "another profile needs another cluster.name, see docs/cluster.md"
            )
        return handed

    def open(self, value: bytes) -> Handed | None:
        """A message that is to be taken; None for a repeat. Raises StoreError where messages are missing, too."""
        handed = self.peek(value)
        last = self.got.get(handed.sender)
        if last is None:
            raise StoreError(f"a message came from {handed.sender}, which is no partition of these workers")
        if handed.number <= last:
            return None
        if handed.number > last + 1:
            raise StoreError(f"messages of {handed.sender} are missing between {last} and {handed.number}")
        self.got[handed.sender] = handed.number
        self.closed[handed.sender] = max(self.closed[handed.sender], handed.closed)
        return handed

    @property
    def before(self) -> int:
        """No more comes of ticks before this one, from anyone."""
        return min(self.closed.values())


_ENCODER = msgspec.msgpack.Encoder()
_DECODER = msgspec.msgpack.Decoder(Handed)
