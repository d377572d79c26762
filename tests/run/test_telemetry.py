from __future__ import annotations

import io
import json
import logging
import sys
import threading
import urllib.error
import urllib.request
from collections.abc import Iterator

import pytest
import structlog
from prometheus_client.parser import text_string_to_metric_families

from detector.errors import SettingsError
from detector.run.delivery import Standing
from detector.run.health import Health, Rate
from detector.run.journal_log import configure
from detector.run.telemetry import Endpoint, Telemetry


class Probe:
    def __init__(self) -> None:
        self.telemetry = Telemetry()
        self.health = Health()
        self.endpoint = Endpoint(self.telemetry, lambda: self.health, port=0)

    def get(self, path: str) -> tuple[int, str]:
        host, port = self.endpoint.address
        try:
            with urllib.request.urlopen(f"http://{host}:{port}{path}", timeout=10) as answer:
                return answer.status, answer.read().decode()
        except urllib.error.HTTPError as error:
            with error:
                return error.code, error.read().decode()


@pytest.fixture
def probe() -> Iterator[Probe]:
    made = Probe()
    yield made
    made.endpoint.close()


def test_metrics_have_the_names_that_rules_and_dashboards_use(probe: Probe) -> None:
    t = probe.telemetry
    t.queries.inc(3)
    t.dead_letters.labels("no json").inc()
    t.lag_s.labels("kafka:t/0").set(1.5)
    t.alerts.labels("extraction", "high").inc()
    t.snapshot_s.observe(0.3)
    t.sink(Standing("splunk", "refused", 0.0, "wrong token", last_ack=5.0), backlog=7)
    status, text = probe.get("/metrics")
    samples = {
        (sample.name, *sample.labels.values()): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }
    assert status == 200
    assert samples[("querywarden_queries_total",)] == 3
    assert samples[("querywarden_dead_letters_total", "no json")] == 1
    assert samples[("querywarden_lag_seconds", "kafka:t/0")] == 1.5
    assert samples[("querywarden_alerts_total", "extraction", "high")] == 1
    assert samples[("querywarden_snapshot_seconds_count",)] == 1
    assert samples[("querywarden_sink_backlog", "splunk")] == 7
    assert samples[("querywarden_sink_state", "splunk", "refused")] == 1
    assert samples[("querywarden_sink_state", "splunk", "ok")] == 0
    assert samples[("querywarden_sink_last_ack_timestamp_seconds", "splunk")] == 5
    assert "wrong token" not in text


def test_liveness_asks_for_a_restart_only_when_stuck(probe: Probe) -> None:
    assert probe.get("/healthz") == (200, "alive\n")
    probe.health = Health(alive=False)
    assert probe.get("/healthz")[0] == 503


@pytest.mark.parametrize(
    ("health", "status", "state"),
    [
        (Health(), 200, "ok"),
        (Health(reasons=("the sink splunk refuses",)), 200, "degraded"),
        (Health(ready=False, reasons=("the state is being loaded",)), 503, "starting"),
    ],
)
def test_readiness_says_why(probe: Probe, health: Health, status: int, state: str) -> None:
    probe.health = health
    code, body = probe.get("/readyz")
    answer = json.loads(body)
    assert (code, answer["state"], answer["reasons"]) == (status, state, list(health.reasons))


def test_an_unknown_path_names_the_known_ones(probe: Probe) -> None:
    assert probe.get("/") == (404, "known: /metrics /healthz /readyz\n")


def test_a_taken_port_is_a_setting_to_change(probe: Probe) -> None:
    port = probe.endpoint.address[1]
    with pytest.raises(SettingsError, match=f"cannot be served on 127.0.0.1:{port}"):
        Endpoint(probe.telemetry, Health, port=port)


def test_two_processes_in_one_do_not_share_a_registry() -> None:
    first, second = Telemetry(), Telemetry()
    first.queries.inc()
    assert second.registry.get_sample_value("querywarden_queries_total") == 0


def test_a_rate_follows_what_happens_and_forgets() -> None:
    rate = Rate(0.0)
    for second in range(1, 301):
        now = rate.add(100, float(second))
    assert now == pytest.approx(100, rel=0.01)
    rate.add(50, 300.0)  # no time passed: counted with the next
    assert rate.add(50, 301.0) == pytest.approx(100, rel=0.01)
    assert rate.add(0, 1000.0) == 0


@pytest.fixture
def log_stream() -> Iterator[io.StringIO]:
    root = logging.getLogger()
    before = (root.handlers[:], root.level, sys.excepthook, threading.excepthook)
    yield io.StringIO()
    root.handlers[:], level, sys.excepthook, threading.excepthook = before
    root.setLevel(level)
    structlog.reset_defaults()


def test_logs_are_json_lines_with_a_sentence_and_fields(log_stream: io.StringIO) -> None:
    configure("info", stream=log_stream)  # not a terminal
    structlog.get_logger("detector.run").info("The sink is busy; its alerts wait", sink="splunk")
    structlog.get_logger("detector.run").debug("not at this level")
    logging.getLogger("kafka").warning("library %s", "speaks")
    first, second = (json.loads(line) for line in log_stream.getvalue().splitlines())
    assert (first["message"], first["sink"], first["level"]) == ("The sink is busy; its alerts wait", "splunk", "info")
    assert first["at"].endswith("Z")
    assert (second["message"], second["logger"]) == ("library speaks", "kafka")


@pytest.mark.parametrize("as_json", [True, False])
def test_a_traceback_shows_no_local_values(log_stream: io.StringIO, as_json: bool) -> None:
    configure("info", as_json, stream=log_stream)
    try:
        _fails("my secret " + "prompt")
    except ValueError as error:
        sys.excepthook(ValueError, error, error.__traceback__)
    text = log_stream.getvalue()
    assert "The program ends on an error" in text
    assert "_fails" in text
    assert "my secret prompt" not in text
    assert len(text.splitlines()) == 1 or not as_json


def _fails(prompt: str) -> None:
    raise ValueError(len(prompt))
