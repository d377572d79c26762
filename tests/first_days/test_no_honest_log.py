"""Nobody vouched for a log: its profile says so wherever it speaks; and before there is one, budgets hold."""

from __future__ import annotations

import json
from pathlib import Path

from detector.profile.report import report
from detector.run.health import Health
from detector.run.local import LocalRunner
from detector.settings import load
from tests import people
from tests.conftest import Call, fitted
from tests.driving import drive, pipeline

HONEST = people.honest(21, 150, days=6.0, life=2.0, volume=15)


def test_every_alert_says_that_the_traffic_was_only_presumed_honest() -> None:
    made = fitted(people.log_of(HONEST), presumed=True, horizon_us=None)
    alerts = drive(pipeline(made), people.chunks(people.log_of(people.noise("thief")))).alerts
    assert alerts
    assert {alert.promise.state for alert in alerts if alert.promise.share is not None} == {"presumed honest"}
    assert "State of the promise: presumed honest." in "\n".join(report(made))


def test_thieves_who_were_presumed_honest_are_listed_first() -> None:
    """Those of them who calibrate; the others were drawn into the sets that teach."""
    thieves = [asked for i in range(6) for asked in people.noise(f"thief-{i}", seed=i)]
    made = fitted(people.log_of(people.in_order([*HONEST, *thieves])), presumed=True, horizon_us=None, promise=0.1)
    oddest = [one.id for one in made.level("client").oddest]
    caught = [name for name in oddest if name.startswith("thief")]
    assert caught
    assert oddest[: len(caught)] == caught
    assert "were they honest? else fit again with --exclude" in "\n".join(report(made))


# -- before the first profile


def settings_of(folder: Path, log: list[bytes]) -> Path:
    (folder / "log.jsonl").write_bytes(b"\n".join(log))
    path = folder / "querywarden.toml"
    path.write_text(f"""
[source]
type = "file"
paths = ["{folder}/log.jsonl"]
[store]
path = "{folder}/store"
[telemetry]
port = 0
[policy.budget]
soft = 64
hard = 160
[[sinks]]
type = "file"
path = "{folder}/alerts.jsonl"
""")
    return path


def test_budgets_hold_from_the_first_hour_and_promise_nothing(call: Call, tmp_path: Path) -> None:
    hungry = people.noise("hungry", n=200)
    config = settings_of(tmp_path, people.log_of([*people.noise("modest", n=30), *hungry]))
    assert call("run", "--config", config)[0] == 0
    alerts = [json.loads(line) for line in (tmp_path / "alerts.jsonl").read_text().splitlines()]
    told = [alert for alert in alerts if alert["kind"] != "health"]
    assert [(alert["kind"], alert["action"], alert["severity"]) for alert in told] == [
        ("budget", "open", "low"),
        ("budget", "escalate", "high"),
    ]
    assert {alert["entity"]["id"] for alert in told} == {"hungry"}
    assert {(alert["promise"]["state"], alert["promise"]["share"]) for alert in told} == {("none", None)}
    assert {alert["profile"] for alert in told} == {"none"}


def test_health_says_what_is_missing_for_a_profile(call: Call, tmp_path: Path) -> None:
    config = settings_of(tmp_path, people.log_of(people.noise("modest", n=30)))
    runner = LocalRunner(load(config, {}))
    runner.run()
    found: Health = runner.health()
    assert [reason.partition(":")[0] for reason in found.reasons] == ["no profile yet"]
    assert "profile: ok, none is set: learning mode, budgets only" in call("check", "--config", config)[1]
