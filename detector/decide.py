"""The decision: from a point of the tape and the policy in force to an alert or none. Live and replay share it."""

from __future__ import annotations

from typing import Literal, NamedTuple

import msgspec

from detector.alert import NAMED, SEVERITIES, Action, Attack, Kind, Severity, stable_id
from detector.policy import Policy, Threshold, level_of_class
from detector.tape import Point

DAY_US = 86_400_000_000
SETTLED = 0.8  # a case is resolved when the score has fallen to this share of its lowest threshold


class Case(msgspec.Struct, frozen=True):
    """What was already said about an entity. The empty case is that of an entity never alerted on.

    severity: of the open case, or of the last one when `resolved_at` is set (microseconds, log time).
    kind: what the open case, or the last one, was named; "" where nobody said (a case of an older version: extraction).
    exposed: the highest severity of an exposure budget that was said, ever: what was learned is not forgotten.
    budget_day, budget_severity: the last day on which a budget alert went out, and the highest of that day.
    held: the case of which the alerts are held, since the population moved (detector.storm); "" for none.
    """

    case_id: str = ""
    severity: Severity | None = None
    resolved_at: int | None = None
    budget_day: int = -1
    budget_severity: Severity | None = None
    held: str = ""
    exposed: Severity | None = None
    kind: Attack | Literal[""] = ""

    @property
    def open(self) -> bool:
        return self.severity is not None and self.resolved_at is None


NO_CASE = Case()


class Decision(NamedTuple):
    """An alert in the making: what `decide` knows of it."""

    kind: Kind
    action: Action
    severity: Severity
    threshold: float
    case_id: str
    alert_id: str


def decide(policy: Policy, case: Case, point: Point) -> tuple[Case, Decision | None]:
    """The entity's next case, and what is to be said now. A function of its arguments alone.

    While an entity is suppressed nothing is said and its case stands still; when that ends, it is alerted on at its
    next point if it is still above a threshold. So it is in a maintenance window, but for budgets.
    """
    if _suppressed(policy, point):
        return case, None
    if point.budget:
        return _budget(policy, case, point)
    if not any(window.since <= point.at < window.until for window in policy.maintenance):
        case, decision = _scored(policy, case, point)
        if decision is not None:  # what it has learned is said at the next point
            return case, decision
    return _exposure(policy, case, point)


def _scored(policy: Policy, case: Case, point: Point) -> tuple[Case, Decision | None]:
    thresholds = thresholds_of(policy, point)
    reached = _highest(thresholds, point.score)
    if not case.open:
        return _opened(policy, case, point, reached)
    assert case.severity is not None
    now = _refined(case, point)
    if reached is not None and _rank(reached.severity) > _rank(case.severity):
        escalated = msgspec.structs.replace(now, severity=reached.severity)
        return escalated, _decision("escalate", reached, escalated, point)
    if not thresholds or point.score < _floor(thresholds):
        held = Threshold(case.severity, thresholds[0].score if thresholds else 0.0)
        return msgspec.structs.replace(case, resolved_at=point.at), _decision("resolve", held, case, point)
    if now is not case and reached is not None:
        return now, _decision("rename", Threshold(case.severity, reached.score), now, point)
    return case, None


def _refined(case: Case, point: Point) -> Case:
    """The open case under the name that it has by now. A name is given once, or it would change with every point: from
    unknown to extraction, and from both to what a signal of its own speaks for.
    """
    if point.kind == "ring" or _certainty(point.attack) <= _certainty(case.kind or "extraction"):
        return case
    return msgspec.structs.replace(case, kind=point.attack)


def _certainty(kind: Attack) -> int:
    return 2 if kind in NAMED else int(kind == "extraction")


def thresholds_of(policy: Policy, point: Point) -> tuple[Threshold, ...]:
    """Those of the entity's class, else of its level."""
    return policy.thresholds.get(level_of_class(point.of_class) if point.of_class else point.kind, ())


def _hard(policy: Policy, of_class: str) -> int | None:
    """The largest hard budget that was declared for a client of the class."""
    return max((one.hard for one in policy.classes if one.name == of_class), default=policy.budget.hard)


def _opened(policy: Policy, case: Case, point: Point, reached: Threshold | None) -> tuple[Case, Decision | None]:
    if reached is None or _cooling_down(policy, case, point, reached):
        return case, None
    case_id = stable_id(point.model, point.kind, point.id, "case", point.query_id, str(point.n))
    opened = msgspec.structs.replace(
        case, case_id=case_id, severity=reached.severity, resolved_at=None, kind=point.attack
    )
    return opened, _decision("open", reached, opened, point)


def _cooling_down(policy: Policy, case: Case, point: Point, reached: Threshold) -> bool:
    if case.resolved_at is None or case.severity is None:
        return False
    rested = point.at - case.resolved_at >= policy.cool_down_s * 1e6
    return not rested and _rank(reached.severity) <= _rank(case.severity)


def _budget(policy: Policy, case: Case, point: Point) -> tuple[Case, Decision | None]:
    soft, hard = policy.budget.soft, policy.budget.hard
    if point.of_class:
        soft, hard = None, _hard(policy, point.of_class)
    limits: list[tuple[Severity, int | None]] = [("high", hard), ("low", soft)]
    passed = next(((s, limit) for s, limit in limits if limit is not None and point.asked_today >= limit), None)
    if passed is None:
        return case, None
    severity, limit = passed
    day = point.at // DAY_US
    said = case.budget_severity if case.budget_day == day else None
    if said is not None and _rank(said) >= _rank(severity):
        return case, None
    assert limit is not None
    noted = msgspec.structs.replace(case, budget_day=day, budget_severity=severity)
    action: Action = "open" if said is None else "escalate"
    case_id = stable_id(point.model, point.kind, point.id, "budget", str(day))
    alert_id = _alert_id(point, "budget", severity)
    return noted, Decision("budget", action, severity, float(limit), case_id, alert_id)


def _exposure(policy: Policy, case: Case, point: Point) -> tuple[Case, Decision | None]:
    if point.exposed is None:
        return case, None
    limits: list[tuple[Severity, float | None]] = [("high", policy.exposure.hard), ("low", policy.exposure.soft)]
    learned = point.exposed.clone / 1000
    passed = next(((s, limit) for s, limit in limits if limit is not None and learned >= limit), None)
    if passed is None or (case.exposed is not None and _rank(case.exposed) >= _rank(passed[0])):
        return case, None
    severity, limit = passed
    assert limit is not None
    action: Action = "open" if case.exposed is None else "escalate"
    case_id = stable_id(point.model, point.kind, point.id, "exposure")
    noted = msgspec.structs.replace(case, exposed=severity)
    return noted, Decision("exposure", action, severity, limit, case_id, _alert_id(point, "exposure", severity))


def _decision(action: Action, threshold: Threshold, case: Case, point: Point) -> Decision:
    kind: Kind = "ring" if point.kind == "ring" else case.kind or "extraction"
    alert_id = _alert_id(point, kind, threshold.severity)
    return Decision(kind, action, threshold.severity, threshold.score, case.case_id, alert_id)


def _alert_id(point: Point, kind: Kind, severity: Severity) -> str:
    """`n` too: a client who gives all his queries one id must not make one alert of all."""
    return stable_id(point.model, point.kind, point.id, kind, severity, point.query_id, str(point.n))


def _suppressed(policy: Policy, point: Point) -> bool:
    return any(s.kind == point.kind and s.id == point.id and point.at < s.until for s in policy.suppressions)


def _highest(thresholds: tuple[Threshold, ...], score: float) -> Threshold | None:
    return next((t for t in reversed(thresholds) if score >= t.score), None)


def _floor(thresholds: tuple[Threshold, ...]) -> float:
    lowest = thresholds[0].score
    return lowest * SETTLED if lowest > 0 else lowest


def _rank(severity: Severity) -> int:
    return SEVERITIES.index(severity)
