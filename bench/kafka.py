"""How fast the runner reads a real Kafka topic, beside a loop that only reads and decodes it.

python -m bench.kafka

Counted from the first record that arrives to the last that is dealt with; both are warm, and take turns.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, NamedTuple

import msgspec
import numpy as np
from kafka import KafkaConsumer, TopicPartition
from kafka.admin import KafkaAdminClient

from bench.fleet import PARTITIONS, write
from bench.results import BUILD, save, say, spread, table
from bench.speed import DECODER, digits_lines, digits_profile, replayed
from detector.logs import DECODERS
from detector.profile import artefact
from detector.profile.artefact import Profile
from detector.query import Chunk
from detector.run.local import LocalRunner
from detector.settings import Settings, settings_of
from detector.sources.kafka import KafkaSettings
from detector.sources.kafka_reader import KafkaSource
from tests.servers.kafka import kafka_server

RECORDS = 160_000
ROUNDS = 5
TOPIC = "inference"
SNAPSHOT_S = 2.0  # often enough that every round takes some
AT_LEAST = 1 / 3


class Pass(NamedTuple):
    """All records once: seconds on the clock, and of the process's processor time (its network thread's too)."""

    wall_s: float
    processor_s: float


class Timer:
    """Runs from `start`, which only counts once."""

    def __init__(self) -> None:
        self._began: tuple[float, float] | None = None

    def start(self) -> None:
        self._began = self._began or self._now()

    def read(self) -> Pass:
        assert self._began is not None, "nothing came"
        return Pass(*(now - then for now, then in zip(self._now(), self._began, strict=True)))

    def _now(self) -> tuple[float, float]:
        return time.perf_counter(), time.process_time()


def main() -> None:
    profile, lines = digits_profile(), digits_lines(RECORDS)
    BUILD.mkdir(parents=True, exist_ok=True)
    with TemporaryDirectory(dir=BUILD) as name:
        folder = Path(name)
        artefact.save(profile, folder / "profile")
        say("starting Kafka")
        with kafka_server(folder / "kafka") as server:
            fill(server.bootstrap, lines)
            passes = measured(profile, lines, server.bootstrap, folder)
    found = summary(passes, float(np.mean([len(line) for line in lines])))
    save("kafka", found, page(found))


def fill(bootstrap: str, lines: Sequence[bytes]) -> None:
    """The log in a new topic."""
    say(f"writing {RECORDS:,} records into {PARTITIONS} partitions")
    admin: Any = KafkaAdminClient(bootstrap_servers=[bootstrap])
    admin.create_topics({TOPIC: {"num_partitions": PARTITIONS, "replication_factor": 1}}, wait_for_metadata=True)
    admin.close()
    write(bootstrap, TOPIC, lines)


def measured(profile: Profile, lines: list[bytes], bootstrap: str, folder: Path) -> Mapping[str, list[Pass]]:
    replayed(profile, lines[:20_000], DECODERS["native"])  # compiles the kernels
    passes: dict[str, list[Pass]] = {"reading alone": [], "querywarden": []}
    ways: dict[str, Callable[[int], Pass]] = {
        "reading alone": lambda turn: read_alone(source_of(bootstrap)),
        "querywarden": lambda turn: detected(settings_in(folder, bootstrap, turn)),
    }
    for turn in range(ROUNDS + 1):
        for name, way in ways.items():
            done = way(turn)
            say(f"{name}: {RECORDS / done.wall_s:,.0f} records a second" + ("" if turn else ", warming up"))
            if turn:
                passes[name].append(done)
    return passes


def source_of(bootstrap: str) -> KafkaSettings:
    return KafkaSettings(brokers=(bootstrap,), topic=TOPIC, start="earliest")


def read_alone(settings: KafkaSettings) -> Pass:
    """kafka-python with the same settings as the source, each value decoded into a typed struct."""
    consumer: Any = KafkaConsumer(
        bootstrap_servers=list(settings.brokers),
        enable_auto_commit=False,
        isolation_level="read_committed",
        max_poll_records=settings.batch_size,
        fetch_max_bytes=settings.fetch_max_bytes,
        max_partition_fetch_bytes=settings.partition_fetch_max_bytes,
        fetch_max_wait_ms=settings.fetch_max_wait_ms,
        metrics_enabled=False,
    )
    partitions = [TopicPartition(TOPIC, number) for number in range(PARTITIONS)]
    consumer.assign(partitions)
    consumer.seek_to_beginning(*partitions)
    timer, read = Timer(), 0
    while read < RECORDS:
        for records in consumer.poll(timeout_ms=200).values():
            timer.start()
            for record in records:
                DECODER.decode(record.value)
            read += len(records)
    done = timer.read()
    consumer.close()
    return done


class Watched(KafkaSource):
    """The source as it is, which notes when the runner has the first record and when it has dealt with the last."""

    def __init__(self, settings: KafkaSettings) -> None:
        super().__init__(settings)
        self.finished: Callable[[], None]
        self.done: Pass | None = None
        self._timer, self._given = Timer(), 0

    def read(self, timeout_s: float) -> list[Chunk]:
        if self._given == RECORDS:
            self.done = self.done or self._timer.read()
            self.finished()
            return []
        chunks = super().read(timeout_s)
        if chunks:
            self._timer.start()
        self._given += sum(len(chunk.payloads) for chunk in chunks)
        return chunks


class WatchedSettings(msgspec.Struct, frozen=True):
    source: Watched

    def connect(self) -> Watched:
        return self.source


def settings_in(folder: Path, bootstrap: str, turn: int) -> Settings:
    """A new store for each turn, so that every turn does the same."""
    return settings_of(
        {
            "source": {"type": "kafka", "brokers": [bootstrap], "topic": TOPIC, "start": "earliest"},
            "profile": {"path": str(folder / "profile")},
            "store": {"path": str(folder / f"store-{turn}"), "snapshot_s": SNAPSHOT_S},
            "sinks": [{"type": "file", "path": str(folder / f"alerts-{turn}.jsonl")}],
            "telemetry": {"port": 0},
        }
    )


def detected(settings: Settings) -> Pass:
    assert isinstance(settings.source, KafkaSettings)
    watched = Watched(settings.source)
    runner = LocalRunner(msgspec.structs.replace(settings, source=WatchedSettings(watched)))
    watched.finished = runner.stop
    runner.run()
    judged = runner.telemetry.registry.get_sample_value("querywarden_queries_total")
    assert judged == RECORDS, f"judged {judged} of {RECORDS}"
    assert watched.done is not None
    return watched.done


def summary(passes: Mapping[str, list[Pass]], record_bytes: float) -> dict[str, Any]:
    alone, ours = (np.array(passes[name]) for name in ("reading alone", "querywarden"))
    ratios = alone / ours  # of throughputs, by round
    return {
        "records": RECORDS,
        "record_bytes": round(record_bytes),
        "partitions": PARTITIONS,
        "rounds": ROUNDS,
        "at_least": AT_LEAST,
        "rates": {name: _spread(RECORDS / np.array(of)[:, 0]) for name, of in passes.items()},
        "processor_us": {name: _spread(1e6 * np.array(of)[:, 1] / RECORDS) for name, of in passes.items()},
        "ratio": _spread(ratios[:, 0]),
        "processor_ratio": _spread(ratios[:, 1]),
    }


def _spread(values: np.ndarray) -> list[float]:
    """Median, least, most."""
    return [float(np.median(values)), float(values.min()), float(values.max())]


def page(found: Mapping[str, Any]) -> str:
    rows = [
        (name, spread(found["rates"][name], "{:,.0f}"), spread(found["processor_us"][name], "{:.1f}"))
        for name in found["rates"]
    ]
    return "\n".join(
        [
            "# Throughput on a Kafka topic",
            "",
            f"`python -m bench.kafka`. A real broker on the same machine, {found['partitions']} partitions, "
            f"{found['records']:,} records of {found['record_bytes']} bytes (64 inputs, 10 probabilities). querywarden "
            f"is the whole runner with store, outbox, a file sink and a snapshot every {SNAPSHOT_S:g} s; reading alone "
            "is kafka-python with the same settings, each value decoded into a typed msgspec struct. From the first "
            f"record to the last; medians of {found['rounds']} rounds in turns, [least, most] in brackets.",
            "",
            table(["", "records a second", "µs of processor time a record"], rows),
            "",
            f"Of the throughput of reading alone, querywarden has {spread(found['ratio'], '{:.2f}')} (asked for: at "
            f"least {found['at_least']:.2f}); by processor time {spread(found['processor_ratio'], '{:.2f}')}.",
        ]
    )


if __name__ == "__main__":
    main()
