"""Too few clients for a promise: the refusal says what is possible, and a digest ranks where nothing is promised."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from detector.digest import Digest, digest
from detector.errors import PromiseRefused
from detector.logs.native import decode_many
from detector.policy import Budget, Dated, Policy
from detector.profile import artefact
from detector.profile.artefact import Profile
from detector.profile.report import report
from detector.run.judge import use_of
from detector.settings import settings_of
from tests import people
from tests.conftest import Call, fitted
from tests.driving import drive, pipeline

SINCE = people.START_US + 20 * people.DAY_US
LONG = people.honest(23, 40, days=27.0, starts=0.5, life=27.0, volume=60)
HONEST = [one for one in LONG if one.at < SINCE]


@pytest.fixture(scope="module")
def observing() -> Profile:
    return fitted(people.log_of(HONEST), observe=True, horizon_us=30 * people.DAY_US)


@pytest.fixture(scope="module")
def week() -> list[bytes]:
    """The log, and a week after it: most go on as before, one turns to noise, one is new and asks nothing else."""
    turned = people.noise("c23-3", at=SINCE + people.DAY_US, n=40)
    new = people.noise("newcomer", seed=5, at=SINCE + people.DAY_US, n=40)
    return people.log_of(people.in_order([*LONG, *turned, *new]))


def ranked(profile: Profile, log: list[bytes], since: int | None = None) -> Digest:
    return digest(profile, people.chunks(log), decode_many, since)


# -- what cannot be promised


def test_the_refusal_says_what_is_possible_and_what_to_use_instead() -> None:
    with pytest.raises(PromiseRefused) as refused:
        fitted(people.log_of(HONEST), promise=0.01, horizon_us=None)
    said = str(refused.value)
    assert "26 calibration clients cannot promise 1.000%: that takes 99" in said
    assert "the least they can carry is 3.704%" in said  # 1/27
    assert "--observe" in said
    assert "querywarden digest" in said


def test_the_best_promise_is_one_in_m_and_one() -> None:
    made = fitted(people.log_of(HONEST), promise=1 / 21, horizon_us=None).level("client")
    assert made.smallest == pytest.approx(1 / (made.calibrated + 1))


def test_a_log_shorter_than_the_horizon_may_observe_too() -> None:
    with pytest.raises(PromiseRefused, match="--observe"):
        fitted(people.log_of(HONEST), horizon_us=30 * people.DAY_US)
    made = fitted(people.log_of(HONEST), horizon_us=30 * people.DAY_US, observe=True)
    assert (made.summary.horizon, made.summary.epoch_us) == ("30d", 15 * people.DAY_US)


# -- a profile that observes


def test_it_promises_nothing_and_says_so(observing: Profile) -> None:
    assert observing.summary.promise is None
    assert observing.level("client").share is None
    assert observing.summary.policy.thresholds == {"client": ()}
    said = "\n".join(report(observing))
    assert "Promise: none. This profile only observes" in said
    assert "observes only: nothing is promised and nobody is named" in said
    assert "Thresholds of" not in said


def test_it_names_nobody_and_budgets_hold(observing: Profile) -> None:
    log = people.chunks(people.log_of(people.noise("thief", n=200)))
    policy = Policy("budget", {}, budget=Budget(soft=64))
    alerts = drive(pipeline(observing, [Dated(0, policy)]), log).alerts
    assert [(alert.kind, alert.promise.state) for alert in alerts] == [("budget", "none")]


def test_it_is_saved_and_comes_back(observing: Profile, tmp_path: Path) -> None:
    artefact.save(observing, tmp_path / "profile")
    assert artefact.load(tmp_path / "profile").summary == observing.summary


def test_a_threshold_of_ones_own_alerts_without_a_promise(observing: Profile) -> None:
    asked_for = {"source": {"type": "stdin"}, "policy": {"thresholds": {"client": {"medium": 2.0}}}}
    policy = settings_of(asked_for).policy.over(observing.summary.policy.thresholds)
    log = people.chunks(people.log_of(people.noise("thief")))
    alerts = drive(pipeline(observing, [Dated(0, policy)]), log).alerts
    assert [(alert.entity.id, alert.severity) for alert in alerts] == [("thief", "medium")]
    assert [(alert.promise.state, alert.promise.share) for alert in alerts] == [("none", None)]


# -- the digest


def test_who_asks_noise_stands_first_with_reasons(observing: Profile, week: list[bytes]) -> None:
    found = ranked(observing, week)
    assert {one.id for one in found.ranked[:2]} == {"newcomer", "c23-3"}
    assert all(one.reasons for one in found.ranked[:2])
    assert [one.score for one in found.ranked] == sorted((one.score for one in found.ranked), reverse=True)
    assert found.ranked[0].as_high == 0
    assert found.ranked[0].calibrated == observing.level("client").calibrated


def test_since_ranks_the_week_and_holds_it_against_what_was_before(observing: Profile, week: list[bytes]) -> None:
    found = {one.id: one for one in ranked(observing, week, SINCE).ranked}
    assert (found["newcomer"].before, found["newcomer"].turned) == (None, None)
    turned = found["c23-3"]
    assert turned.before is not None
    assert turned.before < turned.score
    assert turned.turned is not None
    assert turned.turned.score > 1.0


def test_who_goes_on_as_before_has_not_turned(observing: Profile) -> None:
    log = people.log_of(HONEST)
    turned = [one for one in ranked(observing, log).ranked if one.turned and one.turned.score > 2.0]
    assert len(turned) <= 2


def test_it_ranks_for_a_profile_with_a_promise_too(profile: Profile) -> None:
    log = people.log_of(people.in_order([*people.honest(3, 20), *people.noise("thief")]))
    found = ranked(profile, log)
    assert found.ranked[0].id == "thief"
    assert found.usual + sum(one.kind == "client" for one in found.ranked) == 21


def test_the_command_writes_text_and_json(call: Call, observing: Profile, week: list[bytes], tmp_path: Path) -> None:
    artefact.save(observing, tmp_path / "profile")
    (tmp_path / "log.jsonl").write_bytes(b"\n".join(week))
    since = ("--since", "2026-01-21T00:00:00Z")
    asked = ("digest", "--profile", tmp_path / "profile", "--log", tmp_path / "log.jsonl", *since)
    status, out, err = call(*asked, "--top", "1")
    assert (status, err) == (0, "")
    assert out.startswith("  1. client ")
    assert "\n  2. " not in out
    assert "clients asked as usual." in out
    assert out.endswith("nothing is promised.\n")
    objects = [json.loads(line) for line in call(*asked, "--top", "2", "--json")[1].splitlines()]
    assert {one["id"] for one in objects} == {"newcomer", "c23-3"}
    assert call("digest", "--profile", tmp_path / "profile", "--log", "x", "--since", "monday")[0] == 1


def test_settings_take_it_as_it_is(observing: Profile) -> None:
    assert use_of(settings_of({"source": {"type": "stdin"}}), observing) == (None, people.MODEL)
