"""Stage 3, for one partition: groups whose keys live here, judged on the sums that all partitions of clients hand on.

A tick is judged when every partition of clients has closed it: then nothing is missing, and the sums have no order.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator

import msgspec

from detector.cluster import clients
from detector.cluster.forgetting import Forget, entries_of, erase, without_member
from detector.cluster.partition import Found, cases_of, restore_one, rows_of
from detector.cluster.passing import TOWN, Box, Parcel, Post
from detector.cluster.policies import Entry, Policies
from detector.cluster.tally import apart
from detector.docket import Docket
from detector.entities import Entities
from detector.levels import TICK_US
from detector.pipeline import State, Step
from detector.profile.artefact import Profile
from detector.profile.succession import Succession
from detector.run.forgetting import without
from detector.spanning import groups_of
from detector.storm import Waiting
from detector.tape import Point


def sender_of(number: int) -> str:
    return f"groups-{number}"


class Body(msgspec.Struct, frozen=True, array_like=True):
    """forgetting: groups that are to be forgotten, by request, and which senders have said so."""

    ticks: dict[str, bytes]
    judged: int
    got: dict[str, int]
    closed: dict[str, int]
    sent: dict[str, int]
    forgetting: dict[str, list[str]] = {}


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
        self._forgetting: dict[str, list[str]] = {}  # see Body
        self._erased: list[bytes] = []

    def follow(self, policies: Policies) -> None:
        self.docket.policies[:] = policies.dated()  # the one-class model judges clients

    def enters(self, policies: Policies) -> list[Entry]:
        return []

    def concerned(self, one: Forget) -> bool:
        return False

    def words(self) -> Iterator[Parcel]:
        yield from ()

    def forget(self, one: Forget) -> None:
        """Of a client the name, of a group all."""
        for level in self._levels.values():
            if one.of_client:
                level.open.restore(without_member(level.open.saved(), one.entity))
            elif level.entities.kind == one.kind:
                state = State({}, 0, {one.kind: level.open.saved()})
                left = without(state, one.kind, one.entity).ticks[one.kind]
                self._erased += entries_of(erase([level.entities], self.docket.cases, self.docket.changed, one))
                level.open.restore(left)

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
        parcels = [parcel for one in handed.forgotten for parcel in self._forget(one, handed.sender)]
        for kind, sums in handed.sums.items():
            level = self._levels[kind]
            level.open.gather(apart(sums, level.entities.slots, self._width))
        step, judged = self._judge(self._box.before)
        return Found(step, [*parcels, *judged])

    def _forget(self, one: Forget, sender: str) -> Iterator[Parcel]:
        """A group is gone when all that have members of it have said that nothing more comes."""
        self.forget(one)
        said = self._forgetting.setdefault(one.id, [])
        said.append(sender)
        if one.of_client or len(said) == len(self._box.got):
            del self._forgetting[one.id]
            yield self._post.parcel(TOWN, 0, self._judged, forgotten=[one])

    def _judge(self, before: int) -> Found:
        if before <= self._judged:
            return Found(Step(), [])
        self._judged = before
        points = [self._told(point) for level in self._levels.values() for point in level.close(before)]
        waiting = list(self.docket.judge(points, [min(point.at // TICK_US, before) for point in points]))
        return Found(Step(points=points), [self._parcel(before, waiting)])

    def _told(self, point: Point) -> Point:
        members = () if point.kind in self._unnamed else tuple(filter(None, point.members))  # "" was forgotten
        return point if members == point.members else msgspec.structs.replace(point, members=members)

    def _parcel(self, before: int, waiting: list[Waiting]) -> Parcel:
        return self._post.parcel(TOWN, 0, before, waiting=waiting)

    # -- keeping

    def entries(self) -> Iterator[tuple[bytes, bytes]]:
        yield from rows_of(self.tables)
        yield from cases_of(self.docket.cases, self.docket.changed)

    def erased(self) -> list[bytes]:
        return self._erased

    def settled(self) -> None:
        self._erased = []
        for table in self.tables:
            table.settled()
        self.docket.changed.clear()

    def restore(self, key: bytes, value: bytes | None) -> None:
        restore_one(self.tables, self.docket.cases, key, value)

    def body(self) -> bytes:
        ticks = {kind: level.open.saved() for kind, level in self._levels.items()}
        box = self._box.got, self._box.closed
        return msgspec.msgpack.encode(Body(ticks, self._judged, *box, self._post.sent, self._forgetting))

    def resume(self, body: bytes) -> None:
        found = msgspec.msgpack.decode(body, type=Body)
        for kind, level in self._levels.items():
            if kind in found.ticks:
                level.open.restore(found.ticks[kind])
        self._judged = found.judged
        self._box.got, self._box.closed = dict(found.got), dict(found.closed)
        self._post.sent = dict(found.sent)
        self._forgetting = {id_: list(said) for id_, said in found.forgetting.items()}
