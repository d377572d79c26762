"""How long after an event of the log Elasticsearch has acknowledged its alert: at half of what a worker keeps up with.

python -m bench.alerting

First it is seen what the worker keeps up with, on this machine as it is now, while as much is written. Then the worker
reads a real topic that is written at an even pace, half of that, each record with the time at which it is sent, as a
model that is served writes them; and sends to a real Elasticsearch through a proxy that notes when each `_bulk` was
answered. An alert names the query that raised it, and the writer knows when it sent that. When it stood in each topic
on its way, Kafka knows.
"""

from __future__ import annotations

import gzip
import http.client
import os
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any
from urllib.parse import urlsplit
from zlib import crc32

import msgspec
import numpy as np
from elasticsearch import Elasticsearch
from kafka import KafkaConsumer, KafkaProducer, TopicPartition

from bench.fleet import PARTITIONS, WARM_UP, Fleet, write
from bench.logs import at, at_rate
from bench.results import BUILD, save, say, table
from bench.speed import digits_lines, digits_profile
from detector.alert import Alert
from detector.cluster.names import Names
from detector.cluster.passing import Handed
from detector.cluster.wire import Records
from detector.profile import artefact
from detector.redteam.world import digits_world, simulate
from tests.servers.elasticsearch import elasticsearch_server
from tests.servers.kafka import kafka_server
from tests.sinks.conftest import load_template

SEED = 7003
HONEST = 450
ATTACKS = {"jacobian": 40, "line-search": 40, "data-free": 40, "uniform": 40, "random-step": 40}
BUDGET = 300
SHARE = 0.5  # of what one worker keeps up with
SLICE_S = 0.01
GOAL_S = 1.0
TOPIC = "alerting"
DENSE = 10_000.0  # records a second of log time, to see what it keeps up with
MANY = 4_000  # openings that are no storm: all attacks come within seconds, and none is to be held
EARLIER = timedelta(hours=1)
AT_ONCE = 80_000  # records that are written at once, to see what it keeps up with
PATIENCE_S = 300.0
STAGES = {
    "shared out": "the query stands in `NAME.queries`",
    "decided": "its alert stands in `NAME.town`",
    "passed": "it stands in `NAME.alerts`",
    "acknowledged": "`_bulk` has answered",
}


class _Named(msgspec.Struct):
    client: str
    id: str


def main() -> None:
    BUILD.mkdir(parents=True, exist_ok=True)
    lines = [line.rstrip() for line in _traffic()]
    with TemporaryDirectory(dir=BUILD) as name:
        folder = Path(name)
        artefact.save(digits_profile(), folder / "profile")
        with kafka_server(folder / "kafka") as kafka:
            for elasticsearch in elasticsearch_server(folder / "elasticsearch"):
                with Elasticsearch(elasticsearch.url) as client:
                    load_template(client)
                with noting(elasticsearch.url) as (url, answered):
                    sinks = [{"type": "elasticsearch", "url": url}]
                    fleet = Fleet(kafka, folder, TOPIC, 1, sinks=sinks, policy={"storm": {"at_least": MANY}})
                    with fleet.running():
                        rate = SHARE * kept_up_with(fleet, kafka.bootstrap)
                        say(f"writing {len(lines):,} records at {rate:,.0f} a second")
                        sent = paced(kafka.bootstrap, lines, rate)
                        _until_quiet(answered)
                    stood = {"acknowledged": answered, **in_topics(kafka.bootstrap, fleet.names)}
    found = summary(sent, stood, rate, len(lines))
    save("alerting", found, page(found))


def kept_up_with(fleet: Fleet, bootstrap: str) -> float:
    """Records a second that the worker judges while they are written as fast as they can be: the writer and the broker
    take of the same cores as later.
    """
    lines = at_rate(digits_lines(WARM_UP + AT_ONCE), DENSE, datetime.now(UTC) - EARLIER)
    rest = fleet.warmed_up(lines[:WARM_UP])
    began = time.monotonic()
    write(bootstrap, TOPIC, lines[WARM_UP:])
    return AT_ONCE / (fleet.at_rest(rest.judged + AT_ONCE).since - began)


def _traffic() -> Iterator[bytes]:
    return iter(simulate(digits_world(), seed=SEED, honest=HONEST, attackers=ATTACKS, budget=BUDGET).lines())


def paced(bootstrap: str, lines: Sequence[bytes], rate: float) -> dict[str, float]:
    """Writes at this pace, each record as of now; returns when each query was sent, by its id."""
    producer: Any = KafkaProducer(bootstrap_servers=[bootstrap], linger_ms=5)
    named = [msgspec.json.decode(line, type=_Named) for line in lines]
    sent: dict[str, float] = {}
    began = time.monotonic()
    for number, (line, of) in enumerate(zip(lines, named, strict=True)):
        ahead = began + number / rate - time.monotonic()
        if ahead > SLICE_S:
            time.sleep(ahead)
        sent[of.id] = time.time()
        value = at(line, datetime.now(UTC))
        producer.send(TOPIC, value, partition=crc32(of.client.encode()) % PARTITIONS)
    producer.flush()
    producer.close()
    return sent


def in_topics(bootstrap: str, names: Names) -> dict[str, dict[str, float]]:
    """When each query stood in the topic of queries, and its alert in that of the town and that of alerts, by the clock
    of who wrote it there.
    """

    def of_queries(value: bytes) -> Iterator[str]:
        for payload in msgspec.msgpack.decode(value, type=Records).payloads:
            yield msgspec.json.decode(payload, type=_Named).id

    def of_town(value: bytes) -> Iterator[str]:
        for waiting in msgspec.msgpack.decode(value, type=Handed).waiting:
            yield waiting.alert.query_id

    def of_alerts(value: bytes) -> Iterator[str]:
        yield msgspec.msgpack.decode(value, type=Alert).query_id

    ways: dict[str, tuple[str, Callable[[bytes], Iterator[str]]]] = {
        "shared out": (names.queries, of_queries),
        "decided": (names.town, of_town),
        "passed": (names.alerts, of_alerts),
    }
    return {stage: _stood(bootstrap, topic, queries_of) for stage, (topic, queries_of) in ways.items()}


def _stood(bootstrap: str, topic: str, queries_of: Callable[[bytes], Iterator[str]]) -> dict[str, float]:
    consumer: Any = KafkaConsumer(
        bootstrap_servers=[bootstrap], isolation_level="read_committed", metrics_enabled=False
    )
    partitions = [TopicPartition(topic, number) for number in sorted(consumer.partitions_for_topic(topic) or ())]
    consumer.assign(partitions)
    consumer.seek_to_beginning(*partitions)
    ends = consumer.end_offsets(partitions)
    stood: dict[str, float] = {}
    while any(consumer.position(partition) < ends[partition] for partition in partitions):
        for records in consumer.poll(timeout_ms=500).values():
            for record in records:
                for query in queries_of(record.value):
                    stood.setdefault(query, record.timestamp / 1000)
    consumer.close()
    return stood


@contextmanager
def noting(upstream: str) -> Iterator[tuple[str, dict[str, float]]]:
    """A proxy before Elasticsearch: its address, and when the `_bulk` with an alert of a query was answered."""
    answered: dict[str, float] = {}
    target = urlsplit(upstream).netloc

    class Passing(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_any(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
            connection = http.client.HTTPConnection(target)
            headers = {name: value for name, value in self.headers.items() if name.lower() != "host"}
            connection.request(self.command, self.path, body, headers)
            answer = connection.getresponse()
            content = answer.read()
            if "_bulk" in self.path and answer.status == 200:
                plain = gzip.decompress(body) if self.headers.get("Content-Encoding") == "gzip" else body
                for query in _queries(plain):
                    answered.setdefault(query, time.time())
            self.send_response(answer.status)
            for name, value in answer.getheaders():
                if name.lower() not in ("content-length", "transfer-encoding", "connection"):
                    self.send_header(name, value)
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            if self.command != "HEAD":
                self.wfile.write(content)
            connection.close()

        do_GET = do_HEAD = do_POST = do_PUT = do_any  # noqa: N815  # the names that http.server calls

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002
            return

    server = ThreadingHTTPServer(("127.0.0.1", 0), Passing)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}", answered
    finally:
        server.shutdown()
        server.server_close()


def _queries(body: bytes) -> Iterator[str]:
    """The queries that the documents of a `_bulk` say raised them."""
    for line in body.splitlines():
        document = msgspec.json.decode(line)
        if "querywarden" in document and document["querywarden"].get("query_id"):
            yield document["querywarden"]["query_id"]


def _until_quiet(answered: Mapping[str, float]) -> None:
    """Until nothing was answered for five seconds."""
    end, seen = time.monotonic() + PATIENCE_S, -1
    while len(answered) != seen:
        assert time.monotonic() < end
        seen = len(answered)
        time.sleep(5.0)


def summary(
    sent: Mapping[str, float], stood: Mapping[str, Mapping[str, float]], rate: float, records: int
) -> dict[str, Any]:
    queries = [query for query in stood["acknowledged"] if query in sent]
    assert len(queries) > 100, f"only {len(queries)} alerts"

    def quantiles(stage: str) -> dict[str, float]:
        took = [stood[stage][query] - sent[query] for query in queries if query in stood[stage]]
        return {str(q): float(np.quantile(took, q)) for q in (0.5, 0.9, 0.99, 1.0)}

    return {
        "rate": rate,
        "share": SHARE,
        "records": records,
        "alerts": len(queries),
        "waiting": len((stood["decided"].keys() & sent.keys()) - stood["acknowledged"].keys()),
        "seconds": {stage: quantiles(stage) for stage in STAGES},
        "goal_s": GOAL_S,
        "load": os.getloadavg()[0],
    }


def page(found: Mapping[str, Any]) -> str:
    names = {"0.5": "half of them", "0.9": "90%", "0.99": "99%", "1.0": "all"}
    rows = [(STAGES[stage], *(f"{s:.2f}" for s in of.values())) for stage, of in found["seconds"].items()]
    return "\n".join(
        [
            "# From an event to an alert that is acknowledged",
            "",
            f"`python -m bench.alerting`. One worker, a real Kafka and a real Elasticsearch on the same machine; "
            f"{found['records']:,} records with attacks among them, written at {found['rate']:,.0f} a second, which is "
            f"{found['share']:.0%} of what it kept up with just before, each with the time at which it was sent. From "
            f"when a query was sent to Kafka until `_bulk` had answered for its alert; {found['alerts']:,} alerts, "
            f"{found['waiting']:,} more still waited at the end. Asked for: 99% within {found['goal_s']:g} s. Load "
            f"average of the two cores at the end: {found['load']:.1f}.",
            "",
            table(["seconds, at most, for", *names.values()], rows),
            "",
            "An alert goes out when all streams of the log have come to its tick of ten seconds of log time, since a "
            "storm may hold it. Where each stream has records all the time, it is true when the alert is decided, but "
            "for those of the first moments of a tick. Where one has a record only now and then, alerts wait for its "
            "next one, at most until it counts as resting ([workers](../cluster.md)).",
        ]
    )


if __name__ == "__main__":
    main()
