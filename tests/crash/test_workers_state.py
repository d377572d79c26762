"""What happens to the state of workers over months, on a real Kafka: upgrades, takeovers, who is forgotten."""

from __future__ import annotations

import threading
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest
from kafka import KafkaConsumer, KafkaProducer, OffsetAndMetadata, TopicPartition

from detector.cluster.partition import MARK
from detector.logs.native import decode_many
from detector.pipeline import Pipeline
from detector.policy import Dated
from detector.profile import artefact
from detector.profile.succession import name_of
from detector.reasons import rfc3339
from detector.run.replay import replay
from detector.run.successors import policy_of
from detector.settings import PolicySettings
from tests import people
from tests.cluster import test_forgetting, test_takeover, test_versions
from tests.crash.fleet import Fleet
from tests.crash.stage import PARTITIONS, Record, Stage
from tests.driving import drive, rows
from tests.run.child import command, until
from tests.servers.elasticsearch import ElasticsearchServer
from tests.servers.kafka.server import KafkaServer

pytestmark = pytest.mark.server


def bells(at: int) -> list[Record]:
    """One for each partition of the log, by which all ticks close."""
    one = people.honest(9, 1)[0]
    asked = [one._replace(client=f"bell-{i}", group=None, at=at) for i in range(PARTITIONS)]
    return [Record(i, q.client, line) for i, (q, line) in enumerate(zip(asked, people.log_of(asked), strict=True))]


def of_people(fleet: Fleet, kinds: set[str]) -> dict[tuple[str, str], bytes]:
    return {key: row for key, row in fleet.left().rows.items() if key[0] in kinds and not key[1].startswith("bell")}


# -- what an earlier version left


@pytest.fixture
def old(
    kafka: KafkaServer, elasticsearch: ElasticsearchServer, tmp_path: Path, request: pytest.FixtureRequest
) -> Iterator[Stage]:
    """With the profile under which version 1 wrote."""
    folder = test_versions.HERE / "version_1" / "profile"
    with Stage(kafka, elasticsearch, folder, tmp_path, request.node.name.replace("_", "-")) as stage:
        yield stage


def test_workers_go_on_where_those_of_version_1_stopped(old: Stage) -> None:
    """Their state, messages and commits lie in Kafka; the new topics are created, and the new workers are started."""
    left, kafka = test_versions.read(1), old.kafka
    fleet = Fleet(old, 1, partitions=test_versions.PARTITIONS)
    assert fleet.topics()[0] == 0
    lines = left["lines"]
    old.write([Record(number, "", line) for number, of in enumerate(lines) for line in of])
    old.write(bells(people.START_US + 20 * people.DAY_US))
    streams = {f"kafka:t/{number}": f"{stream_of(kafka, old.topic)}/{number}" for number in range(len(lines))}
    names, producer = fleet.names, KafkaProducer(bootstrap_servers=[kafka.bootstrap])
    for number, one in enumerate(left["partitions"]):
        for key, value in one["entries"]:
            if key == MARK:
                mark = msgspec.msgpack.decode(value)
                mark[4], mark[6]["clocks"] = renamed(mark[4], streams), renamed(mark[6]["clocks"], streams)
                mark[3] -= one["begin"]  # of a topic that begins with what was not applied
                value = msgspec.msgpack.encode(mark)
            elif key == b"t":
                value = msgspec.msgpack.encode(msgspec.msgpack.decode(value) - one["begin"])
            producer.send(names.state, value, key=key, partition=number)
        for value in one["messages"]:
            message = msgspec.msgpack.decode(value)
            message[1] = streams[message[1]]
            producer.send(names.queries, msgspec.msgpack.encode(message), partition=number)
    producer.flush()
    consumer = KafkaConsumer(bootstrap_servers=[kafka.bootstrap], group_id=names.projecting, enable_auto_commit=False)
    places = {TopicPartition(old.topic, number): at for number, at in enumerate(left["committed"])}
    consumer.commit({place: OffsetAndMetadata(at, "", -1) for place, at in places.items()})
    consumer.close(autocommit=False)
    fleet.start(0)
    fleet.drain()
    profile = artefact.load(test_versions.HERE / "version_1" / "profile")
    log = sorted((line for of in lines for line in of), key=lambda line: decode_many([line])[0][0].at)
    policy = PolicySettings().over(profile.summary.policy.thresholds)
    done = replay(profile, policy, iter([people.chunk(log)]), decode_many)
    assert of_people(fleet, {"client"}) == {key: row for key, row in rows(done.pipeline).items() if key[0] == "client"}
    told = {alert["id"] for one in left["partitions"] for alert in one["alerts"]}
    here = [alert.id for alert in fleet.left().alerts if alert.entity.kind == "client"]
    assert not told & set(here)
    assert sorted([*told, *here]) == sorted(alert.id for alert in done.alerts if alert.entity.kind == "client")
    assert fleet.ended == 0


def renamed(of: dict[str, Any], names: dict[str, str]) -> dict[str, Any]:
    return {names[name]: value for name, value in of.items()}


def stream_of(kafka: KafkaServer, topic: str) -> str:
    from detector.sources import kafka_client
    from detector.sources.kafka import KafkaSettings

    source = KafkaSettings(brokers=(kafka.bootstrap,), topic=topic)
    with kafka_client.described(source) as describe:
        return f"kafka:{describe().id}"


# -- takeovers


@pytest.fixture
def young(
    kafka: KafkaServer, elasticsearch: ElasticsearchServer, saved: Path, tmp_path: Path, request: pytest.FixtureRequest
) -> Iterator[Stage]:
    """With a profile of a few days, so that epochs close."""
    with Stage(kafka, elasticsearch, saved, tmp_path, request.node.name.replace("_", "-")) as stage:
        yield stage


def test_an_approved_successor_takes_over_for_all_from_one_log_time_on(young: Stage, saved: Path) -> None:
    """As in one process that lets it take over then, though a worker is killed."""
    profile = artefact.load(saved)
    asked = [q for q in test_takeover.made_log() if not q.client.startswith("bell")]
    records = [
        Record(sum(q.client.encode()) % PARTITIONS, q.client, line)
        for q, line in zip(asked, people.log_of(asked), strict=True)
    ]
    fleet = Fleet(young, 2)
    assert fleet.topics()[0] == 0
    for number in range(2):
        fleet.start(number)
    first = policy = PolicySettings().over(profile.summary.policy.thresholds)
    known = test_takeover.alone(profile, first, asked, []).made
    name, successor = next(iter(known.items()))
    since = successor.closed_at + people.DAY_US
    place = sum(q.at < since - people.DAY_US // 2 for q in asked)
    young.write(records[:place])
    fleet.drain()
    status, said = command("successor --workers", fleet.first.config)
    assert (status, f"Successor {name}, of the epoch that closed" in said) == (0, True), said
    status, said = command(f"successor --workers --approve {name} --since {rfc3339(since)}", fleet.first.config)
    assert (status, f"{name} takes over at {rfc3339(since)}, for all workers" in said) == (0, True), said
    again = rfc3339(since + people.DAY_US)
    status, said = command(f"successor --workers --approve {name} --since {again}", fleet.first.config)
    assert (status, "at most one may in 4 days" in said) == (1, True), said
    fleet.kill(1)
    young.write(records[place:])
    fleet.start(1)
    young.write(bells(test_takeover.BELL_AT))
    fleet.drain()
    policy = policy_of(profile, successor, first)
    whole = test_takeover.alone(profile, first, [*asked, *test_takeover.bells()], [Dated(since, policy)])
    found = of_people(fleet, {"client", "organisation"})
    expected = {key: row for key, row in whole.outcome.rows.items() if key[0] in ("client", "organisation")}
    assert found == {key: row for key, row in expected.items() if not key[1].startswith("bell")}
    left = fleet.left()
    assert left.cases == whole.outcome.cases
    assert sorted(left.alerts, key=str) == sorted(whole.outcome.alerts, key=str)
    assert policy.version in {alert.policy for alert in left.alerts}
    assert name_of(successor) == name


# -- who is forgotten


def test_who_is_forgotten_by_all_is_a_new_client_when_he_comes_again(young: Stage, saved: Path) -> None:
    """No entry that compaction leaves has his name; a worker is killed while he is forgotten."""
    gone, profile = test_forgetting.GONE, artefact.load(saved)
    asked = [q for q in test_forgetting.made_log() if not q.client.startswith("bell")]
    place = len(asked) * 2 // 3
    records = [
        Record(zlib.crc32(q.client.encode()) % PARTITIONS, q.client, line)
        for q, line in zip(asked, people.log_of(asked), strict=True)
    ]
    fleet = Fleet(young, 2)
    assert fleet.topics()[0] == 0
    for number in range(2):
        fleet.start(number)
    young.write(records[:place])
    fleet.drain()
    assert any(gone.encode() in value for value in fleet.entries().values())
    fleet.kill(1)
    forgetting = threading.Thread(target=fleet.start, args=(1,))
    forgetting.start()
    status, said = command(f"forget --workers {gone}", fleet.first.config)
    forgetting.join()
    assert (status, f"client {gone} is forgotten by all workers." in said) == (0, True), said
    assert "What was told stays until it is too old" in said
    until(lambda: not any(gone.encode() in value for value in fleet.entries().values()), lambda: "his name", 60.0)
    young.write([*records[place:], *bells(test_forgetting.BELL_AT)])
    fleet.drain()
    early = [b"rubbish" if q.client == gone else record.line for q, record in zip(asked, records[:place], strict=False)]
    policy = PolicySettings().over(profile.summary.policy.thresholds)
    pipeline = Pipeline(profile, [Dated(0, policy)], decode_many)
    lines = [*early, *(record.line for record in records[place:])]
    done = drive(pipeline, people.chunks(lines))
    assert of_people(fleet, {"client"}) == {key: row for key, row in done.rows.items() if key[0] == "client"}
    assert ("client", gone) in done.rows
