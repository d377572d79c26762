"""Evidence in words: the strongest first, nothing weak, and every number in a sentence that can be checked."""

from __future__ import annotations

import msgspec
import pytest

from detector.alert import NO_PROMISE
from detector.decide import NO_CASE, decide
from detector.policy import Budget, ExposureBudget, Policy, Release, Threshold
from detector.reasons import MOST, alert, reasons, rfc3339
from detector.tape import Exposed
from features import NUMBERS
from tests.strategies import point

F = len(NUMBERS.signals)
POLICY = Policy("7", {"client": (Threshold("medium", 1.0),)}, budget=Budget(soft=100))


def test_reasons_come_strongest_first_and_weak_ones_do_not() -> None:
    evidence = [90, 4_000, *[0] * (F - 3), 250]
    found = reasons(
        point(at=0, n=9, level=40, query_id="q", evidence=tuple(evidence), shares=(500,) * F, tails=(3,) * F),
        NUMBERS.signals,
    )
    assert [(one.signal, one.evidence_db) for one in found] == [
        (NUMBERS.names[1], 40.0),
        (NUMBERS.names[-1], 2.5),
    ]


def test_no_more_than_five_reasons() -> None:
    many = point(at=0, n=9, level=40, query_id="q", evidence=(900,) * F, shares=(500,) * F, tails=(-3,) * F)
    assert len(reasons(many, NUMBERS.signals)) == min(F, MOST)


def test_an_alert_tells_who_when_how_much_and_why() -> None:
    told = point(
        at=1_767_225_600_000_001,
        n=17,
        level=64,
        query_id="q17",
        evidence=(1_230,) * F,
        shares=(625,) * F,
        tails=(3,) * F,
    )
    _, decision = decide(POLICY, NO_CASE, told)
    assert decision is not None
    made = alert(POLICY, told, decision, NUMBERS.signals, promise=NO_PROMISE, profile="p")
    assert (made.entity.kind, made.entity.id, made.queries, made.query_id) == ("client", "c", 17, "q17")
    assert (made.score, made.threshold, made.severity, made.action) == (2.0, 1.0, "medium", "open")
    assert (made.at, made.policy, made.profile) == ("2026-01-01T00:00:00.000001Z", "7", "p")
    assert (made.id, made.case_id) == (decision.alert_id, decision.case_id)
    assert made.techniques == ("AML.T0024.002",)
    assert made.reasons[0].text in made.message


@pytest.mark.parametrize("evidence", [1_230, 0])
def test_soon_after_a_release_an_alert_says_so(evidence: int) -> None:
    policy = msgspec.structs.replace(POLICY, releases=(Release(5, "schema 3", 1.0),))
    signals: dict[str, tuple[int, ...]] = {"evidence": (evidence,) * F, "shares": (625,) * F, "tails": (3,) * F}
    for at, said in ((4, False), (5, True), (1_000_005, False)):
        told = point(at=at, n=17, level=64, query_id="q17", **signals)
        _, decision = decide(policy, NO_CASE, told)
        assert decision is not None
        made = alert(policy, told, decision, NUMBERS.signals, promise=NO_PROMISE, profile="p")
        assert made.message.endswith("It comes within the grace of a release: schema 3 (1970-01-01T00:00:00Z).") == said
        assert (made.reasons[-1:] and made.reasons[-1].signal == "policy.release") or not said
        assert ("queries" in made.message) == (evidence > 0)
        assert "  " not in made.message


def test_a_budget_alert_counts() -> None:
    told = point(at=0, n=500, level=0, query_id="q", asked_today=128, budget=True)
    _, decision = decide(POLICY, NO_CASE, told)
    assert decision is not None
    made = alert(POLICY, told, decision, NUMBERS.signals, promise=NO_PROMISE, profile="p")
    assert (made.kind, made.score, made.threshold) == ("budget", 128.0, 100.0)
    assert [one.text for one in made.reasons] == ["It asked 128 times on 1970-01-01 (UTC)."]


def test_a_resolved_alert_has_a_finite_score() -> None:
    case, _ = decide(POLICY, NO_CASE, point(at=0, n=1, level=64, query_id="q"))
    told = point(at=1, n=2, level=0, query_id="r")
    _, decision = decide(POLICY, case, told)
    assert decision is not None
    made = alert(POLICY, told, decision, NUMBERS.signals, promise=NO_PROMISE, profile="p")
    assert (made.action, made.score) == ("resolve", 0.0)


@pytest.mark.parametrize(
    ("at", "text"),
    [(0, "1970-01-01T00:00:00.000000Z"), (1, "1970-01-01T00:00:00.000001Z"), (10**15, "2001-09-09T01:46:40.000000Z")],
)
def test_times_have_microseconds_and_sort_as_text(at: int, text: str) -> None:
    assert rfc3339(at) == text


def test_what_was_learned_stands_among_the_reasons_as_odd_as_it_is() -> None:
    exposed = Exposed((60, 180, 10), 80, 710, 260)
    odds = (120, *[0] * (F - 1))
    signals = {"evidence": (900,) * F, "odds": odds, "shares": (500,) * F, "tails": (3,) * F}
    told = point(at=0, n=83, level=58, query_id="q", exposed=exposed, **signals)
    found = reasons(told, NUMBERS.signals)
    assert [one.signal for one in found] == ["exposure.answers", NUMBERS.names[0], "exposure.agreement"]
    assert found[0].text.startswith("It has learned 71% of what a clone of 1,000 queries knows")
    assert found[2].text == "It has learned as much from 80 queries as honest clients learn from 260."


def test_an_exposure_alert_says_how_much_was_learned() -> None:
    policy = msgspec.structs.replace(POLICY, exposure=ExposureBudget(soft=0.7))
    told = point(at=0, n=83, level=0, query_id="q", exposed=Exposed((0, 0, 0), 80, 710, 260))
    _, decision = decide(policy, NO_CASE, told)
    assert decision is not None
    made = alert(policy, told, decision, NUMBERS.signals, promise=NO_PROMISE, profile="p")
    assert (made.kind, made.score, made.threshold, made.severity) == ("exposure", 0.71, 0.7, "low")
    assert "71% of what a clone of 1,000 queries would know" in made.message
