"""What Prometheus and a container's probes may ask: every metric's name and meaning, and the one port that answers."""

from __future__ import annotations

import threading
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import msgspec
import structlog
from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, ProcessCollector
from prometheus_client.exposition import choose_encoder

from detector.errors import SettingsError
from detector.pipeline import Step
from detector.run.delivery import STATES, Standing
from detector.run.health import Health

SNAPSHOT_S = (0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0)
SLOW_CLIENT_S = 10.0
POLL_S = 0.1  # how long closing may take


class Telemetry:
    """The metrics of one process, in a registry of their own. Labels are small sets: never a client, never a text."""

    def __init__(self) -> None:
        registry = self.registry = CollectorRegistry()
        ProcessCollector(registry=registry)
        self.queries = Counter("querywarden_queries", "Queries that were judged.", registry=registry)
        self.records = Counter("querywarden_records", "Records that were read, good or bad.", registry=registry)
        self.dead_letters = Counter(
            "querywarden_dead_letters", "Records that could not be judged.", ["reason"], registry=registry
        )
        self.without_identity = Counter(
            "querywarden_records_without_identity", "Records that name no client.", registry=registry
        )
        self.other_versions = Counter(
            "querywarden_queries_of_other_versions",
            "Queries of versions of the model that the profile is not for: counted, not weighed.",
            registry=registry,
        )
        self.unanswered = Counter(
            "querywarden_queries_unanswered", "Queries that got no answer: counted, not weighed.", registry=registry
        )
        self.lag_s = Gauge(
            "querywarden_lag_seconds",
            "How far the log clock is behind the newest record.",
            ["stream"],
            registry=registry,
        )
        self.lag = Gauge(
            "querywarden_lag",
            "What is still to be read: records of a topic, bytes of a file.",
            ["stream"],
            registry=registry,
        )
        self.rate = Gauge("querywarden_queries_per_second", "Queries judged a second, lately.", registry=registry)
        self.entities = Gauge("querywarden_entities", "Entities that have a row.", registry=registry)
        self.watermark_s = Gauge(
            "querywarden_watermark_timestamp_seconds", "The process's log clock, seconds since 1970.", registry=registry
        )
        self.points = Counter("querywarden_tape_points", "Points written to the score tape.", registry=registry)
        self.alerts = Counter("querywarden_alerts", "Alerts decided.", ["kind", "severity"], registry=registry)
        self.held = Counter(
            "querywarden_alerts_held", "Alerts kept and not sent, since the population moved.", registry=registry
        )
        self.snapshot_s = Histogram(
            "querywarden_snapshot_seconds", "How long a snapshot took.", buckets=SNAPSHOT_S, registry=registry
        )
        self.snapshot_rows = Gauge("querywarden_snapshot_rows", "Rows that the last snapshot wrote.", registry=registry)
        self._backlog = Gauge("querywarden_sink_backlog", "Alerts that wait for a sink.", ["sink"], registry=registry)
        self._last_ack = Gauge(
            "querywarden_sink_last_ack_timestamp_seconds",
            "When a sink last took something.",
            ["sink"],
            registry=registry,
        )
        self._state = Gauge(
            "querywarden_sink_state", "1 for the state that a sink is in.", ["sink", "state"], registry=registry
        )

    def count(self, step: Step) -> None:
        """What a step of the pipeline gave."""
        self.records.inc(step.records)
        self.queries.inc(step.judged)
        self.points.inc(len(step.points))
        self.without_identity.inc(step.unidentified)
        self.other_versions.inc(step.other_versions)
        self.unanswered.inc(step.unanswered)
        for letter in step.letters:
            self.dead_letters.labels(letter.reason).inc()
        for alert in step.alerts:
            self.alerts.labels(alert.kind, alert.severity).inc()
        self.held.inc(len(step.held))

    def sink(self, standing: Standing, backlog: int) -> None:
        self._backlog.labels(standing.sink).set(backlog)
        for state in STATES:
            self._state.labels(standing.sink, state).set(state == standing.state)
        if standing.last_ack is not None:
            self._last_ack.labels(standing.sink).set(standing.last_ack)


class Endpoint:
    """Serves /metrics, /healthz (alive, or 503) and /readyz until closed. No access control: keep it on loopback
    or inside the cluster. `port` 0 takes a free one; `address` says which.

    /readyz answers 503 only while starting. Degraded is 200 with the reasons: one sink that is away must not make an
    orchestrator restart or withhold a process that detects.

    Raises SettingsError when the address cannot be listened on.
    """

    def __init__(
        self, telemetry: Telemetry, health: Callable[[], Health], *, host: str = "127.0.0.1", port: int = 9464
    ) -> None:
        try:
            self._server = _Server((host, port), telemetry, health)
        except OSError as error:
            raise SettingsError(f"metrics cannot be served on {host}:{port}: {error.strerror or error}") from error
        self._thread = threading.Thread(
            target=self._server.serve_forever, args=(POLL_S,), name="telemetry", daemon=True
        )
        self._thread.start()

    @property
    def address(self) -> tuple[str, int]:
        host, port = self._server.server_address[:2]
        return str(host), int(port)

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()


class _Server(ThreadingHTTPServer):
    daemon_threads = True

    def __init__(self, address: tuple[str, int], telemetry: Telemetry, health: Callable[[], Health]) -> None:
        self.telemetry = telemetry
        self.health = health
        super().__init__(address, _Answers)


class _Answers(BaseHTTPRequestHandler):
    server: _Server
    server_version = "querywarden"
    sys_version = ""  # which Python this is concerns nobody
    timeout = SLOW_CLIENT_S

    def do_GET(self) -> None:
        path = self.path.partition("?")[0]
        if path == "/metrics":
            encode, content_type = choose_encoder(self.headers.get("Accept", ""))
            self._answer(200, content_type, encode(self.server.telemetry.registry))
        elif path == "/healthz":
            alive = self.server.health().alive
            self._answer(200 if alive else 503, "text/plain", b"alive\n" if alive else b"stuck\n")
        elif path == "/readyz":
            health = self.server.health()
            self._answer(503 if health.state == "starting" else 200, "application/json", _ready(health))
        else:
            self._answer(404, "text/plain", b"known: /metrics /healthz /readyz\n")

    def _answer(self, status: int, content_type: str, body: bytes) -> None:
        self.send_response(status)
        self.send_header("Content-Type", content_type)
        self.send_header("Content-Length", str(len(body)))
        self.send_header("Cache-Control", "no-store")
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002  # the name that http.server calls it by
        structlog.get_logger().debug("A probe asked", request=format % args)


def _ready(health: Health) -> bytes:
    answer = {
        "state": health.state,
        "reasons": health.reasons,
        "queries_per_s": round(health.queries_per_s, 1),
        "lag_s": health.lag_s,
    }
    return msgspec.json.encode(answer) + b"\n"
