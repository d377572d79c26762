"""Workers on a topic of their own, that are measured from rest to rest."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple
from zlib import crc32

from kafka import KafkaProducer
from kafka.admin import KafkaAdminClient
from prometheus_client.parser import text_string_to_metric_families

from bench.speed import DECODER
from detector.cluster.names import Names
from detector.settings import Settings, load
from tests.run.child import configured
from tests.servers.kafka import KafkaServer
from tests.servers.kafka.server import free_port

PARTITIONS = 6
WARM_UP = 24_000  # records; written in pieces, until each worker has judged some
PIECES = 6
LOOK_S = 0.1  # each look costs the worker some milliseconds
REST_S = 2.0
MOST_ENDED = 3
PATIENCE_S = 180.0
SESSION_S = 120.0  # much longer than the log is written: who is stopped for longer has its partitions given away
TICKS = os.sysconf("SC_CLK_TCK")


class Pass(NamedTuple):
    """All records once: seconds on the clock, of processor time of all workers, and of the broker's."""

    wall_s: float
    processor_s: float
    broker_s: float


class Rest(NamedTuple):
    """How many queries were judged when nothing was any more, and when the last one was (monotonic clock)."""

    judged: float
    since: float


class Fleet:
    """Workers on a topic of their own. sections: of their settings."""

    def __init__(self, server: KafkaServer, folder: Path, topic: str, count: int, **sections: Any) -> None:
        self._server, self.topic, self._sections = server, topic, sections
        self.names = Names(f"of-{topic}")
        admin: Any = KafkaAdminClient(bootstrap_servers=[server.bootstrap])
        admin.create_topics({topic: {"num_partitions": PARTITIONS, "replication_factor": 1}}, wait_for_metadata=True)
        admin.close()
        self._ports = [free_port() for _ in range(count)]
        self._configs = [self._configured(folder / f"{topic}-{i}", folder, port) for i, port in enumerate(self._ports)]
        self._workers: list[subprocess.Popen[bytes]] = []

    @contextmanager
    def running(self) -> Iterator[list[subprocess.Popen[bytes]]]:
        command = [sys.executable, "-m", "detector.cli", "topics", "--config", str(self._configs[0])]
        subprocess.run(command, check=True, capture_output=True)
        self._workers = [_started(config) for config in self._configs]
        try:
            yield self._workers
        finally:
            for worker in self._workers:
                worker.kill()
                worker.wait()

    def timed(self, lines: Sequence[bytes]) -> Pass:
        """Judges what comes after the first WARM_UP lines, in one go."""
        with self.running() as workers:
            rest = self.warmed_up(lines[:WARM_UP])
            for worker in workers:
                worker.send_signal(signal.SIGSTOP)
            began = time.monotonic()
            write(self._server.bootstrap, self.topic, lines[WARM_UP:])
            assert time.monotonic() - began < SESSION_S / 2, "the log was written too slowly"
            before = [processor_s(worker.pid) for worker in workers], processor_s(self._broker())
            began = time.monotonic()
            for worker in workers:
                worker.send_signal(signal.SIGCONT)
            pids = [worker.pid for worker in workers]
            end = self.at_rest(rest.judged + len(lines) - WARM_UP)
            assert [worker.pid for worker in workers] == pids, "a worker ended while it was timed"
            used = [processor_s(worker.pid) for worker in workers]
            return Pass(end.since - began, sum(used) - sum(before[0]), processor_s(self._broker()) - before[1])

    def warmed_up(self, lines: Sequence[bytes]) -> Rest:
        """Writes lines in pieces; all of them, and by then each worker has judged some."""
        rest, size = Rest(0.0, 0.0), -(-len(lines) // PIECES)
        for start in range(0, len(lines), size):
            piece = lines[start : start + size]
            write(self._server.bootstrap, self.topic, piece)
            rest = self.at_rest(rest.judged + len(piece))
        assert all(self._judged()), "a worker has nothing to do"
        return rest

    def at_rest(self, judged: float) -> Rest:
        """Waits until so many queries are judged, and no more are; whoever ended is started again."""
        end, last, since, ended = time.monotonic() + PATIENCE_S, -1.0, 0.0, 0
        while True:
            for number, worker in enumerate(self._workers):
                if worker.poll() is not None:
                    ended += 1
                    assert ended <= MOST_ENDED, "the workers end again and again"
                    self._workers[number] = _started(self._configs[number])
            found, now = sum(self._judged()), time.monotonic()
            if found != last:
                last, since = found, now
            elif found >= judged and now - since >= REST_S:
                return Rest(found, since)
            assert now < end, f"{found:,.0f} of {judged:,.0f} are judged, and no more"
            time.sleep(LOOK_S)

    def settings(self) -> Settings:
        return load(self._configs[0], {})

    def _judged(self) -> list[float]:
        return [_judged(port) for port in self._ports]

    def _broker(self) -> int:
        assert self._server.process is not None
        return self._server.process.pid

    def _configured(self, own: Path, folder: Path, port: int) -> Path:
        own.mkdir()
        document = {
            "source": {
                "type": "kafka",
                "brokers": [self._server.bootstrap],
                "topic": self.topic,
                "start": "earliest",
            },
            "profile": {"path": str(folder / "profile")},
            "store": {"path": str(own / "store")},
            "cluster": {
                "name": self.names.name,
                "partitions": PARTITIONS,
                "replication": 1,
                "session_s": SESSION_S,
            },
            "telemetry": {"port": port},
        }
        return configured(own / "worker.toml", document | self._sections)


def _started(config: Path) -> subprocess.Popen[bytes]:
    return subprocess.Popen([sys.executable, "-m", "detector.cli", "worker", "--config", str(config)])


def write(bootstrap: str, topic: str, lines: Sequence[bytes]) -> None:
    """A client's records lie in one partition, as a server would key them."""
    producer: Any = KafkaProducer(bootstrap_servers=[bootstrap], linger_ms=20, batch_size=1 << 18)
    for line in lines:
        client: str = DECODER.decode(line).client or ""
        producer.send(topic, line, partition=crc32(client.encode()) % PARTITIONS)
    producer.flush()
    producer.close()


def _judged(port: int) -> float:
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=10) as answer:
            text = answer.read().decode()
    except OSError:
        return 0.0
    samples = [s for family in text_string_to_metric_families(text) for s in family.samples]
    return sum(sample.value for sample in samples if sample.name == "querywarden_queries_total")


def processor_s(pid: int) -> float:
    """User and system time of a process so far (proc(5))."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / TICKS
