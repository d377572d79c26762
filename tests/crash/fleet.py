"""Several workers on one topic, each a process that can be killed, and what they leave behind in Kafka."""

from __future__ import annotations

import signal
import threading
from collections import Counter
from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

import msgspec
from kafka import KafkaConsumer, TopicPartition

from detector.alert import Alert
from detector.cluster.names import Names
from detector.cluster.partition import CASE, ROW, Row
from detector.decide import Case
from tests.crash.stage import Run, Stage
from tests.run.child import Child, command, until

PARTITIONS = 3
SNAPSHOT_S = 3.0  # long enough that alerts are told between snapshots
PATIENCE_S = 180.0  # for groups to settle again after everything was killed
CLIENTS_ALONE: Mapping[str, Any] = {"storm": {"at_least": 0}}


class Left(NamedTuple):
    """What is durable: rows by client, cases by key, and the alerts of the topic in the order of each partition."""

    rows: dict[str, bytes]
    cases: dict[bytes, Case]
    alerts: list[Alert]


class Fleet:
    """`workers` processes; `supervise` starts again whichever ended."""

    def __init__(self, stage: Stage, workers: int, start: str = "earliest", **source: Any) -> None:
        self.stage = stage
        self.names = Names(stage.topic.lower())
        cluster = {
            "name": self.names.name,
            "partitions": PARTITIONS,
            "replication": 1,
            "clients_only": True,
            "session_s": 6.0,
        }
        sections = {
            "cluster": cluster,
            "policy": CLIENTS_ALONE,
            "source": {"batch_size": 400, "start": start, **source},
            "store": {"snapshot_s": SNAPSHOT_S},
        }
        first = stage.new_run("worker-0", **sections)
        others = [stage.new_run(f"worker-{i}", namespace=first.namespace, **sections) for i in range(1, workers)]
        self.runs = [first, *others]
        self.children: dict[int, Child] = {}
        self.ended = 0  # by themselves

    @property
    def first(self) -> Run:
        return self.runs[0]

    def topics(self) -> tuple[int, str]:
        return command("topics", self.first.config)

    def start(self, number: int) -> None:
        run = self.runs[number]
        self.children[number] = self.stage.started(Child(run.config, run.folder / "run.log", "worker"))

    def kill(self, number: int) -> None:
        self.children.pop(number).kill()

    def freeze(self, number: int, seconds: float) -> None:
        """As if it hung: it wakes when others have its partitions."""
        process = self.children[number].process
        process.send_signal(signal.SIGSTOP)
        threading.Event().wait(seconds)
        process.send_signal(signal.SIGCONT)

    def supervise(self) -> None:
        for number, child in list(self.children.items()):
            if child.process.poll() is not None:
                self.ended += 1
                self.start(number)

    def drain(self) -> None:
        """Until all that is in the log is judged and saved, and all sinks have all alerts."""

        def drained() -> bool:
            self.supervise()
            return self._reached(self.names.projecting, self.stage.topic) and all(
                self._reached(group, topic)
                for group, topic in (
                    (self.names.judging, self.names.queries),
                    (self.names.delivering, self.names.alerts),
                )
            )

        until(drained, lambda: "\n".join(child.tail() for child in self.children.values()), PATIENCE_S)

    def left(self) -> Left:
        rows: dict[str, bytes] = {}
        cases: dict[bytes, Case] = {}
        for record in self._read(self.names.state):
            if record.key[:1] == ROW:
                row = msgspec.msgpack.decode(record.value, type=Row)
                rows[row.id] = row.row
            elif record.key[:1] == CASE:
                cases[record.key[1:]] = msgspec.msgpack.decode(record.value, type=Case)
        alerts = [msgspec.msgpack.decode(record.value, type=Alert) for record in self._read(self.names.alerts)]
        return Left(rows, cases, alerts)

    def indexed(self) -> Counter[str]:
        return Counter(self.stage.indexed(self.first))

    def _read(self, topic: str) -> Iterator[Any]:
        consumer = self._consumer(None)
        partitions = [TopicPartition(topic, number) for number in range(PARTITIONS)]
        consumer.assign(partitions)
        consumer.seek_to_beginning(*partitions)
        ends = consumer.end_offsets(partitions)
        while any(consumer.position(partition) < ends[partition] for partition in partitions):
            for records in consumer.poll(timeout_ms=500).values():
                yield from records
        consumer.close()

    def _reached(self, group: str, topic: str) -> bool:
        """Whether a group has committed the end of a topic, or the marker of a transaction that ends it."""
        consumer = self._consumer(group)
        try:
            partitions = [TopicPartition(topic, n) for n in sorted(consumer.partitions_for_topic(topic) or ())]
            begins, ends = consumer.beginning_offsets(partitions), consumer.end_offsets(partitions)
            marker = int(topic == self.names.alerts)
            return bool(partitions) and all(
                ends[p] == begins[p] or (consumer.committed(p) or 0) >= ends[p] - marker for p in partitions
            )
        finally:
            consumer.close(autocommit=False)

    def _consumer(self, group: str | None) -> Any:
        return KafkaConsumer(
            bootstrap_servers=[self.stage.kafka.bootstrap],
            group_id=group,
            enable_auto_commit=False,
            isolation_level="read_committed",
            metrics_enabled=False,
        )
