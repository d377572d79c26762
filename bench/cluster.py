"""What workers cost: one and two of them from a real Kafka topic to durable results, beside bare reading and decoding.

python -m bench.cluster

Workers are stopped (SIGSTOP) while the log is written and timed from when they go on until all is judged. Processor
time is the whole of a worker's process; what the broker takes is given beside it, since it shares the machine.
"""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, NamedTuple
from zlib import crc32

import numpy as np
from kafka import KafkaConsumer, KafkaProducer, TopicPartition
from kafka.admin import KafkaAdminClient
from prometheus_client.parser import text_string_to_metric_families

from bench.results import BUILD, save, say, spread, table
from bench.speed import DECODER, digits_lines, digits_profile, replayed
from detector.cluster import entry, topics
from detector.cluster.clients import Clients
from detector.cluster.ledger import Ledger, Owned
from detector.cluster.names import Names
from detector.cluster.stages import Making
from detector.cluster.wire import Routes
from detector.entities import Entities
from detector.logs import DECODERS
from detector.profile import artefact
from detector.settings import Settings, load
from detector.sources.kafka import KafkaSettings
from tests.run.child import configured
from tests.servers.kafka import KafkaServer, kafka_server
from tests.servers.kafka.server import free_port

WARM_UP = 20_000
RECORDS = 120_000
PARTITIONS = 6
ROUNDS = 3
ENTITIES = 100_000
LOOK_S = 0.05
PATIENCE_S = 300.0
SESSION_S = 60.0  # longer than the log is written
TICKS = os.sysconf("SC_CLK_TCK")


class Pass(NamedTuple):
    """All records once: seconds on the clock, of processor time of all workers, and of the broker's."""

    wall_s: float
    processor_s: float
    broker_s: float


def main() -> None:
    profile, lines = digits_profile(), digits_lines(WARM_UP + RECORDS)
    BUILD.mkdir(parents=True, exist_ok=True)
    replayed(profile, lines[:WARM_UP], DECODERS["native"])  # compiles the kernels
    passes: dict[str, list[Pass]] = {"reading alone": [], "one worker": [], "two workers": []}
    with TemporaryDirectory(dir=BUILD) as name:
        folder = Path(name)
        artefact.save(profile, folder / "profile")
        say("starting Kafka")
        with kafka_server(folder / "kafka") as server:
            for turn in range(ROUNDS):
                for count, way in ((1, "one worker"), (2, "two workers")):
                    fleet = Fleet(server, folder, f"turn-{turn}-{count}", count)
                    passes[way].append(fleet.timed(lines))
                    say(f"{way}: {RECORDS / passes[way][-1].wall_s:,.0f} records a second")
                passes["reading alone"].append(read_alone(server, f"turn-{turn}-1"))
            moved = move(Fleet(server, folder, "moved", 1).settings())
    found = summary(passes) | moved
    save("cluster", found, page(found))


class Fleet:
    """Workers on a topic of their own."""

    def __init__(
        self, server: KafkaServer, folder: Path, topic: str, count: int, sinks: Sequence[Mapping[str, Any]] = ()
    ) -> None:
        self._server, self._topic, self._sinks = server, topic, list(sinks)
        admin: Any = KafkaAdminClient(bootstrap_servers=[server.bootstrap])
        admin.create_topics({topic: {"num_partitions": PARTITIONS, "replication_factor": 1}}, wait_for_metadata=True)
        admin.close()
        self._ports = [free_port() for _ in range(count)]
        self._configs = [self._configured(folder / f"{topic}-{i}", folder, port) for i, port in enumerate(self._ports)]

    @contextmanager
    def running(self) -> Iterator[list[subprocess.Popen[bytes]]]:
        command = [sys.executable, "-m", "detector.cli"]
        subprocess.run([*command, "topics", "--config", str(self._configs[0])], check=True, capture_output=True)
        workers = [subprocess.Popen([*command, "worker", "--config", str(config)]) for config in self._configs]
        try:
            yield workers
        finally:
            for worker in workers:
                worker.kill()
                worker.wait()

    def timed(self, lines: Sequence[bytes]) -> Pass:
        with self.running() as workers:
            write(self._server.bootstrap, self._topic, lines[:WARM_UP])
            self.until_judged(WARM_UP)
            for worker in workers:
                worker.send_signal(signal.SIGSTOP)
            write(self._server.bootstrap, self._topic, lines[WARM_UP:])
            before = [_processor_s(worker.pid) for worker in workers], _processor_s(self._broker())
            began = time.perf_counter()
            for worker in workers:
                worker.send_signal(signal.SIGCONT)
            self.until_judged(WARM_UP + RECORDS)
            wall_s = time.perf_counter() - began
            used = [_processor_s(worker.pid) for worker in workers]
            return Pass(wall_s, sum(used) - sum(before[0]), _processor_s(self._broker()) - before[1])

    def settings(self) -> Settings:
        return load(self._configs[0], {})

    def _broker(self) -> int:
        assert self._server.process is not None
        return self._server.process.pid

    def _configured(self, own: Path, folder: Path, port: int) -> Path:
        own.mkdir()
        document = {
            "source": {
                "type": "kafka",
                "brokers": [self._server.bootstrap],
                "topic": self._topic,
                "start": "earliest",
            },
            "profile": {"path": str(folder / "profile")},
            "store": {"path": str(own / "store")},
            "cluster": {
                "name": f"of-{self._topic}",
                "partitions": PARTITIONS,
                "replication": 1,
                "session_s": SESSION_S,
            },
            "sinks": self._sinks,
            "telemetry": {"port": port},
        }
        return configured(own / "worker.toml", document)

    def until_judged(self, records: int) -> None:
        end = time.monotonic() + PATIENCE_S
        while sum(_judged(port) for port in self._ports) < records:
            assert time.monotonic() < end, "the workers do not come to the end"
            time.sleep(LOOK_S)


def move(settings: Settings) -> dict[str, Any]:
    """The state of a partition with many clients: saved whole, and opened as another worker would."""
    assert isinstance(settings.source, KafkaSettings)
    profile = artefact.load(Path(settings.profile.path or ""))
    policy = settings.policy.over(profile.summary.policy.thresholds)
    topics.settle(settings, settings.source, policy)
    routes = Routes(profile.secret, PARTITIONS, DECODERS["native"], profile.summary.model)
    making = Making(settings, profile, routes, [])
    names = Names(settings.cluster.name)
    ledger = Ledger(entry.of(settings.source), names, making.stages(names)[0])

    async def moved() -> dict[str, Any]:
        own = await ledger.open(0)
        clients = _clients(own)
        slots = clients.slots([f"client-{i}" for i in range(ENTITIES)])
        clients.rows["n"][slots] = 1
        clients.touched(slots)
        began = time.perf_counter()
        await own.snapshot()
        saved = time.perf_counter()
        other = await ledger.open(0)
        opened = time.perf_counter()
        assert len(_clients(other)) == ENTITIES
        await own.close()
        await other.close()
        return {"entities": ENTITIES, "saved_s": saved - began, "opened_s": opened - saved}

    return asyncio.run(moved())


def _clients(own: Owned) -> Entities:
    assert isinstance(own.partition.work, Clients)
    return own.partition.work.pipeline.clients


def write(bootstrap: str, topic: str, lines: Sequence[bytes]) -> None:
    """A client's records lie in one partition, as a server would key them."""
    producer: Any = KafkaProducer(bootstrap_servers=[bootstrap], linger_ms=20, batch_size=1 << 18)
    for line in lines:
        client: str = DECODER.decode(line).client or ""
        producer.send(topic, line, partition=crc32(client.encode()) % PARTITIONS)
    producer.flush()
    producer.close()


def read_alone(server: KafkaServer, topic: str) -> Pass:
    """kafka-python as bench.kafka sets it up, each value decoded into a typed struct."""
    settings = KafkaSettings(brokers=(server.bootstrap,), topic=topic)
    consumer: Any = KafkaConsumer(
        bootstrap_servers=list(settings.brokers),
        enable_auto_commit=False,
        isolation_level="read_committed",
        max_poll_records=settings.batch_size,
        metrics_enabled=False,
    )
    partitions = [TopicPartition(topic, number) for number in range(PARTITIONS)]
    consumer.assign(partitions)
    consumer.seek_to_beginning(*partitions)
    assert server.process is not None
    broker = _processor_s(server.process.pid)
    began, used, read = time.perf_counter(), time.process_time(), 0
    while read < WARM_UP + RECORDS:
        for records in consumer.poll(timeout_ms=200).values():
            for record in records:
                DECODER.decode(record.value)
            read += len(records)
    share = RECORDS / read
    done = Pass(
        (time.perf_counter() - began) * share,
        (time.process_time() - used) * share,
        (_processor_s(server.process.pid) - broker) * share,
    )
    consumer.close()
    return done


def _judged(port: int) -> float:
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=10) as answer:
            text = answer.read().decode()
    except OSError:
        return 0.0
    samples = [s for family in text_string_to_metric_families(text) for s in family.samples]
    return sum(sample.value for sample in samples if sample.name == "querywarden_queries_total")


def _processor_s(pid: int) -> float:
    """User and system time of a process so far (proc(5))."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / TICKS


def summary(passes: Mapping[str, list[Pass]]) -> dict[str, Any]:
    alone, one, two = (np.array(of) for of in passes.values())
    return {
        "records": RECORDS,
        "partitions": PARTITIONS,
        "rounds": ROUNDS,
        "rates": {name: _spread(RECORDS / np.array(of)[:, 0]) for name, of in passes.items()},
        "processor_us": {name: _spread(1e6 * np.array(of)[:, 1] / RECORDS) for name, of in passes.items()},
        "broker_us": {name: _spread(1e6 * np.array(of)[:, 2] / RECORDS) for name, of in passes.items()},
        "ratio": _spread(alone[:, 0] / one[:, 0]),
        "processor_ratio": _spread(alone[:, 1] / one[:, 1]),
        "second": _spread(one[:, 0] / two[:, 0]),
        "load": os.getloadavg()[0],
    }


def _spread(values: np.ndarray) -> list[float]:
    """Median, least, most."""
    return [float(np.median(values)), float(values.min()), float(values.max())]


def page(found: Mapping[str, Any]) -> str:
    rows = [
        (
            name,
            spread(found["rates"][name], "{:,.0f}"),
            spread(found["processor_us"][name], "{:.1f}"),
            spread(found["broker_us"][name], "{:.1f}"),
        )
        for name in found["rates"]
    ]
    return "\n".join(
        [
            "# Throughput of workers",
            "",
            f"`python -m bench.cluster`. A real broker on the same machine, {found['partitions']} partitions, "
            f"{found['records']:,} records (64 inputs, 10 probabilities). Workers as they are, from the log to results "
            "that are judged, with a snapshot every 30 s; reading alone is kafka-python, each value decoded into a "
            f"typed msgspec struct. Medians of {found['rounds']} rounds, [least, most] in brackets.",
            "",
            table(["", "records a second", "µs of processor time a record", "µs of the broker's"], rows),
            "",
            f"Of the throughput of reading alone, one worker has {spread(found['ratio'], '{:.2f}')}; by processor time "
            f"{spread(found['processor_ratio'], '{:.2f}')}. Two workers have {spread(found['second'], '{:.2f}')} times "
            "the throughput of one, on a machine whose cores they share with the broker. Load average of the two cores "
            f"at the end: {found['load']:.1f}.",
            "",
            f"A partition of {found['entities']:,} clients, all of them changed, is saved in {found['saved_s']:.1f} s, "
            f"and opened by another worker in {found['opened_s']:.1f} s.",
        ]
    )


if __name__ == "__main__":
    main()
