"""Two trials side by side: what was said under the policies of the journal, and what a changed one would have said."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from detector.alert import SEVERITIES, Severity
from detector.dashboard.shapes import Day, Flip, Judged, Preview, Promised
from detector.dashboard.whatif.columns import Columns
from detector.dashboard.whatif.standing import limits_of
from detector.dashboard.whatif.trial import Trial
from detector.decide import DAY_US
from detector.learned.triage import Answer
from detector.policy import Dated, Policy

RAISES = ("open", "escalate")  # actions that are counted
NOBODY = -1


class Side(NamedTuple):
    """A trial's openings and escalations within a span. severity, at: by entity, the highest severity (its rank, NOBODY
    for who was not alerted on) and the place of the point at which it was said first.
    """

    days: dict[int, Counter[str]]
    total: Counter[str]
    opened: int
    severity: NDArray[np.int64]
    place: NDArray[np.int64]


def side(columns: Columns, trial: Trial, since: int, until: int) -> Side:
    """Over [since, until) of log time."""
    found = Side({}, Counter(), 0, *(np.full(len(columns.peak), NOBODY, np.int64) for _ in range(2)))
    opened = 0
    at = columns.points["at"][trial.place].tolist() if trial.place else []
    for entity, place, decision, when in zip(trial.entity, trial.place, trial.decisions, at, strict=True):
        if decision.action not in RAISES or not since <= when < until:
            continue
        opened += decision.action == "open"
        found.total[decision.severity] += 1
        found.days.setdefault(when - when % DAY_US, Counter())[decision.severity] += 1
        rank = SEVERITIES.index(decision.severity)
        if rank > found.severity[entity]:
            found.severity[entity], found.place[entity] = rank, place
    return found._replace(opened=opened)


def preview(
    columns: Columns,
    was: Side,
    would: Side,
    policy: Policy,
    said: Mapping[bytes, Answer],
    promised: Sequence[Promised],
    span: tuple[int, int],
    listed: int,
) -> Preview:
    """policy: the changed one. said: by entity, the verdict that counts. span: [since, until) of log time."""
    since, until = span
    alerted, now = was.severity > NOBODY, would.severity > NOBODY
    into, out = np.flatnonzero(now & ~alerted), np.flatnonzero(alerted & ~now)
    days = max((until - since) / DAY_US, 0.0)
    return Preview(
        since=since if len(columns) else None,
        until=until if len(columns) else None,
        days=_days(was, would, since, until),
        was=dict(was.total),
        would=dict(would.total),
        flips_in=_flips(columns, would, into, said, listed),
        flips_out=_flips(columns, was, out, said, listed),
        flips_in_total=len(into),
        flips_out_total=len(out),
        judged=_judged(columns, alerted, now, said),
        promised=tuple(promised),
        above=_above(columns, policy),
        expected_per_day=would.opened / days if days else None,
        entities=int(np.count_nonzero(np.diff(columns.starts))),
        points=len(columns),
        history_days=days,
        took_ms=0.0,
    )


def _days(was: Side, would: Side, since: int, until: int) -> tuple[Day, ...]:
    none: Counter[str] = Counter()
    first = since - since % DAY_US
    return tuple(
        Day(at, dict(was.days.get(at, none)), dict(would.days.get(at, none))) for at in range(first, until, DAY_US)
    )


def _flips(
    columns: Columns, told: Side, entities: NDArray[np.int64], said: Mapping[bytes, Answer], listed: int
) -> tuple[Flip, ...]:
    """The most severe first, of these those with the highest score."""
    order = np.lexsort((entities, -columns.peak[entities], -told.severity[entities]))[:listed]
    found = []
    for entity in entities[order].tolist():
        who, point = columns.who[entity], columns.point(int(told.place[entity]))
        severity: Severity = SEVERITIES[int(told.severity[entity])]
        score = max(columns.peak_score(entity), 0.0)
        found.append(Flip(who.kind, who.id, severity, score, point.at, said.get(who.key)))
    return tuple(found)


def _judged(
    columns: Columns, alerted: NDArray[np.bool_], now: NDArray[np.bool_], said: Mapping[bytes, Answer]
) -> Judged:
    attacks, judged = np.zeros(len(alerted), np.bool_), np.zeros(len(alerted), np.bool_)
    for place, who in enumerate(columns.who[: len(alerted)] if said else ()):
        answer = said.get(who.key, "unsure")
        attacks[place], judged[place] = answer == "attack", answer != "unsure"
    return Judged(
        kept=int(np.count_nonzero(attacks & alerted & now)),
        lost=int(np.count_nonzero(attacks & alerted & ~now)),
        gained=int(np.count_nonzero(attacks & ~alerted & now)),
        precision_was=_share(attacks & alerted, judged & alerted),
        precision_would=_share(attacks & now, judged & now),
    )


def _share(of: NDArray[np.bool_], among: NDArray[np.bool_]) -> float | None:
    count = int(np.count_nonzero(among))
    return int(np.count_nonzero(of)) / count if count else None


def _above(columns: Columns, policy: Policy) -> dict[str, int]:
    """By level, entities whose score was at or above its lowest threshold when they left their last point."""
    least = limits_of([Dated(0, policy)], columns.groups).least
    last = columns.points[columns.last[columns.last >= 0]]
    above = np.bincount(last["group"][last["level"] >= least[last["group"]]], minlength=len(columns.groups))
    return {group: int(above[place]) for place, group in enumerate(columns.groups) if group in policy.thresholds}
