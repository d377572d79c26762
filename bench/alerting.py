"""How long after an event of the log Elasticsearch has acknowledged its alert: at half of what a worker keeps up with.

python -m bench.alerting

First it is seen what the worker keeps up with, on this machine as it is now. Then the worker reads a real topic that is
written at an even pace, half of that, and sends to a real Elasticsearch through a proxy that
notes when each `_bulk` was answered. An alert names the query that raised it, and the writer knows when it sent that.
"""

from __future__ import annotations

import gzip
import http.client
import os
import signal
import subprocess
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any
from urllib.parse import urlsplit
from zlib import crc32

import msgspec
import numpy as np
from elasticsearch import Elasticsearch
from kafka import KafkaProducer

from bench.cluster import PARTITIONS, WARM_UP, Fleet, write
from bench.results import BUILD, save, say, table
from bench.speed import digits_lines, digits_profile
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
AT_ONCE = 80_000  # records that wait for the worker, to see what it keeps up with
PATIENCE_S = 300.0


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
                    fleet = Fleet(kafka, folder, TOPIC, 1, sinks=[{"type": "elasticsearch", "url": url}])
                    with fleet.running() as (worker,):
                        rate = SHARE * kept_up_with(fleet, worker, kafka.bootstrap)
                        say(f"writing {len(lines):,} records at {rate:,.0f} a second")
                        sent = paced(kafka.bootstrap, lines, rate)
                        fleet.until_judged(WARM_UP + AT_ONCE + len(lines))
                        _until_quiet(answered)
    found = summary(sent, answered, rate, len(lines))
    save("alerting", found, page(found))


def kept_up_with(fleet: Fleet, worker: subprocess.Popen[bytes], bootstrap: str) -> float:
    """Records a second that the worker judges when so many wait for it."""
    lines = digits_lines(WARM_UP + AT_ONCE)
    write(bootstrap, TOPIC, lines[:WARM_UP])
    fleet.until_judged(WARM_UP)
    worker.send_signal(signal.SIGSTOP)
    write(bootstrap, TOPIC, lines[WARM_UP:])
    began = time.monotonic()
    worker.send_signal(signal.SIGCONT)
    fleet.until_judged(WARM_UP + AT_ONCE)
    return AT_ONCE / (time.monotonic() - began)


def _traffic() -> Iterator[bytes]:
    return iter(simulate(digits_world(), seed=SEED, honest=HONEST, attackers=ATTACKS, budget=BUDGET).lines())


def paced(bootstrap: str, lines: Sequence[bytes], rate: float) -> dict[str, float]:
    """Writes at this pace; returns when each query was sent, by its id."""
    producer: Any = KafkaProducer(bootstrap_servers=[bootstrap], linger_ms=0)
    named = [msgspec.json.decode(line, type=_Named) for line in lines]
    sent: dict[str, float] = {}
    began = time.monotonic()
    for number, (line, of) in enumerate(zip(lines, named, strict=True)):
        ahead = began + number / rate - time.monotonic()
        if ahead > SLICE_S:
            time.sleep(ahead)
        sent[of.id] = time.monotonic()
        producer.send(TOPIC, line, partition=crc32(of.client.encode()) % PARTITIONS)
    producer.flush()
    producer.close()
    return sent


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
                    answered.setdefault(query, time.monotonic())
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


def summary(sent: Mapping[str, float], answered: Mapping[str, float], rate: float, records: int) -> dict[str, Any]:
    took = np.array([answered[query] - sent[query] for query in answered if query in sent])
    assert len(took) > 100, f"only {len(took)} alerts"
    return {
        "rate": rate,
        "share": SHARE,
        "records": records,
        "alerts": len(took),
        "seconds": {str(q): float(np.quantile(took, q)) for q in (0.5, 0.9, 0.99, 1.0)},
        "goal_s": GOAL_S,
        "load": os.getloadavg()[0],
    }


def page(found: Mapping[str, Any]) -> str:
    names = {"0.5": "half of them", "0.9": "90%", "0.99": "99%", "1.0": "all"}
    return "\n".join(
        [
            "# From an event to an alert that is acknowledged",
            "",
            f"`python -m bench.alerting`. One worker, a real Kafka and a real Elasticsearch on the same machine; "
            f"{found['records']:,} records with attacks among them, written at {found['rate']:,.0f} a second, which is "
            f"{found['share']:.0%} of what it kept up with just before. From when a query was sent to Kafka until "
            f"`_bulk` had answered for its alert; {found['alerts']:,} alerts. Asked for: 99% within "
            f"{found['goal_s']:g} s. Load average of the two cores at the end: {found['load']:.1f}.",
            "",
            table(["alerts", "within, s"], [(names[q], f"{s:.2f}") for q, s in found["seconds"].items()]),
            "",
            "Most of it is waiting that is meant: an alert goes out when all streams have come to its tick of ten "
            "seconds of log time, since a storm may hold it.",
        ]
    )


if __name__ == "__main__":
    main()
