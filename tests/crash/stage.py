"""A topic that is written, runners that read it into stores of their own, and what has arrived where."""

from __future__ import annotations

import threading
import zlib
from collections import Counter
from collections.abc import Iterable, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, NamedTuple, Self

import msgspec
from elasticsearch import Elasticsearch
from kafka import KafkaProducer
from kafka.admin import KafkaAdminClient

from detector.alert import Alert
from detector.logs.native import decode_many
from detector.profile import artefact
from detector.run import delivery
from detector.run.outbox import Outbox
from detector.run.replay import read_logs, replay
from detector.run.store import Reader
from detector.settings import PolicySettings
from tests.run.child import Child, configured, total
from tests.run.kept import Kept, Told, kept, told
from tests.run.scene import document
from tests.servers.elasticsearch import ElasticsearchServer
from tests.servers.kafka import KafkaServer

PARTITIONS = 4
LONGEST_PAUSE_S = 2 * delivery.CAP_S  # of a courier whose sink was away for long


class Record(NamedTuple):
    partition: int
    client: str
    line: bytes


class _Named(msgspec.Struct):
    client: str
    at: str


def keyed(lines: Iterable[bytes]) -> list[Record]:
    """Records by client over the partitions; at the end each partition gets one by which all ticks can close."""
    records = []
    for line in lines:
        client = msgspec.json.decode(line, type=_Named).client
        records.append(Record(zlib.crc32(client.encode()) % PARTITIONS, client, line.rstrip()))
    return records + [_bell(records[-1].line, partition) for partition in range(PARTITIONS)]


def _bell(last: bytes, partition: int) -> Record:
    record = msgspec.json.decode(last)
    record |= {"client": f"bell-{partition}", "id": f"bell-{partition}", "groups": None}
    record["at"] = record["at"].replace("2026-02-", "2026-03-").replace("2026-01-", "2026-03-")
    return Record(partition, record["client"], msgspec.json.encode(record))


class Run(NamedTuple):
    """One store with its sinks: a folder, and a data stream of the same name."""

    folder: Path
    config: Path
    namespace: str


class Stage:
    def __init__(
        self, kafka: KafkaServer, elasticsearch: ElasticsearchServer, profile: Path, folder: Path, name: str
    ) -> None:
        self.kafka, self.elasticsearch = kafka, elasticsearch
        self.topic = name
        self._profile, self._folder = profile, folder
        self._children: list[Child] = []
        admin = KafkaAdminClient(bootstrap_servers=[kafka.bootstrap])
        admin.create_topics({name: {"num_partitions": PARTITIONS, "replication_factor": 1}}, wait_for_metadata=True)
        admin.close()
        self._producer = _producer(kafka)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None) -> None:
        for child in self._children:
            child.kill()
        if self.kafka.process is None:  # a test that failed leaves them as it likes
            self.kafka.start()
        if self.elasticsearch._process is None:
            self.elasticsearch.start()
        self.elasticsearch.resume()
        self._producer.close(timeout=5)

    def write(self, records: Sequence[Record], *, pause_s: float = 0.0, burst: int = 50) -> None:
        """Sends records in bursts, each acknowledged; waits for a broker that is away."""
        for start in range(0, len(records), burst):
            sent = [
                self._producer.send(self.topic, record.line, key=record.client.encode(), partition=record.partition)
                for record in records[start : start + burst]
            ]
            self._producer.flush()
            for future in sent:
                future.get(timeout=120)
            threading.Event().wait(pause_s)

    def grow(self, partitions: int) -> None:
        admin = KafkaAdminClient(bootstrap_servers=[self.kafka.bootstrap])
        admin.create_partitions({self.topic: partitions})
        admin.close()
        self._producer.close()
        self._producer = _producer(self.kafka)  # which asks the broker anew how many there are

    def new_run(self, name: str, *, namespace: str = "", **sections: Any) -> Run:
        """namespace: of the data stream; its own, where it is not another run's."""
        folder = self._folder / name
        folder.mkdir()
        namespace = namespace or "".join(c for c in f"{self.topic}_{name}".lower() if c.isalnum() or c == "_")[:80]
        sinks = [
            {"type": "file", "path": str(folder / "alerts.jsonl"), "batch_size": 3},
            {
                "type": "elasticsearch",
                "url": self.elasticsearch.url,
                "namespace": namespace,
                "batch_size": 3,
                "timeout_s": 5,
            },
        ]
        source = {
            "type": "kafka",
            "brokers": [self.kafka.bootstrap],
            "topic": self.topic,
            "start": "earliest",
            "batch_size": 60,
        }
        made = document(folder, self._profile, **{"store": {"snapshot_s": 0.5}, "sinks": sinks, **sections})
        made["source"] = source | sections.get("source", {})
        return Run(folder, configured(folder / "run.toml", made), namespace)

    def start(self, run: Run) -> Child:
        return self.started(Child(run.config, run.folder / "run.log"))

    def started(self, child: Child) -> Child:
        """Notes a process that must not outlive the test."""
        self._children.append(child)
        return child

    def finish(self, run: Run, child: Child, up_to: int) -> int:
        """Waits until so many records are stored and all alerts are with the sinks, then stops the runner in good
        order. Returns how many records it read.
        """
        child.until(lambda: stored(run) == up_to, f"{up_to} records in the store")
        child.until(lambda: waiting(run) == 0, "all alerts with the sinks", LONGEST_PAUSE_S)
        read = records(child)
        assert child.stop() == 0, child.tail()
        return read

    def undisturbed(self, up_to: int) -> Kept:
        """What a runner keeps that reads the topic in one go."""
        run = self.new_run("undisturbed")
        self.finish(run, self.start(run), up_to)
        return kept(run.folder)

    def assert_each_once(self, run: Run, told: Told) -> int:
        """The alerts of the outbox, and no others, are once in the index and once in the file. Returns their number."""
        ids = sorted(id_ for of_entity in told.values() for id_ in of_entity)
        for name, arrived in (("index", self.indexed(run)), ("file", told_to_file(run))):
            assert sorted(arrived) == ids, f"the {name} has {Counter(arrived) - Counter(ids)} too many"
        return len(ids)

    def indexed(self, run: Run, *, health: bool = False) -> list[str]:
        """Ids of the alerts in the data stream, or of the heartbeats, in the order of their arrival."""
        with Elasticsearch(self.elasticsearch.url) as client:
            stream = f"logs-querywarden.alert-{run.namespace}"
            client.indices.refresh(index=stream)
            kind = {"term": {"querywarden.kind": "health"}}
            found = client.search(
                index=stream,
                size=10_000,
                seq_no_primary_term=True,
                source=["event.id"],
                query={"bool": {"must" if health else "must_not": kind}},
            )
        hits = sorted(found["hits"]["hits"], key=lambda hit: (hit["_index"], hit["_seq_no"]))
        return [hit["_source"]["event"]["id"] for hit in hits]


def _producer(kafka: KafkaServer) -> Any:
    return KafkaProducer(
        bootstrap_servers=[kafka.bootstrap],
        acks="all",
        enable_idempotence=True,
        delivery_timeout_ms=120_000,
        reconnect_backoff_max_ms=500,
    )


def written(run: Run) -> list[Alert]:
    """What the alert file holds, heartbeats too."""
    return [msgspec.json.decode(line, type=Alert) for line in (run.folder / "alerts.jsonl").read_bytes().splitlines()]


def told_to_file(run: Run) -> list[str]:
    return [alert.id for alert in written(run) if alert.kind != "health"]


def stored(run: Run) -> int:
    """Records that the store's last snapshot includes."""
    store = run.folder / "store" / "state.sqlite"
    if not store.exists() or not store.stat().st_size:
        return 0
    reader = Reader(store)
    found = reader.db.read("SELECT sum(next_offset) FROM positions")[0][0]
    reader.close()
    return int(found or 0)


def waiting(run: Run) -> int:
    """Alerts that not all sinks have taken."""
    outbox = Outbox(run.folder / "store" / "outbox.sqlite")
    found = sum(outbox.backlog(name) for name in ("file", "elasticsearch"))
    outbox.close()
    return found


def records(child: Child) -> int:
    """How many it has read since it started."""
    return int(total(child.metrics(), "querywarden_records"))


def replayed(profile: Path, records: Sequence[Record], folder: Path) -> Told:
    """What `replay` tells of the same records in one file, in the order of time."""
    path = folder / "replayed.jsonl"
    path.write_bytes(b"".join(record.line + b"\n" for record in records))
    loaded = artefact.load(profile)
    policy = PolicySettings().over(loaded.summary.policy.thresholds)
    return told(replay(loaded, policy, read_logs([str(path)]), decode_many).alerts)
