"""Stage 4, of which there is one partition: what the whole population decides, day by day and tick by tick.

Storms: alerts of all partitions come here and wait for their tick; whether the population moved is decided as in one
process, from the openings of earlier ticks, and each goes out, or is held. Rings: the accounts of all partitions are
linked and judged here. The population: what partitions know of a day is put together when all of them have closed it.

Where one process keeps in an entity's case which of its cases is held, this keeps it beside (`held`).
"""

from __future__ import annotations

from collections.abc import Iterator

import msgspec

from detector.alert import Alert
from detector.cluster import clients, groups
from detector.cluster.days import Days
from detector.cluster.forgetting import Forget, entries_of, erase, without_name
from detector.cluster.partition import Found, cases_of, restore_one, rows_of
from detector.cluster.passing import Box, Handed, Parcel
from detector.cluster.policies import Entry, Policies, forgotten
from detector.cluster.succession import Successors
from detector.cluster.tally import apart
from detector.docket import Docket, stamped
from detector.entities import Entities, Name, entity_key
from detector.learned.population import Settled
from detector.learned.successor import Successor
from detector.levels import TICK_US
from detector.pipeline import State, Step
from detector.profile.artefact import Profile
from detector.profile.succession import Succession
from detector.rings.accounts import RING
from detector.run.forgetting import cleared, without
from detector.spanning import rings_of, storms_of
from detector.storm import Passed, Sky, held
from detector.tape import Point

HELD, POPULATION, SUCCESSORS = b"h", b"p", b"s"


class Body(msgspec.Struct, frozen=True, array_like=True):
    """forgetting: by request, which senders have said that nothing more comes; forgotten: requests that are done."""

    sky: Sky
    rings: bytes | None
    judged: int
    got: dict[str, int]
    closed: dict[str, int]
    days: bytes
    forgetting: dict[str, list[str]] = {}
    forgotten: list[str] = []


class Town:
    """All that is one for all partitions of a served model."""

    def __init__(self, profile: Profile, partitions: int, alerts_from: int, successor: str = "ask") -> None:
        """successor: what becomes of successors of the one-class model (learning.successor)."""
        self.profile = profile
        summary = profile.summary
        self.docket = Docket([], profile.kit.signals, summary.id, Succession(profile), alerts_from)
        senders = [clients.sender_of(number) for number in range(partitions)]
        self._groups = [groups.sender_of(number) for number in range(partitions)] if summary.groups else []
        self._box = Box(summary.id, [*senders, *self._groups])
        self._forgetting: dict[str, list[str]] = {}  # see Body
        self._forgotten: list[str] = []
        self._erased: list[bytes] = []
        self._storms, self.rings = storms_of(profile), rings_of(profile)
        self.days = Days(profile)
        self.successors = Successors(profile, successor)
        self.held: dict[bytes, str] = {}
        self._changed: set[bytes] = set()  # of `held`
        self._judged = 0
        self._width = len(profile.kit.additive)

    def follow(self, policies: Policies) -> None:
        self.docket.policies[:] = policies.dated()
        self.days.follow(policies.takeovers())
        self._forgotten = [id_ for id_ in self._forgotten if id_ not in policies.forgotten]

    def enters(self, policies: Policies) -> list[Entry]:
        done = [entry for id_ in self._forgotten for entry in forgotten(id_)]
        return [*done, *self.successors.enters(policies, self.decided)]

    def concerned(self, one: Forget) -> bool:
        return False

    def words(self) -> Iterator[Parcel]:
        yield from ()

    def forget(self, one: Forget) -> None:
        """All that it was here, as account too, and what waits to be told of it."""
        self._storms.restore(cleared(self._storms.state(), one.kind, one.entity))
        key = entity_key(Name(self.profile.summary.model, one.kind, one.entity), self.profile.secret)
        if self.held.pop(key, None) is not None:
            self._erased.append(HELD + key)
        self._changed.discard(key)
        if self.rings and one.of_client:
            state = State({}, 0, {RING: self.rings.saved()})
            left = without(state, one.kind, one.entity).ticks[RING]  # while the tables still know the name
            self._erased += entries_of(erase(self.tables, self.docket.cases, self.docket.changed, one))
            self.rings.restore(left)

    def _forget(self, one: Forget, sender: str) -> None:
        """Of a client the owner of its partition says so, and from all groups comes no name of it any more."""
        if one.of_client and sender in self._groups:
            self._storms.restore(without_name(self._storms.state(), one.entity))
        else:
            self.forget(one)
        said = self._forgetting.setdefault(one.id, [])
        said.append(sender)
        if not one.of_client or len(said) == 1 + len(self._groups):
            del self._forgetting[one.id]
            self._forgotten.append(one.id)

    @property
    def decided(self) -> int:
        return self._judged * TICK_US

    @property
    def known(self) -> int:
        return 0  # an account is a client again, and a ring is made of clients

    @property
    def tables(self) -> list[Entities]:
        return [self.rings.accounts, self.rings.rings] if self.rings else []

    def reach(self, value: bytes) -> int:
        """An alert that waits in a later tick shows that policies of that time are known, and must be known here."""
        handed = self._box.peek(value)
        return max([handed.closed * TICK_US, *((one.tick + 1) * TICK_US - 1 for one in handed.waiting)])

    def take(self, value: bytes) -> Found:
        handed = self._box.open(value)
        if handed is None:
            return Found(Step(), [])
        for one in handed.forgotten:
            self._forget(one, handed.sender)
        self._note(handed)
        before, step = self._box.before, Step()
        if before > self._judged:
            self._judged = before
            self._judge_rings(before, step)
            self.days.close(before * TICK_US, self.docket.policies, step)
            self.successors.take(step.news)
        for alert, hold in self._released(self._storms.close(before, self.docket.policies)):
            (step.held if hold else step.alerts).append(stamped(alert, self.days.population.settled))
        return Found(step, [])

    def _note(self, handed: Handed) -> None:
        for tick, count in handed.asked.items():
            self._storms.count(tick, count)
        for waiting in handed.waiting:
            self._storms.put(waiting)
        self.days.note(handed.days)
        if self.rings and RING in handed.sums:
            self.rings.gather(apart(handed.sums[RING], self.rings.accounts.slots, self._width))

    def _judge_rings(self, before: int, step: Step) -> None:
        points: list[Point] = self.rings.close(before) if self.rings else []
        step.points += points
        for waiting in self.docket.judge(points, [min(point.at // TICK_US, before) for point in points]):
            self._storms.put(waiting)

    def _released(self, passed: Iterator[Passed]) -> Iterator[tuple[Alert, bool]]:
        for key, alert, storming in passed:
            hold = False
            if key is not None:
                before = self.held.get(key, "")
                now, hold = held(before, alert, storming)
                if now != before:
                    self.held[key] = now
                    self._changed.add(key)
            yield alert, hold

    # -- keeping

    def entries(self) -> Iterator[tuple[bytes, bytes]]:
        yield from rows_of(self.tables)
        yield from cases_of(self.docket.cases, self.docket.changed)
        for key in sorted(self._changed):
            yield HELD + key, msgspec.msgpack.encode(self.held[key])
        if self.days.population.changed:
            yield POPULATION, msgspec.msgpack.encode(self.days.population.settled)
        if self.successors.changed:
            yield SUCCESSORS, msgspec.msgpack.encode(self.successors.made)

    def erased(self) -> list[bytes]:
        return self._erased

    def settled(self) -> None:
        self._erased = []
        for table in self.tables:
            table.settled()
        self.docket.changed.clear()
        self._changed.clear()
        self.days.population.changed = self.successors.changed = False

    def restore(self, key: bytes, value: bytes | None) -> None:
        if key[:1] == HELD and value is None:
            self.held.pop(key[1:], None)
        elif value is None:
            restore_one(self.tables, self.docket.cases, key, None)
        elif key[:1] == HELD:
            self.held[key[1:]] = msgspec.msgpack.decode(value, type=str)
        elif key == SUCCESSORS:
            self.successors.made = msgspec.msgpack.decode(value, type=list[Successor])
        elif key == POPULATION:
            self.days.population.settled = msgspec.msgpack.decode(value, type=Settled)
        else:
            restore_one(self.tables, self.docket.cases, key, value)

    def body(self) -> bytes:
        rings = self.rings.saved() if self.rings else None
        box, forget = (self._box.got, self._box.closed), (self._forgetting, self._forgotten)
        body = Body(self._storms.state(), rings, self._judged, *box, self.days.saved(), *forget)
        return msgspec.msgpack.encode(body)

    def resume(self, body: bytes) -> None:
        found = msgspec.msgpack.decode(body, type=Body)
        self._storms.restore(found.sky)
        if self.rings and found.rings is not None:
            self.rings.restore(found.rings)
        self._judged = found.judged
        self._box.got, self._box.closed = dict(found.got), dict(found.closed)
        self.days.restore(found.days)
        self._forgetting = {id_: list(said) for id_, said in found.forgetting.items()}
        self._forgotten = list(found.forgotten)
