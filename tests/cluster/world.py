"""Workers without brokers: all stages over topics in memory, in any interleaving, with crashes at any moment."""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass, field

import msgspec

from detector.alert import Alert
from detector.cluster import wire
from detector.cluster.clients import JUDGE, Clients
from detector.cluster.groups import Groups
from detector.cluster.names import Names
from detector.cluster.partition import TOLD, Partition, Telling
from detector.cluster.passing import GROUPS, TOWN, Parcel
from detector.cluster.policies import Entry, Policies, begun, decided
from detector.cluster.stages import Making, places_of
from detector.cluster.town import Town
from detector.cluster.wire import Routes
from detector.decide import Case
from detector.logs.native import decode_many
from detector.profile.artefact import Profile
from detector.query import Chunk
from detector.settings import Settings
from tests import people

Place = tuple[str, int]


@dataclass
class Kept:
    """What is durable of a partition."""

    entries: dict[bytes, bytes] = field(default_factory=dict)
    told: Telling = field(default_factory=Telling)
    committed: int = 0

    def keep(self, partition: Partition) -> None:
        for key, value in partition.entries():
            if value is None:
                self.entries.pop(key, None)
            else:
                self.entries[key] = value
        partition.settled()


@dataclass
class Source:
    """A partition of the log, cut into chunks; `at` and `clock` are committed together."""

    chunks: list[Chunk]
    at: int = 0
    clock: int = 0


def sources(streams: Sequence[list[bytes]], size: int) -> list[Source]:
    made = []
    for number, lines in enumerate(streams):
        chunks = []
        for start in range(0, len(lines), size):
            part = lines[start : start + size]
            offsets = list(range(start, start + len(part)))
            chunks.append(Chunk(f"kafka:t/{number}", part, offsets, start + len(part), people.chunk(part).bounds_at))
        made.append(Source(chunks))
    return made


class World:
    """`partitions` of each stage, all of them with an owner at any time."""

    def __init__(
        self,
        settings: Settings,
        profile: Profile,
        streams: Sequence[list[bytes]],
        partitions: int,
        size: int = 40,
        known: int | None = None,
    ) -> None:
        """known: how many streams of the log there were when the workers started; default all."""
        self.profile, self.sources = profile, sources(streams, size)
        self.routes = Routes(profile.secret, partitions, decode_many, profile.summary.model)
        names = [f"kafka:t/{number}" for number in range(len(streams) if known is None else known)]
        self.settings, self._names = settings, names
        self.policies = Policies()
        self.enter(begun(settings.policy.over(profile.summary.policy.thresholds)))
        stages = self._making().stages(Names("test"))
        self._answering = places_of(stages)
        places = [(stage.name, number) for stage in stages for number in range(stage.partitions)]
        self.topics: dict[Place, list[bytes]] = {place: [] for place in places}
        self.kept: dict[Place, Kept] = {place: Kept() for place in places}
        self.live: dict[Place, Partition] = {}
        self.forgot: dict[Place, dict[str, int]] = {}  # how far streams were applied when it last forgot somebody
        for place in places:
            self.open(place)

    def _making(self) -> Making:
        return Making(self.settings, self.profile, self.routes, self._names)

    # -- what happens

    def project(self, number: int, *, crash: bool = False) -> bool:
        """The next chunk of a source goes out; with `crash` it is not committed, and goes out again."""
        source = self.sources[number]
        if source.at == len(source.chunks):
            return False
        found, clock = wire.messages(self.profile.summary.id, source.chunks[source.at], self.routes, source.clock)
        for target, value in found:
            self.topics[JUDGE, target].append(value)
        if not crash:
            source.at, source.clock = source.at + 1, clock
        return True

    def rest(self, number: int) -> None:
        """A source of which nothing is left for now says so."""
        source = self.sources[number]
        name, upto = source.chunks[0].stream, source.chunks[source.at - 1].next_offset
        value = wire.at_rest(self.profile.summary.id, name, upto, source.clock)
        for target in range(self.routes.partitions):
            self.topics[JUDGE, target].append(value)

    def take(self, place: Place, most: int, *, tell: bool = True, pass_on: bool = True) -> bool:
        """Applies up to so many messages. What they gave is told, or dies with the worker in the next crash."""
        partition, topic = self.live[place], self.topics[place]
        start = partition.applied + 1
        for offset in range(start, min(start + most, len(topic))):
            self.answer(place)
            if partition.stops(offset, topic[offset], partition.limit(self.policies, _called(place))):
                break
            partition.apply(offset, topic[offset])
        if tell:
            self.tell(place)
            if pass_on:
                self.pass_on(partition)
        return start <= partition.applied

    def snapshot(self, place: Place) -> None:
        partition, kept = self.live[place], self.kept[place]
        self.tell(place)
        self.pass_on(partition)
        kept.keep(partition)

    def made(self, place: Place) -> Partition:
        """One of which nothing is known."""
        made = {stage.name: stage.made for stage in self._making().stages(Names("test"))}
        return made[place[0]](place[1])

    def open(self, place: Place) -> None:
        """A crash, too: whatever was not durable is lost."""
        partition, kept = self.made(place), self.kept[place]
        for key, value in kept.entries.items():
            partition.restore(key, value)
        partition.restored()
        if partition.new:
            kept.keep(partition)
        partition.follow(self.policies)
        self.live[place] = partition

    def answer(self, place: Place) -> int:
        """What comes before anything is applied; who is the town decides. Returns how much was entered."""
        partition = self.live[place]
        partition.follow(self.policies)
        if due := partition.concerns(self.policies):
            self.tell(place)
            self.pass_on(partition)
            for one in due:
                partition.forget(one)
            if isinstance(partition.work, Clients):
                self.forgot[place] = dict(partition.work._watermarks)
            self.kept[place].keep(partition)
            partition.spread()
        entries = partition.answers(self.policies, _called(place))
        if place[0] == TOWN:
            entries += [decided(id_, decision) for id_, decision in self.policies.ready(self._answering)]
        for entry in entries:
            self.enter(entry)
        return len(entries)

    def enter(self, entry: Entry) -> None:
        self.policies.take(*entry)

    def tell(self, place: Place) -> None:
        partition, kept = self.live[place], self.kept[place]
        for name in ("alerts", "held", "points", "letters"):
            getattr(kept.told, name).extend(getattr(partition.telling, name))
        kept.entries[TOLD] = msgspec.msgpack.encode(max(partition.applied, partition.told))
        partition.all_told()

    def pass_on(self, partition: Partition) -> None:
        for parcel in partition.parcels:
            self.topics[_stage_of(parcel), parcel.partition].append(parcel.value)
        partition.parcels.clear()

    # -- how it ends

    def drain(self) -> None:
        """Until nothing is left to be done."""
        while sum(self.project(number) for number in range(len(self.sources))):
            pass
        while sum([self.answer(place) for place in self.live] + [self.take(place, 64) for place in self.live]):
            pass
        assert all(p.applied == len(self.topics[place]) - 1 for place, p in self.live.items())

    def clients(self) -> list[Clients]:
        return [p.work for p in self.live.values() if isinstance(p.work, Clients)]

    def groups(self) -> list[Groups]:
        return [p.work for p in self.live.values() if isinstance(p.work, Groups)]

    def town(self) -> Town:
        (found,) = (p.work for p in self.live.values() if isinstance(p.work, Town))
        return found

    def alerts(self, name: str = "alerts") -> list[Alert]:
        return [alert for kept in self.kept.values() for alert in getattr(kept.told, name)]

    def rows(self) -> dict[tuple[str, str], bytes]:
        clients = [work.pipeline.clients for work in self.clients()]
        tables = [*clients, *(table for work in (*self.groups(), self.town()) for table in work.tables)]
        named = [
            (table, slot, id_) for table in tables for slot, id_ in enumerate(table.ids) if id_
        ]  # "" was forgotten
        return {(table.kind, id_): table.rows[slot].tobytes() for table, slot, id_ in named}

    def cases(self) -> dict[bytes, Case]:
        """As one process has them: with what is held."""
        town = self.town()
        dockets = [work.pipeline.docket for work in self.clients()]
        dockets += [work.docket for work in (*self.groups(), town)]
        found = {key: case for docket in dockets for key, case in docket.cases.items()}
        return {key: msgspec.structs.replace(case, held=town.held.get(key, "")) for key, case in found.items()}


def _called(place: Place) -> str:
    return f"{place[0]}-{place[1]}"


def _stage_of(parcel: Parcel) -> str:
    return {GROUPS: "groups", TOWN: "town"}[parcel.to]


def at_random(world: World, rng: random.Random, *, crashes: bool, steps: int | None = None) -> None:
    """Whatever may happen, in any order, until the log is read, then to the end; or only so many `steps` of it."""
    places, done = list(world.live), 0
    while any(source.at < len(source.chunks) for source in world.sources) and (steps is None or done < steps):
        done += 1
        for _ in range(rng.randrange(3)):
            world.project(rng.randrange(len(world.sources)), crash=crashes and rng.random() < 0.1)
        place = rng.choice(places)
        if not crashes or rng.random() < 0.7:
            world.take(place, rng.randrange(1, 12))
            if rng.random() < 0.3:
                world.snapshot(place)
        else:
            tell = rng.random() < 0.6
            world.take(place, rng.randrange(1, 12), tell=tell, pass_on=tell and rng.random() < 0.5)
            world.open(place)
    if steps is None:
        world.drain()
