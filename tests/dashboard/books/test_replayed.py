"""What-if against the thing itself: a log replayed under a policy raises the alerts that another run's tape gives."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec
import pytest

from detector.alert import Alert
from detector.dashboard.whatif.columns import Columns
from detector.dashboard.whatif.trial import in_full, trial
from detector.logs.native import decode_many
from detector.pipeline import Step
from detector.policy import Budget, Dated, ExposureBudget, Maintenance, Policy, Storm, Suppression, Threshold
from detector.profile.artefact import Profile
from detector.run.replay import replay
from detector.tape import Point
from tests import people
from tests.dashboard.test_trial import columns_of
from tests.run.hour import hour

LOW, HIGH = Threshold("low", 0.8), Threshold("critical", 2.5)
TURNED = (
    Threshold("informational", 0.75),
    Threshold("medium", 1.1),
    Threshold("high", 1.2),
    Threshold("critical", 9.0),
)
START = people.START_US


def over(policy: Policy, **fields: Any) -> Policy:
    return msgspec.structs.replace(policy, version="draft", storm=Storm(at_least=0), **fields)


POLICIES: dict[str, dict[str, Any]] = {
    "as the profile": {},
    "loose": {"thresholds": {"client": (LOW, HIGH), "organisation": (LOW,), "ring": (HIGH,)}},
    "tight": {"thresholds": {"client": (Threshold("high", 3.0),), "organisation": TURNED}},
    "many": {"thresholds": {"client": TURNED, "organisation": TURNED, "ring": TURNED}, "cool_down_s": 0.0},
    "rests": {"thresholds": {"client": TURNED}, "cool_down_s": 600.0},
    "suppressed": {
        "thresholds": {"client": (LOW, HIGH)},
        "suppressions": (Suppression("client", "n1", START + 600_000_000, "made"),),
        "maintenance": (Maintenance(START + 400_000_000, START + 900_000_000, "made"),),
    },
    "budgets": {"budget": Budget(64, 80), "exposure": ExposureBudget(0.05, 0.2), "thresholds": {"client": TURNED}},
    "nothing": {"thresholds": {}},
}


@pytest.fixture(scope="module")
def tape(profile: Profile) -> list[Point]:
    """Of a run under the profile's own policy."""
    return replayed(profile, profile.summary.policy)[1]


def replayed(profile: Profile, policy: Policy) -> tuple[list[Alert], list[Point]]:
    points: list[Point] = []

    def keep(step: Step) -> None:
        points.extend(step.points)

    done = replay(profile, policy, people.chunks(hour().lines), decode_many, keep)
    return [one for one in [*done.alerts, *done.held] if one.kind != "population"], points


@pytest.fixture(scope="module")
def columns(tape: list[Point]) -> Columns:
    return columns_of(tape, cuts=3)


@pytest.mark.parametrize("name", POLICIES)
def test_what_if_is_what_a_replay_says(profile: Profile, columns: Columns, name: str) -> None:
    policy = over(profile.summary.policy, **POLICIES[name])
    alerts, _ = replayed(profile, policy)
    assert bool(alerts) == (name != "nothing")
    assert {one.id for one in alerts} == ids(columns, policy)
    tried = trial(columns, [Dated(0, policy)])
    assert counted(tried.rulings[ruling] for ruling in tried.ruling.tolist()) == counted(alerts)


def test_what_a_storm_holds_is_counted_all_the_same(profile: Profile, columns: Columns) -> None:
    """Who is told and who is held is the storm's to say: what-if counts openings."""
    policy = msgspec.structs.replace(
        profile.summary.policy, thresholds={"client": (LOW, HIGH)}, storm=Storm(window_s=3_600.0, at_least=2)
    )
    done = replay(profile, policy, people.chunks(hour().lines), decode_many)
    assert done.held
    told = {one.id for one in [*done.alerts, *done.held] if one.kind != "population"}
    assert told == ids(columns, policy)


def ids(columns: Columns, policy: Policy) -> set[str]:
    found = [in_full(columns, [Dated(0, policy)], entity) for entity in range(columns.entities)]
    return {decision.alert_id for of_one in found for _, decision in of_one}


def counted(said: Any) -> list[tuple[object, ...]]:
    return sorted((one.kind, one.action, one.severity, one.threshold) for one in said)


def test_a_journal_of_policies_is_tried_as_it_held(profile: Profile, columns: Columns, tape: Sequence[Point]) -> None:
    middle = sorted(point.at for point in tape)[len(tape) // 2]
    loose = over(profile.summary.policy, thresholds={"client": (LOW, HIGH)})
    found = trial(columns, [Dated(0, loose), Dated(middle, over(profile.summary.policy, thresholds={}))])
    opened = [
        (int(place), found.rulings[ruling].action)
        for place, ruling in zip(found.place, found.ruling.tolist(), strict=True)
    ]
    assert all(columns.points.at[place] < middle for place, action in opened if action != "resolve")
    assert any(columns.points.at[place] >= middle for place, action in opened if action == "resolve")
