"""What-if against the thing itself: a log replayed under a policy raises the alerts that another run's tape gives."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

import msgspec
import pytest

from detector.alert import Alert
from detector.dashboard.whatif.columns import Columns, Gathering
from detector.dashboard.whatif.trial import in_full, trial
from detector.dashboard.whatif.weather import weather
from detector.decide import Decision
from detector.logs.native import decode_many
from detector.pipeline import Step
from detector.policy import Budget, Dated, ExposureBudget, Maintenance, Policy, Storm, Suppression, Threshold
from detector.profile.artefact import Profile
from detector.run.replay import replay
from detector.spanning import openings_per_query
from detector.tape import Point, PointId
from features import NUMBERS
from tests import people
from tests.dashboard.test_trial import slim
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


class Replayed(NamedTuple):
    """What a replay told and what it held, its tape, and what the store keeps beside it."""

    told: list[Alert]
    held: list[Alert]
    points: list[Point]
    ticks: dict[PointId, int]
    asked: Counter[int]

    @property
    def columns(self) -> Columns:
        """The points, taken in three parts."""
        gathering = Gathering(NUMBERS.signals)
        for part in range(3):
            mine = self.points[part::3]
            gathering.take((slim(p), self.ticks.get((p.key, p.n, p.budget))) for p in mine)
        gathering.take((), self.asked)
        return gathering.columns


@pytest.fixture(scope="module")
def own(profile: Profile) -> Replayed:
    """Of a run under the profile's own policy."""
    return replayed(profile, profile.summary.policy)


def replayed(profile: Profile, policy: Policy) -> Replayed:
    found = Replayed([], [], [], {}, Counter())

    def keep(step: Step) -> None:
        found.points.extend(step.points)
        found.ticks.update(step.ticks)
        found.asked.update(step.asked)

    done = replay(profile, policy, people.chunks(hour().lines), decode_many, keep)
    found.told.extend(one for one in done.alerts if one.kind != "population")
    found.held.extend(done.held)
    return found


@pytest.fixture(scope="module")
def tape(own: Replayed) -> list[Point]:
    return own.points


@pytest.fixture(scope="module")
def columns(own: Replayed) -> Columns:
    return own.columns


@pytest.mark.parametrize("name", POLICIES)
def test_what_if_is_what_a_replay_says(profile: Profile, columns: Columns, name: str) -> None:
    policy = over(profile.summary.policy, **POLICIES[name])
    alerts = replayed(profile, policy).told
    assert bool(alerts) == (name != "nothing")
    assert {one.id for one in alerts} == ids(columns, policy)
    tried = trial(columns, [Dated(0, policy)])
    assert counted(tried.rulings[ruling] for ruling in tried.ruling.tolist()) == counted(alerts)


@pytest.mark.parametrize("storm", [Storm(3_600.0, 2), Storm(120.0, 3), Storm(600.0, 4)])
@pytest.mark.parametrize("name", ["loose", "many", "rests"])
def test_what_a_storm_holds_is_what_a_replay_holds(profile: Profile, columns: Columns, name: str, storm: Storm) -> None:
    policy = msgspec.structs.replace(over(profile.summary.policy, **POLICIES[name]), storm=storm)
    done = replayed(profile, policy)
    journal = [Dated(0, policy)]
    tried = trial(columns, journal)
    sky = weather(columns, tried, journal, openings_per_query(profile))
    held = set(zip(tried.entity[sky.held].tolist(), tried.place[sky.held].tolist(), strict=True))
    found = {(entity, place): said.alert_id for entity, place, said in decided(columns, policy)}
    assert {found[one] for one in held} == {one.id for one in done.held}
    assert {said for one, said in found.items() if one not in held} == {one.id for one in done.told}


def test_some_of_these_storms_hold_somebody(profile: Profile) -> None:
    policy = msgspec.structs.replace(
        over(profile.summary.policy, **POLICIES["loose"]), storm=Storm(window_s=3_600.0, at_least=2)
    )
    assert replayed(profile, policy).held


def decided(columns: Columns, policy: Policy) -> Iterator[tuple[int, int, Decision]]:
    for entity in range(columns.entities):
        for place, decision in in_full(columns, [Dated(0, policy)], entity):
            yield entity, place, decision


def ids(columns: Columns, policy: Policy) -> set[str]:
    return {decision.alert_id for _, _, decision in decided(columns, policy)}


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
