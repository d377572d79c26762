"""The Kafka source against a real broker."""

from __future__ import annotations

import threading
import time
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from typing import Any

import pytest
from kafka import KafkaProducer

from detector.errors import SourceBusy, SourceRefused
from detector.query import Chunk
from detector.secret import Secret
from detector.sources.bounds import SLACK_US
from detector.sources.kafka import KafkaSettings, probe
from detector.sources.kafka_reader import KafkaSource
from tests.sources.broker import Broker
from tests.sources.clock import HandClock
from tests.sources.conftest import Node

pytestmark = pytest.mark.server

PATIENCE_S = 60.0


def settings(broker: Broker, topic: str, **changes: Any) -> KafkaSettings:
    return KafkaSettings(brokers=(broker.bootstrap,), topic=topic, **{"start": "earliest", **changes})


def opened(wanted: KafkaSettings, positions: Mapping[str, int] | None = None, clock: HandClock | None = None) -> Any:
    source = KafkaSource(wanted, clock=clock or HandClock())
    source.open(positions or {})
    return source


def drain(source: Any, count: int, *, while_waiting: Callable[[], None] = lambda: None) -> list[Chunk]:
    """Reads until `count` records came, and checks that nothing comes after them."""
    chunks: list[Chunk] = []
    until = time.monotonic() + PATIENCE_S
    while sum(len(chunk.payloads) for chunk in chunks) < count:
        assert time.monotonic() < until, f"{sum(len(c.payloads) for c in chunks)} of {count} records came"
        found = source.read(0.2)
        chunks += found
        if not found:
            while_waiting()
    chunks += source.read(0.2)
    return chunks


def payloads(chunks: Iterable[Chunk]) -> list[bytes]:
    return [payload for chunk in chunks for payload in chunk.payloads]


def numbered(count: int, prefix: str = "") -> list[bytes]:
    return [f"{prefix}{number}".encode() for number in range(count)]


def test_every_record_of_many_partitions_comes_once_over_restarts(kafka: Broker) -> None:
    topic = kafka.topic(24)
    for partition in range(24):
        kafka.send(topic, numbered(200, f"{partition}-"), partition=partition)
    positions: dict[str, int] = {}
    seen: dict[str, list[int]] = defaultdict(list)
    got: list[bytes] = []
    while len(got) < 24 * 200:
        source = opened(settings(kafka, topic, batch_size=500), positions)
        for _ in range(3):
            for chunk in source.read(1.0):
                got += chunk.payloads
                seen[chunk.stream] += chunk.offsets
                positions[chunk.stream] = chunk.next_offset
        source.close()
    assert sorted(got) == sorted(payload for p in range(24) for payload in numbered(200, f"{p}-"))
    assert all(offsets == list(range(200)) for offsets in seen.values())
    assert len(seen) == 24


def test_some_partitions_by_hand(kafka: Broker) -> None:
    topic = kafka.topic(3)
    for partition in range(3):
        kafka.send(topic, numbered(2, f"{partition}-"), partition=partition)
    source = opened(settings(kafka, topic, partitions=(0, 2)))
    assert sorted(payloads(drain(source, 4))) == [b"0-0", b"0-1", b"2-0", b"2-1"]
    assert [name.rpartition("/")[2] for name in source.streams()] == ["0", "2"]
    source.close()
    with pytest.raises(SourceRefused, match=r"no partitions \[7\]"):
        opened(settings(kafka, topic, partitions=(7,)))


def test_a_topic_made_anew_is_another_stream(kafka: Broker) -> None:
    topic = kafka.topic()
    kafka.send(topic, numbered(5, "old-"))
    source = opened(settings(kafka, topic))
    (old,) = drain(source, 5)
    source.close()
    kafka.delete(topic)
    kafka.topic(name=topic)
    kafka.send(topic, numbered(9, "new-"))
    source = opened(settings(kafka, topic), {old.stream: old.next_offset})
    chunks = drain(source, 9)
    source.close()
    assert payloads(chunks) == numbered(9, "new-")
    assert old.stream not in {chunk.stream for chunk in chunks}


def test_a_topic_made_anew_while_it_is_read_is_read_from_its_beginning(kafka: Broker) -> None:
    topic, clock = kafka.topic(), HandClock()
    kafka.send(topic, numbered(3, "old-"))
    source = opened(settings(kafka, topic, start="latest"), {}, clock)
    kafka.send(topic, numbered(2, "old-"))
    (old,) = drain(source, 2)
    kafka.delete(topic)
    kafka.topic(name=topic)
    kafka.send(topic, numbered(20, "new-"))
    chunks = drain(source, 20, while_waiting=lambda: clock.forward(6))
    source.close()
    assert payloads(chunks) == numbered(20, "new-")
    assert old.stream not in {chunk.stream for chunk in chunks}


def test_start_latest_offset_and_time(kafka: Broker) -> None:
    topic = kafka.topic()
    kafka.send(topic, [b"early"], at_ms=1_700_000_000_000)
    kafka.send(topic, [b"late"], at_ms=1_700_000_900_000)
    between = datetime.fromtimestamp(1_700_000_500, UTC).isoformat()
    for start, expected in (("earliest", [b"early", b"late"]), ("offset:1", [b"late"]), (between, [b"late"])):
        source = opened(settings(kafka, topic, start=start))
        assert payloads(drain(source, len(expected))) == expected, start
        source.close()
    for start in ("latest", "offset:99", "2099-01-01T00:00:00Z"):
        source = opened(settings(kafka, topic, start=start))
        assert list(source.positions().values()) == [2], start
        source.close()


def test_stored_positions_beat_start(kafka: Broker) -> None:
    topic = kafka.topic()
    kafka.send(topic, numbered(4))
    source = opened(settings(kafka, topic))
    (stream,) = source.streams()
    source.close()
    source = opened(settings(kafka, topic, start="latest"), {stream: 1})
    assert payloads(drain(source, 3)) == numbered(4)[1:]
    source.close()


def test_a_partition_added_while_down_loses_nothing_to_latest(kafka: Broker) -> None:
    topic = kafka.topic()
    kafka.send(topic, numbered(1, "a-"))
    source = opened(settings(kafka, topic, start="latest"))
    positions = source.positions()
    source.close()
    kafka.grow(topic, 2)
    kafka.send(topic, numbered(3, "b-"), partition=1)
    source = opened(settings(kafka, topic, start="latest"), positions)
    assert payloads(drain(source, 3)) == numbered(3, "b-")
    source.close()


def test_partitions_added_while_running_are_read_from_their_beginning(kafka: Broker) -> None:
    topic, clock = kafka.topic(), HandClock()
    source = opened(settings(kafka, topic, start="latest"), {}, clock)
    kafka.grow(topic, 3)
    kafka.send(topic, numbered(2), partition=2)
    chunks = drain(source, 2, while_waiting=lambda: clock.forward(6))
    assert [chunk.stream.rpartition("/")[2] for chunk in chunks] == ["2"]
    assert len(source.streams()) == 3
    source.close()


def test_a_gap_is_refused_and_says_how_much_is_missing(kafka: Broker) -> None:
    topic = kafka.topic()
    kafka.send(topic, numbered(10))
    source = opened(settings(kafka, topic))
    (stream,) = source.streams()
    source.close()
    kafka.forget(topic, before=7)
    with pytest.raises(SourceRefused, match=r"4 records are gone.*on_gap"):
        opened(settings(kafka, topic), {stream: 3})
    source = opened(settings(kafka, topic, on_gap="continue"), {stream: 3})
    assert payloads(drain(source, 3)) == numbered(10)[7:]
    source.close()


def test_a_gap_that_opens_while_reading(kafka: Broker) -> None:
    topic = kafka.topic()
    kafka.send(topic, numbered(10))
    lenient = opened(settings(kafka, topic, on_gap="continue"))
    strict = opened(settings(kafka, topic))
    kafka.forget(topic, before=10)
    kafka.send(topic, [b"next"])
    assert payloads(drain(lenient, 1)) == [b"next"]
    with pytest.raises(SourceRefused, match="10 records are gone"):
        drain(strict, 1)
    lenient.close()
    strict.close()


def test_a_position_beyond_the_end_is_refused(kafka: Broker) -> None:
    topic = kafka.topic()
    source = opened(settings(kafka, topic))
    (stream,) = source.streams()
    source.close()
    with pytest.raises(SourceRefused, match="before the stored position 5"):
        opened(settings(kafka, topic), {stream: 5})


def test_a_tombstone_is_an_empty_payload(kafka: Broker) -> None:
    topic = kafka.topic()
    kafka.send(topic, [b"x", None])
    source = opened(settings(kafka, topic))
    assert payloads(drain(source, 2)) == [b"x", b""]
    source.close()


def test_bounds_are_the_time_of_reading_or_the_broker_s(kafka: Broker) -> None:
    clock = HandClock()
    made, appended = kafka.topic(), kafka.topic(configs={"message.timestamp.type": "LogAppendTime"})
    for topic in (made, appended):
        kafka.send(topic, [b"x"], at_ms=1_000)
    source = opened(settings(kafka, made), {}, clock)
    assert drain(source, 1)[0].bounds_at == [clock() + SLACK_US]
    source.close()
    source = opened(settings(kafka, appended), {}, clock)
    (bound,) = drain(source, 1)[0].bounds_at
    assert abs(bound - SLACK_US - time.time_ns() // 1000) < 60_000_000
    source.close()


def test_the_position_passes_aborted_and_control_records(kafka: Broker) -> None:
    topic = kafka.topic()
    producer = KafkaProducer(bootstrap_servers=[kafka.bootstrap], transactional_id="tester")
    producer.init_transactions()
    for value, finish in ((b"kept", producer.commit_transaction), (b"gone", producer.abort_transaction)):
        producer.begin_transaction()
        producer.send(topic, value, partition=0).get(timeout=30)
        finish()
    producer.close()
    source = opened(settings(kafka, topic))
    assert payloads(drain(source, 1)) == [b"kept"]
    assert source.positions() == dict.fromkeys(source.streams(), 4)
    assert source.lag() == dict.fromkeys(source.streams(), 0)
    source.close()


def test_lag_counts_what_was_not_read(kafka: Broker) -> None:
    topic = kafka.topic()
    kafka.send(topic, numbered(30))
    source = opened(settings(kafka, topic, batch_size=10))
    assert list(source.lag().values()) == [30]
    assert source.read(10.0)
    assert list(source.lag().values()) == [20]
    source.close()


def test_commit_tells_the_broker_only_with_a_group(kafka: Broker) -> None:
    topic = kafka.topic()
    kafka.send(topic, numbered(3))
    for group in (None, "monitored"):
        source = opened(settings(kafka, topic, group=group, partitions=(0,)))
        (chunk,) = drain(source, 3)
        source.commit({chunk.stream: chunk.next_offset})
        until = time.monotonic() + PATIENCE_S
        while group and not committed(kafka, group) and time.monotonic() < until:
            source.read(0.05)
        source.close()
    assert committed(kafka, "monitored") == {topic: 3}


def committed(kafka: Broker, group: str) -> dict[str, int]:
    offsets = kafka.admin.list_group_offsets(group)[group]
    return {partition.topic: found.offset for partition, found in offsets.items()}


def test_members_of_a_group_share_the_partitions(kafka: Broker) -> None:
    topic = kafka.topic(4)
    members = [opened(settings(kafka, topic, group="shared")) for _ in range(2)]
    got: list[list[bytes]] = [[], []]
    stop = threading.Event()

    def read(member: int) -> None:  # members are processes of their own, so each needs a thread here
        while not stop.is_set():
            got[member] += payloads(members[member].read(0.2))

    with ThreadPoolExecutor() as pool:
        try:
            reading = [pool.submit(read, member) for member in range(2)]
            wait_for(lambda: [len(member.positions()) for member in members] == [2, 2])
            for partition in range(4):
                kafka.send(topic, numbered(5, f"{partition}-"), partition=partition)
            wait_for(lambda: len(got[0]) + len(got[1]) >= 20)
        finally:
            stop.set()
        for future in reading:
            future.result()
    assert [len(part) for part in got] == [10, 10]
    assert sorted(got[0] + got[1]) == sorted(payload for p in range(4) for payload in numbered(5, f"{p}-"))
    for member in members:
        member.close()


def wait_for(true: Callable[[], bool]) -> None:
    until = time.monotonic() + PATIENCE_S
    while not true():
        assert time.monotonic() < until
        time.sleep(0.02)


@pytest.mark.parametrize("mechanism", ["PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512"])
def test_sasl_over_tls(kafka: Broker, kafka_node: Node, password: Secret, mechanism: Any) -> None:
    topic = kafka.topic()
    kafka.send(topic, [b"secret"])
    wanted = secured(kafka_node, topic, password=password, sasl_mechanism=mechanism)
    assert "1 of 1 partitions" in probe(wanted)
    source = opened(wanted)
    assert payloads(drain(source, 1)) == [b"secret"]
    source.close()


def secured(node: Node, topic: str, **changes: Any) -> KafkaSettings:
    usual = {"tls": True, "ca_file": str(node.secure.ca_file), "username": "alice", "start": "earliest"}
    return KafkaSettings(brokers=(node.secure.bootstrap,), topic=topic, **{**usual, **changes})


@pytest.mark.parametrize("mechanism", ["PLAIN", "SCRAM-SHA-256"])
def test_a_wrong_password_is_refused(
    kafka: Broker, kafka_node: Node, monkeypatch: pytest.MonkeyPatch, mechanism: Any
) -> None:
    monkeypatch.setenv("TEST_KAFKA_PASSWORD", "wrong")
    wanted = secured(kafka_node, "any", password=Secret(env="TEST_KAFKA_PASSWORD"), sasl_mechanism=mechanism)
    with pytest.raises(SourceRefused, match="refuse this client") as refused:
        opened(wanted)
    assert "wrong" not in str(refused.value)


def test_an_untrusted_certificate_is_refused(kafka_node: Node, password: Secret) -> None:
    wanted = secured(kafka_node, "any", password=password, sasl_mechanism="PLAIN", ca_file=None, connect_timeout_s=1.0)
    with pytest.raises(SourceRefused, match="certificate"):
        probe(wanted)


def test_an_unknown_topic_is_refused(kafka: Broker) -> None:
    with pytest.raises(SourceRefused, match="no topic nowhere"):
        opened(settings(kafka, "nowhere"))


def test_nobody_there_is_busy() -> None:
    with pytest.raises(SourceBusy, match="do not answer"):
        probe(KafkaSettings(brokers=("127.0.0.1:1",), topic="t", connect_timeout_s=0.5))


def test_a_killed_broker_loses_nothing(kafka: Broker, kafka_node: Node) -> None:
    topic, clock = kafka.topic(2), HandClock()
    for partition in range(2):
        kafka.send(topic, numbered(3_000, f"{partition}-"), partition=partition)
    source = opened(settings(kafka, topic, batch_size=500), {}, clock)
    got = payloads(source.read(10.0))
    kafka_node.server.kill()
    clock.forward(61)
    while found := source.read(0.2):  # what was fetched before
        got += payloads(found)
    assert source.read(0.1) == []
    kafka_node.server.start()
    got += payloads(drain(source, 6_000 - len(got), while_waiting=lambda: clock.forward(6)))
    kafka.send(topic, [b"after"])
    got += payloads(drain(source, 1))
    source.close()
    assert sorted(got) == sorted([*numbered(3_000, "0-"), *numbered(3_000, "1-"), b"after"])
