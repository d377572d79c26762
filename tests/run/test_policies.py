"""From which log time a policy holds, and that nothing which was told is decided otherwise after a crash."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path
from typing import Any

import pytest

from detector.policy import Policy, Threshold
from detector.run.store import Reader, request_policy
from detector.settings import micros
from tests.run.hour import LEVELS, STREAMS, hour
from tests.run.kept import alerts, kept, retold
from tests.run.scene import Scene, Turn, crashed

ALL = [Turn(stream, 10_000) for stream in STREAMS]
HIGH: dict[str, Any] = {"thresholds": {level: {"medium": 2.0, "high": 3.0, "critical": 4.0} for level in LEVELS}}
LOW: dict[str, Any] = {"thresholds": {level: {"medium": 0.75, "high": 2.0, "critical": 3.5} for level in LEVELS}}


def journal(folder: Path) -> list[tuple[int, str]]:
    reader = Reader(folder / "store" / "state.sqlite")
    found = [(dated.since, dated.policy.version) for dated in reader.policies()]
    reader.close()
    return found


def at_us(text: str) -> int:
    return micros(datetime.fromisoformat(text))


@pytest.mark.parametrize("moments", [7, 15])
@pytest.mark.parametrize("policy", [HIGH, LOW], ids=["higher", "lower"])
def test_after_a_crash_new_settings_hold_only_behind_what_was_told(
    saved: Path, tmp_path: Path, moments: int, policy: dict[str, Any]
) -> None:
    scene = Scene(tmp_path, saved, hour().streams, ALL)
    assert crashed(scene.runner(store={"snapshot_s": 1e9}), moments)
    before = alerts(tmp_path)
    assert before
    scene.run(policy=policy)
    (_, first), (since, second) = journal(tmp_path)
    assert first != second
    assert since > max(at_us(alert.at) for alert in before)
    assert kept(tmp_path).told == retold(tmp_path)


def test_settings_that_go_back_to_an_earlier_policy_are_taken(saved: Path, tmp_path: Path) -> None:
    scene = Scene(tmp_path, saved, hour().streams, [])
    for policy in ({}, HIGH, HIGH, {}):
        scene.runner(policy=policy).run()
    versions = [version for _, version in journal(tmp_path)]
    assert versions == [versions[0], versions[1], versions[0]]


def test_a_requested_policy_holds_from_where_nothing_was_decided_and_stays(saved: Path, tmp_path: Path) -> None:
    wanted = Policy("wanted", {"client": (Threshold("low", 0.6),), "organisation": ()})
    part = [Turn(stream, 30, 1.5) for stream in STREAMS]
    scene = Scene(tmp_path, saved, hour().streams, [*part, Turn(STREAMS[0], 0, 1.5, wanted), *part, *ALL])
    scene.run(20, 20)
    scene.runner().run()
    (_, first), (since, second) = journal(tmp_path)
    assert second == "wanted"
    found = kept(tmp_path)
    assert found.told == retold(tmp_path)
    assert {alert.policy for alert in alerts(tmp_path)} == {first, "wanted"}
    assert all((alert.policy == "wanted") == (at_us(alert.at) >= since) for alert in alerts(tmp_path))


def test_a_policy_for_levels_that_nobody_judges_is_refused_and_said_so(saved: Path, tmp_path: Path) -> None:
    scene = Scene(tmp_path, saved, hour().streams, [])
    scene.runner().run()
    store = tmp_path / "store" / "state.sqlite"
    number = request_policy(store, Policy("subnets", {"subnet": (Threshold("low", 0.6),)}))
    scene.runner().run()
    reader = Reader(store)
    assert reader.request_state(number) == ("refused", "the profile judges no level subnet")
    reader.close()
    assert len(journal(tmp_path)) == 1


def test_what_came_before_a_time_alerts_nobody_and_is_kept(saved: Path, tmp_path: Path) -> None:
    """Cases stand still until then: who is still above a threshold is alerted on at the first point after it."""
    Scene(tmp_path / "all", saved, hour().streams, ALL).run()
    everything = alerts(tmp_path / "all")
    since = sorted(alert.at for alert in everything)[len(everything) // 2]
    Scene(tmp_path / "late", saved, hour().streams, ALL).run(9, run={"no_alerts_before": since})
    late, whole = kept(tmp_path / "late"), kept(tmp_path / "all")
    assert late.told == retold(tmp_path / "late", at_us(since))
    assert late._replace(told={}, cases={}) == whole._replace(told={}, cases={})
    before = {a.entity.id for a in everything if a.action == "open" and a.at < since}
    again = {a.entity.id for a in alerts(tmp_path / "late") if a.action == "open"}
    assert before & again
    assert all(a.at >= since for a in alerts(tmp_path / "late"))
