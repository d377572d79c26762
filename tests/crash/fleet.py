"""Several workers on one topic, each a process that can be killed, and what they leave behind in Kafka."""

from __future__ import annotations

import signal
import threading
from collections import Counter
from collections.abc import Iterator
from itertools import chain
from typing import Any, NamedTuple

import msgspec
from kafka import KafkaConsumer, TopicPartition

from detector.alert import Alert
from detector.cluster.names import Names
from detector.cluster.partition import CASE, ROW, Row
from detector.cluster.town import HELD
from detector.decide import Case
from tests.crash.stage import Run, Stage
from tests.run.child import Child, command, until

PARTITIONS = 3
SNAPSHOT_S = 3.0  # long enough that alerts are told between snapshots
PATIENCE_S = 180.0  # for groups to settle again after everything was killed


class Left(NamedTuple):
    """What is durable: rows by kind and id, cases by key, and the alerts of the topic in the order of each partition;
    those that were held. None of the bells is in it, which end the log.
    """

    rows: dict[tuple[str, str], bytes]
    cases: dict[bytes, Case]
    alerts: list[Alert]
    held: list[Alert]


class Fleet:
    """`workers` processes; `supervise` starts again whichever ended."""

    def __init__(
        self, stage: Stage, workers: int, start: str = "earliest", *, partitions: int = PARTITIONS, **source: Any
    ) -> None:
        self.stage = stage
        self.names = Names(stage.topic.lower())
        cluster = {
            "name": self.names.name,
            "partitions": partitions,
            "replication": 1,
            "session_s": 6.0,
        }
        sections = {
            "cluster": cluster,
            "source": {"batch_size": 400, "start": start, **source},
            "store": {"snapshot_s": SNAPSHOT_S},
        }
        first = stage.new_run("worker-0", **sections)
        others = [stage.new_run(f"worker-{i}", namespace=first.namespace, **sections) for i in range(1, workers)]
        self.runs = [first, *others]
        self._sections = sections
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

    def apply(self, since: str, **policy: Any) -> tuple[int, str]:
        """Asks all workers for another policy."""
        run = self.stage.new_run(f"policy-{since[:10]}", **self._sections, policy=policy)
        return command(f"policy apply --workers --since {since}", run.config)

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

    def drain(self, patience_s: float = PATIENCE_S) -> None:
        """Until all that is in the log is judged and saved, and all sinks have all alerts."""

        def drained() -> bool:
            self.supervise()
            return self._reached(self.names.projecting, self.stage.topic) and all(
                self._reached(group, topic)
                for group, topic in (
                    (self.names.judging, self.names.queries),
                    (self.names.judging, self.names.sums),
                    (self.names.judging, self.names.town),
                    (self.names.delivering, self.names.alerts),
                    (self.names.delivering, self.names.held),
                )
            )

        until(drained, lambda: "\n".join(child.tail() for child in self.children.values()), patience_s)

    def left(self) -> Left:
        rows: dict[tuple[str, str], bytes] = {}
        cases: dict[bytes, Case] = {}
        held: dict[bytes, str] = {}
        for key, value in self.entries().items():
            if key[:1] == ROW:
                row = msgspec.msgpack.decode(value, type=Row)
                rows[row.kind, row.id] = row.row
            elif key[:1] == CASE:
                cases[key[1:]] = msgspec.msgpack.decode(value, type=Case)
            elif key[:1] == HELD:
                held[key[1:]] = msgspec.msgpack.decode(value, type=str)
        cases = {key: msgspec.structs.replace(case, held=held.get(key, "")) for key, case in cases.items()}
        return Left(rows, cases, self._alerts(self.names.alerts), self._alerts(self.names.held))

    def entries(self) -> dict[bytes, bytes]:
        """What compaction will leave of the topics of state."""
        found: dict[bytes, bytes | None] = {}
        for record in chain(*map(self._read, (self.names.state, self.names.groups, self.names.sky))):
            found[record.key] = record.value
        return {key: value for key, value in found.items() if value is not None}

    def _alerts(self, topic: str) -> list[Alert]:
        return [msgspec.msgpack.decode(record.value, type=Alert) for record in self._read(topic)]

    def indexed(self) -> Counter[str]:
        return Counter(self.stage.indexed(self.first))

    def _read(self, topic: str) -> Iterator[Any]:
        consumer = self._consumer(None)
        partitions = [TopicPartition(topic, number) for number in sorted(consumer.partitions_for_topic(topic) or ())]
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
            marker = int(topic in (self.names.alerts, self.names.held))
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
