"""Decisions: what is said of an entity, when, and what is held back. A function of policy, case and point alone."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import NamedTuple

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from detector.decide import DAY_US, NO_CASE, SETTLED, Case, Decision, decide
from detector.policy import (
    Budget,
    Dated,
    ExposureBudget,
    Maintenance,
    Policy,
    Release,
    Suppression,
    Threshold,
    in_force,
    latest_release,
)
from detector.tape import Exposed, Point, level_of, score_of
from tests import strategies
from tests.strategies import point

POLICY = Policy(
    "1",
    {"client": (Threshold("medium", 1.0), Threshold("high", 2.0), Threshold("critical", 6.0))},
    cool_down_s=3_600.0,
    budget=Budget(soft=100, hard=300),
)
HOUR_US = 3_600_000_000


class Said(NamedTuple):
    action: str
    severity: str


def scored(score: float, *, at: int = 0, n: int = 1, query_id: str = "q1") -> Point:
    return point(at=at, n=n, level=level_of(score), query_id=query_id)


def counted(asked_today: int, *, at: int = 0, n: int = 1) -> Point:
    return point(at=at, n=n, level=0, query_id="q1", asked_today=asked_today, budget=True)


def told(points: Iterable[Point], policy: Policy = POLICY, case: Case = NO_CASE) -> list[Decision | None]:
    found = []
    for one in points:
        case, decision = decide(policy, case, one)
        found.append(decision)
    return found


def said(points: Iterable[Point], policy: Policy = POLICY) -> list[Said | None]:
    return [None if d is None else Said(d.action, d.severity) for d in told(points, policy)]


def scores(values: Sequence[float], gap_us: int = 1) -> list[Point]:
    return [scored(value, at=i * gap_us, n=i + 1, query_id=f"q{i}") for i, value in enumerate(values)]


@given(policy=strategies.policies(st.just(("client", "c"))), tape=st.lists(strategies.points, max_size=8))
def test_the_same_points_give_the_same_decisions(policy: Policy, tape: list[Point]) -> None:
    assert told(tape, policy) == told(tape, policy)


def test_a_case_opens_at_the_highest_threshold_reached() -> None:
    assert said(scores([0.9, 1.0])) == [None, Said("open", "medium")]
    assert said(scores([7.0])) == [Said("open", "critical")]


def test_a_case_escalates_and_does_not_repeat_itself() -> None:
    assert said(scores([1.5, 1.6, 2.5, 2.4, 1.2, 6.5])) == [
        Said("open", "medium"),
        None,
        Said("escalate", "high"),
        None,
        None,
        Said("escalate", "critical"),
    ]


@pytest.mark.parametrize(("score", "resolved"), [(SETTLED + 0.02, False), (SETTLED - 0.02, True), (-1.0, True)])
def test_a_case_is_resolved_when_the_score_has_settled(score: float, resolved: bool) -> None:
    assert said(scores([2.5, score]))[1] == (Said("resolve", "high") if resolved else None)


def test_all_alerts_of_a_case_share_its_id_and_the_next_case_has_another() -> None:
    found = [d for d in told(scores([1.5, 2.5, 0.0, 2.5], 2 * HOUR_US)) if d]
    assert [d.action for d in found] == ["open", "escalate", "resolve", "open"]
    assert len({d.case_id for d in found[:3]}) == 1
    assert found[3].case_id != found[0].case_id
    assert len({d.alert_id for d in found}) == 4


def test_after_a_case_the_same_severity_rests_and_a_higher_one_does_not() -> None:
    quick = [scored(1.5), scored(0.0, at=1, n=2), scored(1.5, at=HOUR_US, n=3), scored(2.5, at=HOUR_US, n=4)]
    assert said(quick)[2:] == [None, Said("open", "high")]
    late = [scored(1.5), scored(0.0, at=1, n=2), scored(1.5, at=HOUR_US + 1, n=3)]
    assert said(late)[2] == Said("open", "medium")


def test_a_client_who_gives_all_queries_one_id_is_alerted_on_each_time() -> None:
    """Else the outbox would take his second case for the first one."""
    same_id = [scored(s, at=i * 2 * HOUR_US, n=i + 1, query_id="1") for i, s in enumerate([1.5, 0.0, 1.5])]
    days = [counted(100, at=i * DAY_US, n=100 * (i + 1)) for i in range(2)]
    found = [d for d in told(same_id + days) if d]
    assert len({d.alert_id for d in found}) == 5
    assert len({d.case_id for d in found}) == 4  # two of the score, two of the days


def test_the_same_crossing_has_the_same_id() -> None:
    first, again = told(scores([1.5])), told(scores([1.5]))
    assert first == again
    elsewhere = decide(POLICY, NO_CASE, point(id="d", at=0, n=1, level=48, query_id="q0"))[1]
    assert elsewhere is not None
    assert first[0] is not None
    assert elsewhere.alert_id != first[0].alert_id


# -- suppression


def suppressed(until: int) -> Policy:
    return Policy("2", POLICY.thresholds, suppressions=(Suppression("client", "c", until, "a known test suite"),))


def test_nothing_is_said_of_a_suppressed_entity_until_it_ends() -> None:
    points = [scored(1.5), scored(7.0, at=99, n=2), scored(7.0, at=100, n=3)]
    assert said(points, suppressed(100)) == [None, None, Said("open", "critical")]


def test_a_case_stands_still_while_it_is_suppressed() -> None:
    case, _ = decide(POLICY, NO_CASE, scored(1.5))
    again, decision = decide(suppressed(100), case, scored(0.0, at=50, n=2))
    assert (again, decision) == (case, None)


@pytest.mark.parametrize(("kind", "id_"), [("client", "d"), ("organisation", "c")])
def test_a_suppression_names_one_entity(kind: str, id_: str) -> None:
    policy = Policy("2", POLICY.thresholds, suppressions=(Suppression(kind, id_, 100, "another"),))
    assert said([scored(1.5)], policy) == [Said("open", "medium")]


# -- maintenance


MAINTAINED = msgspec.structs.replace(POLICY, maintenance=(Maintenance(10, 100, "a migration asks anew"),))


def test_in_a_maintenance_window_nobodys_case_moves_and_who_is_above_is_told_after_it() -> None:
    points = [scored(1.5, at=9), scored(7.0, at=10, n=2), scored(0.0, at=99, n=3), scored(7.0, at=100, n=4)]
    assert said(points, MAINTAINED) == [Said("open", "medium"), None, None, Said("escalate", "critical")]


def test_budgets_hold_in_a_maintenance_window() -> None:
    assert said([counted(100, at=50, n=100)], MAINTAINED) == [Said("open", "low")]


@pytest.mark.parametrize(("at", "note"), [(9, None), (10, "one"), (2_000_009, "one"), (3_000_000, "two"), (9**9, None)])
def test_a_release_has_its_grace(at: int, note: str | None) -> None:
    policy = Policy("r", {}, releases=(Release(3_000_000, "two", 1.0), Release(10, "one", 3.0)))
    found = latest_release(policy, at)
    assert (found.note if found else None) == note


# -- what was learned


LEARNED = msgspec.structs.replace(POLICY, exposure=ExposureBudget(soft=0.5, hard=0.9))


def knowing(share: float, *, score: float = 0.0, at: int = 0, n: int = 1) -> Point:
    exposed = Exposed((0, 0, 0), 100, round(1000 * share), 0)
    return point(at=at, n=n, level=level_of(score), query_id="q1", exposed=exposed)


def test_what_was_learned_is_told_once_and_once_higher_for_ever() -> None:
    shares = (0.4, 0.5, 0.6, 0.9, 0.3, 0.95)
    later = [knowing(share, at=i * 40 * DAY_US, n=i) for i, share in enumerate(shares)]
    found = told(later, LEARNED)
    assert [one and (one.kind, one.action, one.severity, one.threshold) for one in found] == [
        None,
        ("exposure", "open", "low", 0.5),
        None,
        ("exposure", "escalate", "high", 0.9),
        None,
        None,
    ]


def test_an_extraction_is_told_first_and_what_was_learned_at_the_next_point() -> None:
    found = told([knowing(0.6, score=1.5), knowing(0.6, score=1.5, n=2)], LEARNED)
    assert [one.kind for one in found if one] == ["extraction", "exposure"]


def test_what_was_learned_is_told_in_a_maintenance_window_and_not_of_the_suppressed() -> None:
    window = msgspec.structs.replace(LEARNED, maintenance=(Maintenance(0, HOUR_US, "migration"),))
    quiet = msgspec.structs.replace(LEARNED, suppressions=(Suppression("client", "c", HOUR_US, "regression suite"),))
    assert told([knowing(0.6)], window)[0] is not None
    assert told([knowing(0.6)], quiet) == [None]


# -- budgets


def test_budgets_are_told_once_a_day_and_once_higher() -> None:
    day = [counted(n, n=n) for n in (80, 100, 200, 320, 400)]
    assert said(day) == [None, Said("open", "low"), None, Said("escalate", "high"), None]
    assert said([*day, counted(100, at=DAY_US, n=500)])[-1] == Said("open", "low")


def test_who_passes_both_at_once_is_told_the_harder() -> None:
    (found,) = told([counted(300, n=300)])
    assert found is not None
    assert (found.kind, found.action, found.severity, found.threshold) == ("budget", "open", "high", 300.0)


def test_budgets_leave_the_case_of_the_score_alone() -> None:
    assert said([scored(1.5), counted(100, n=100), scored(2.5, at=1, n=101), scored(0.0, at=2, n=102)]) == [
        Said("open", "medium"),
        Said("open", "low"),
        Said("escalate", "high"),
        Said("resolve", "high"),
    ]


def test_without_budgets_or_thresholds_nothing_is_said() -> None:
    bare = Policy("0", {})
    assert said([scored(60.0), counted(10_000, n=10_000)], bare) == [None, None]


def test_a_case_ends_when_its_level_is_no_longer_alerted_on() -> None:
    case, _ = decide(POLICY, NO_CASE, scored(7.0))
    _, decision = decide(Policy("0", {}), case, scored(7.0, at=1, n=2))
    assert decision is not None
    assert decision.action == "resolve"


# -- which policy holds


@given(st.lists(st.integers(0, 20), min_size=1, max_size=5).map(sorted), st.integers(-1, 21))
def test_the_last_policy_whose_time_has_come_is_in_force(since: list[int], at: int) -> None:
    journal = [Dated(t, Policy(str(i), {})) for i, t in enumerate(since)]
    begun = [dated.policy for dated in journal if dated.since <= at]
    assert in_force(journal, at) is (begun[-1] if begun else journal[0].policy)


def test_an_alert_is_due_exactly_at_the_threshold() -> None:
    for level in (32, 100, 200, 3_000):
        policy = Policy("1", {"client": (Threshold("low", score_of(level)),)})
        assert decide(policy, NO_CASE, point(level=level - 1, at=0, n=1, query_id="q"))[1] is None
        assert decide(policy, NO_CASE, point(level=level, at=0, n=1, query_id="q"))[1] is not None


# -- what it is called


def called(*attacks: str) -> list[tuple[str, str] | None]:
    """What is said at points of one score, each with the name that its evidence gives."""
    tape = [msgspec.structs.replace(one, attack=a) for one, a in zip(scores([2.5] * 9), attacks, strict=False)]
    return [None if d is None else (d.action, d.kind) for d in told(tape)]


def test_a_case_opens_under_the_name_of_its_evidence() -> None:
    assert called("inversion") == [("open", "inversion")]


def test_a_name_that_is_known_better_later_is_told_once_under_the_same_case() -> None:
    assert called("unknown", "extraction", "extraction", "membership", "membership") == [
        ("open", "unknown"), ("rename", "extraction"), None, ("rename", "membership"), None,
    ]  # fmt: skip
    tape = [
        msgspec.structs.replace(one, attack=a)
        for one, a in zip(scores([2.5] * 2), ("extraction", "evasion"), strict=True)
    ]
    first, second = (d for d in told(tape) if d)
    assert (first.case_id, first.severity) == (second.case_id, second.severity)
    assert first.alert_id != second.alert_id


def test_a_name_is_not_taken_back() -> None:
    assert called("evasion", "extraction", "unknown", "inversion") == [("open", "evasion"), None, None, None]


def test_an_escalation_brings_the_better_name_and_the_end_has_the_last_one() -> None:
    tape = [
        msgspec.structs.replace(one, attack=a)
        for one, a in zip(scores([1.5, 2.5, 0.0]), ("extraction", "inversion", "unknown"), strict=True)
    ]
    said_so = [(d.action, d.kind) for d in told(tape) if d]
    assert said_so == [("open", "extraction"), ("escalate", "inversion"), ("resolve", "inversion")]


def test_a_case_of_an_older_version_was_an_extraction() -> None:
    old = Case(case_id="old", severity="medium")
    case, decision = decide(POLICY, old, msgspec.structs.replace(scored(1.5), attack="unknown"))
    assert (case, decision) == (old, None)
    _, decision = decide(POLICY, old, msgspec.structs.replace(scored(1.5), attack="membership"))
    assert decision is not None
    assert (decision.action, decision.kind, decision.case_id) == ("rename", "membership", "old")
