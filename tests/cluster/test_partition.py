"""A partition of judgement: applied once, without holes, and the same after a crash."""

from __future__ import annotations

from dataclasses import dataclass, field

import msgspec
import pytest

from detector.cluster import alone, wire
from detector.cluster.partition import MARK, NOTHING, TOLD, Partition, Telling
from detector.cluster.wire import Records, Routes
from detector.errors import StoreError
from detector.logs.native import decode_many
from detector.policy import Storm
from detector.profile.artefact import Profile
from detector.query import Chunk
from detector.run.replay import replay
from detector.settings import Settings, settings_of
from tests import people

SOURCES, PARTITIONS = 3, 2
ID = "profile"

Message = tuple[int, bytes]


@pytest.fixture(scope="module")
def settings() -> Settings:
    source = {"type": "kafka", "brokers": ["127.0.0.1:9"], "topic": "t"}
    return settings_of({"source": source, "policy": {"storm": {"at_least": 0}}, "cluster": {"clients_only": True}})


@pytest.fixture(scope="module")
def log(honest_log: list[bytes]) -> list[bytes]:
    """Honest clients, thieves, and lines that nobody can read."""
    asked = people.honest(2, 40) + people.noise("thief", n=80) + people.children("second", n=120)
    lines = people.log_of(people.in_order(asked))
    return [*lines[:200], b"{", *lines[200:]]


@pytest.fixture(scope="module")
def sent(log: list[bytes], profile: Profile) -> dict[int, list[bytes]]:
    """What stage 1 sends to each partition, the source partitions in turns, and some of it twice."""
    routes = Routes(profile.secret, PARTITIONS, decode_many)
    by_source: list[list[bytes]] = [[] for _ in range(SOURCES)]
    for line in log:
        queries, _, _ = decode_many([line])
        by_source[len(queries[0].client or "") % SOURCES if queries else 0].append(line)
    found: dict[int, list[bytes]] = {number: [] for number in range(PARTITIONS)}
    size = 40
    for start in range(0, max(map(len, by_source)), size):
        for source, lines in enumerate(by_source):
            first = max(0, start - (start // size % 3) * 15)  # a new owner begins at what was committed
            if part := lines[first : start + size]:
                chunk = people.chunk(part, stream=f"kafka:t/{source}")
                offsets = list(range(first, first + len(part)))
                whole = Chunk(chunk.stream, part, offsets, offsets[-1] + 1, chunk.bounds_at)
                for target, value in wire.messages(ID, whole, routes):
                    found[target].append(value)
    return found


@dataclass
class Topic:
    """A compacted topic in memory: what is durable of one partition, and all that was told."""

    entries: dict[bytes, bytes] = field(default_factory=dict)
    told: Telling = field(default_factory=Telling)

    def opened(self, made: Partition) -> Partition:
        for key, value in self.entries.items():
            made.restore(key, value)
        made.restored()
        return made

    def tell(self, partition: Partition) -> None:
        for name in ("alerts", "points", "letters"):
            getattr(self.told, name).extend(getattr(partition.telling, name))
        self.entries[TOLD] = msgspec.msgpack.encode(max(partition.applied, partition.told))
        partition.all_told()

    def snapshot(self, partition: Partition) -> None:
        partition.renew()
        self.tell(partition)
        self.entries |= dict(partition.entries())
        partition.settled()


def made(settings: Settings, profile: Profile, number: int) -> Partition:
    routes = Routes(profile.secret, PARTITIONS, decode_many)
    policy = settings.policy.over(profile.summary.policy.thresholds)
    return Partition(ID, PARTITIONS, policy, alone.pipelines(settings, profile, routes.only(number)))


def of(partition: Partition) -> dict[str, bytes]:
    clients = partition.pipeline.clients
    return {id_: clients.rows[slot].tobytes() for slot, id_ in enumerate(clients.ids)}


def undisturbed(settings: Settings, profile: Profile, sent: dict[int, list[bytes]]) -> list[tuple[Partition, Topic]]:
    done = []
    for number, values in sent.items():
        partition, topic = made(settings, profile, number), Topic()
        for offset, value in enumerate(values):
            partition.apply(offset, wire.read(value, ID))
        topic.tell(partition)
        done.append((partition, topic))
    return done


def test_all_partitions_together_are_replay(
    settings: Settings, profile: Profile, log: list[bytes], sent: dict[int, list[bytes]]
) -> None:
    """Rows, cases, alerts and letters of every client, though messages are repeated."""
    policy = settings.policy.over(profile.summary.policy.thresholds)
    whole = replay(profile, policy, iter([people.chunk(log)]), decode_many)
    done = undisturbed(settings, profile, sent)
    clients = whole.pipeline.clients
    expected = {id_: clients.rows[slot].tobytes() for slot, id_ in enumerate(clients.ids)}
    assert {id_: row for partition, _ in done for id_, row in of(partition).items()} == expected
    alerts = [alert for _, topic in done for alert in topic.told.alerts]
    of_clients = [alert for alert in whole.alerts if alert.entity.kind == "client"]
    assert len(of_clients) > 1
    assert sorted(alerts, key=str) == sorted(of_clients, key=str)
    keys = set(clients.keys)
    cases = {key: case for partition, _ in done for key, case in partition.pipeline.cases.items()}
    assert cases == {key: case for key, case in whole.pipeline.cases.items() if key in keys}
    assert [letter.reason for _, topic in done for letter in topic.told.letters] == ["json"]


@pytest.mark.parametrize("every", [1, 3, 7])
def test_after_crashes_everything_is_the_same_and_told_once(
    settings: Settings, profile: Profile, sent: dict[int, list[bytes]], every: int
) -> None:
    """Told after each message, saved after every seventh; what crashes begins at the last snapshot."""
    for number, (expected, told) in enumerate(undisturbed(settings, profile, sent)):
        topic, values = Topic(), sent[number]
        partition = topic.opened(made(settings, profile, number))
        crashed = 0
        offset = 0
        while offset < len(values):
            partition.apply(offset, wire.read(values[offset], ID))
            if partition.telling:
                topic.tell(partition)
            if offset % 7 == 6:
                topic.snapshot(partition)
            if offset % every == every - 1 and offset > crashed:
                crashed = offset
                partition = topic.opened(made(settings, profile, number))
                offset = partition.applied
            offset += 1
        assert of(partition) == of(expected)
        assert partition.pipeline.cases == expected.pipeline.cases
        assert topic.told == told.told


def test_a_hole_is_refused_and_a_repeat_is_skipped(
    settings: Settings, profile: Profile, sent: dict[int, list[bytes]]
) -> None:
    partition = made(settings, profile, 0)
    first, second, third = (wire.read(value, ID) for value in sent[0][:3])
    assert partition.applied == NOTHING
    assert partition.apply(0, first).records > 0
    before = of(partition)
    assert partition.apply(0, first).records == 0
    assert of(partition) == before
    with pytest.raises(StoreError, match="missing between 0 and 2"):
        partition.apply(2, third)
    assert partition.apply(1, second).records > 0


def test_a_repeat_under_a_later_offset_is_skipped_by_the_watermark(
    settings: Settings, profile: Profile, sent: dict[int, list[bytes]]
) -> None:
    partition = made(settings, profile, 0)
    message: Records = wire.read(sent[0][0], ID)
    partition.apply(0, message)
    before = of(partition)
    assert partition.apply(1, message).records == 0
    assert of(partition) == before
    assert partition.applied == 1


def test_another_policy_holds_from_the_snapshot_on_and_stays_after_a_crash(
    settings: Settings, profile: Profile, sent: dict[int, list[bytes]]
) -> None:
    topic, partition = Topic(), made(settings, profile, 0)
    partition.apply(0, wire.read(sent[0][0], ID))
    topic.snapshot(partition)
    other = settings_of(
        {
            "source": {"type": "kafka", "brokers": ["127.0.0.1:9"], "topic": "t"},
            "policy": {"storm": {"at_least": 0}, "cool_down_s": 1.0},
        }
    )
    assert other.policy.storm == Storm(at_least=0)
    later = topic.opened(made(other, profile, 0))
    assert len(later.pipeline.policies) == 1  # nothing may change before what was told is told again
    later.apply(1, wire.read(sent[0][1], ID))
    decided = later.pipeline.decided
    topic.snapshot(later)
    again = topic.opened(made(other, profile, 0))
    first, second = again.pipeline.policies
    assert (first.since, second.since) == (0, decided + 1)
    assert second.policy.cool_down_s == 1.0


def test_the_state_of_another_profile_is_refused(settings: Settings, profile: Profile) -> None:
    topic = Topic()
    topic.snapshot(made(settings, profile, 0))
    mark = msgspec.msgpack.decode(topic.entries[MARK])
    mark[1] = "another"
    topic.entries[MARK] = msgspec.msgpack.encode(mark)
    with pytest.raises(StoreError, match="state is of profile another over 2 partitions"):
        topic.opened(made(settings, profile, 0))
