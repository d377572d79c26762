"""Stage 3, for one partition: groups whose keys live here, judged on the sums that all partitions of clients hand on.

A tick is judged when every partition of clients has closed it: then nothing is missing, and the sums have no order.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator

import msgspec

from detector.cluster import clients
from detector.cluster.partition import Found, cases_of, restore_one, rows_of
from detector.cluster.passing import TOWN, Box, Parcel, Post
from detector.cluster.policies import Entry, Policies, Takeover
from detector.cluster.tally import apart
from detector.docket import Docket
from detector.entities import Entities
from detector.levels import TICK_US
from detector.pipeline import Step
from detector.policy import Dated
from detector.profile.artefact import Profile
from detector.profile.succession import Succession
from detector.spanning import groups_of
from detector.storm import Waiting
from detector.tape import Point


def sender_of(number: int) -> str:
    return f"groups-{number}"


class Body(msgspec.Struct, frozen=True, array_like=True):
    ticks: dict[str, bytes]
    judged: int
    got: dict[str, int]
    closed: dict[str, int]
    sent: dict[str, int]


class Groups:
    """The groups of partition `number` of so many. unnamed: kinds whose members no point names."""

    def __init__(
        self, profile: Profile, number: int, partitions: int, alerts_from: int,
        unnamed: Collection[str],
    ) -> None:  # fmt: skip
        self._levels = groups_of(profile)
        self._width = len(profile.kit.additive)
        summary = profile.summary
        self.docket = Docket([], profile.kit.signals, summary.id, Succession(profile), alerts_from)
        self._unnamed = frozenset(unnamed)
        self._box = Box(summary.id, [clients.sender_of(sender) for sender in range(partitions)])
        self._post = Post(summary.id, sender_of(number))
        self._judged = 0  # the ticks before this one were

    def follow(self, policies: list[Dated], takeovers: list[Takeover]) -> None:
        self.docket.policies[:] = policies  # the one-class model judges clients

    def enters(self, policies: Policies) -> list[Entry]:
        return []

    @property
    def decided(self) -> int:
        return self._judged * TICK_US

    @property
    def known(self) -> int:
        return sum(len(table) for table in self.tables)

    @property
    def tables(self) -> list[Entities]:
        return [level.entities for level in self._levels.values()]

    def reach(self, value: bytes) -> int:
        return self._box.peek(value).closed * TICK_US

    def take(self, value: bytes) -> Found:
        handed = self._box.open(value)
        if handed is None:
            return Found(Step(), [])
        for kind, sums in handed.sums.items():
            level = self._levels[kind]
            level.open.gather(apart(sums, level.entities.slots, self._width))
        return self._judge(self._box.before)

    def _judge(self, before: int) -> Found:
        if before <= self._judged:
            return Found(Step(), [])
        self._judged = before
        points = [self._told(point) for level in self._levels.values() for point in level.close(before)]
        waiting = list(self.docket.judge(points, [min(point.at // TICK_US, before) for point in points]))
        return Found(Step(points=points), [self._parcel(before, waiting)])

    def _told(self, point: Point) -> Point:
        return msgspec.structs.replace(point, members=()) if point.kind in self._unnamed else point

    def _parcel(self, before: int, waiting: list[Waiting]) -> Parcel:
        return self._post.parcel(TOWN, 0, before, waiting=waiting)

    # -- keeping

    def entries(self) -> Iterator[tuple[bytes, bytes]]:
        yield from rows_of(self.tables)
        yield from cases_of(self.docket.cases, self.docket.changed)

    def settled(self) -> None:
        for table in self.tables:
            table.settled()
        self.docket.changed.clear()

    def restore(self, key: bytes, value: bytes) -> None:
        restore_one(self.tables, self.docket.cases, key, value)

    def body(self) -> bytes:
        ticks = {kind: level.open.saved() for kind, level in self._levels.items()}
        return msgspec.msgpack.encode(Body(ticks, self._judged, self._box.got, self._box.closed, self._post.sent))

    def resume(self, body: bytes) -> None:
        found = msgspec.msgpack.decode(body, type=Body)
        for kind, level in self._levels.items():
            if kind in found.ticks:
                level.open.restore(found.ticks[kind])
        self._judged = found.judged
        self._box.got, self._box.closed = dict(found.got), dict(found.closed)
        self._post.sent = dict(found.sent)
