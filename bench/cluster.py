"""What workers cost: one and two of them from a real Kafka topic to durable results, beside bare reading and decoding.

python -m bench.cluster

Workers are stopped (SIGSTOP) while the log is written and timed from when they go on until all is judged. Processor
time is the whole of a worker's process; what the broker takes is given beside it, since it shares the machine. The log
is read as dense as it would be written, so many records a second of its own time; and, for one worker, as a month of
log time that is caught up with in seconds, in which nearly every query has a tick of its own.
"""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
from kafka import KafkaConsumer, TopicPartition

from bench.fleet import PARTITIONS, WARM_UP, Fleet, Pass, processor_s
from bench.logs import at_rate
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
from detector.settings import Settings
from detector.sources.kafka import KafkaSettings
from tests.servers.kafka import KafkaServer, kafka_server

RECORDS = 120_000
ROUNDS = 3
ENTITIES = 100_000
DENSE = 20_000.0  # records a second of log time
START = datetime(2026, 3, 1, tzinfo=UTC)
ALONE, ONE, TWO, MONTH = "reading alone", "one worker", "two workers", "one worker, a month at once"


def main() -> None:
    profile, month = digits_profile(), digits_lines(WARM_UP + RECORDS)
    dense = at_rate(month, DENSE, START)
    BUILD.mkdir(parents=True, exist_ok=True)
    replayed(profile, month[:WARM_UP], DECODERS["native"])  # compiles the kernels
    passes: dict[str, list[Pass]] = {ALONE: [], ONE: [], TWO: [], MONTH: []}
    with TemporaryDirectory(dir=BUILD) as name:
        folder = Path(name)
        artefact.save(profile, folder / "profile")
        say("starting Kafka")
        with kafka_server(folder / "kafka") as server:
            for turn in range(ROUNDS):
                for number, (way, count, lines) in enumerate(((ONE, 1, dense), (TWO, 2, dense), (MONTH, 1, month))):
                    fleet = Fleet(server, folder, f"turn-{turn}-{number}", count)
                    passes[way].append(fleet.timed(lines))
                    say(f"{way}: {RECORDS / passes[way][-1].wall_s:,.0f} records a second")
                    if way == ONE:
                        passes[ALONE].append(read_alone(server, fleet.topic))
            moved = move(Fleet(server, folder, "moved", 1).settings())
    found = summary(passes) | moved
    save("cluster", found, page(found))


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
    broker = processor_s(server.process.pid)
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
        (processor_s(server.process.pid) - broker) * share,
    )
    consumer.close()
    return done


def summary(passes: Mapping[str, list[Pass]]) -> dict[str, Any]:
    alone, one, two, month = (np.array(passes[way]) for way in (ALONE, ONE, TWO, MONTH))
    return {
        "records": RECORDS,
        "partitions": PARTITIONS,
        "rounds": ROUNDS,
        "rates": {name: _spread(RECORDS / np.array(of)[:, 0]) for name, of in passes.items()},
        "processor_us": {name: _spread(1e6 * np.array(of)[:, 1] / RECORDS) for name, of in passes.items()},
        "broker_us": {name: _spread(1e6 * np.array(of)[:, 2] / RECORDS) for name, of in passes.items()},
        "ratio": _spread(alone[:, 0] / one[:, 0]),
        "processor_ratio": _spread(alone[:, 1] / one[:, 1]),
        "month_ratio": _spread(month[:, 0] / one[:, 0]),
        "dense": DENSE,
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
            f"typed msgspec struct. The log has {found['dense']:,.0f} records a second of its own time; beside it one "
            f"of a month. Medians of {found['rounds']} rounds, [least, most] in brackets.",
            "",
            table(["", "records a second", "µs of processor time a record", "µs of the broker's"], rows),
            "",
            f"Of the throughput of reading alone, one worker has {spread(found['ratio'], '{:.2f}')}; by processor time "
            f"{spread(found['processor_ratio'], '{:.2f}')}. Two workers have {spread(found['second'], '{:.2f}')} times "
            "the throughput of one, on a machine whose cores they share with the broker. A month at once, in which "
            f"nearly every query has a tick of its own, takes {spread(found['month_ratio'], '{:.2f}')} times as long. "
            f"Load average of the two cores at the end: {found['load']:.1f}.",
            "",
            f"A partition of {found['entities']:,} clients, all of them changed, is saved in {found['saved_s']:.1f} s, "
            f"and opened by another worker in {found['opened_s']:.1f} s.",
        ]
    )


if __name__ == "__main__":
    main()
