"""Two trials side by side: what was said under the policies of the journal, and what a changed one would have said."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from detector.alert import SEVERITIES, Severity
from detector.dashboard.shapes import Day, Flip, Judged, Preview, Promised
from detector.dashboard.whatif.columns import Columns
from detector.dashboard.whatif.standing import limits_of
from detector.dashboard.whatif.trial import Trial
from detector.dashboard.whatif.weather import Weather
from detector.decide import DAY_US
from detector.learned.triage import Answer
from detector.levels import TICK_US
from detector.policy import Dated, Policy
from detector.query import I64

RAISES = ("open", "escalate")  # actions that are counted
NOBODY = -1


class Side(NamedTuple):
    """A trial's openings and escalations within a span. days: (days, severities) of those that were told, from the day
    on in which the span begins; held: by day, those that a storm held; storms: how many began. severity, place: by
    entity, the rank of the highest severity (NOBODY for who was not told of) and the point at which it was said first.
    """

    days: I64
    held: I64
    storms: int
    opened: int
    severity: I64
    place: I64


def side(columns: Columns, trial: Trial, weather: Weather, since: int, until: int) -> Side:
    """Over [since, until) of log time."""
    raises = np.array([ruling.action in RAISES for ruling in trial.rulings], np.bool_)
    ranks = np.array([SEVERITIES.index(ruling.severity) for ruling in trial.rulings], np.int64)
    opens = np.array([ruling.action == "open" for ruling in trial.rulings], np.bool_)
    at = columns.points.at[trial.place]
    within = raises[trial.ruling] & (at >= since) & (at < until)
    inside = np.flatnonzero(within & ~weather.held)
    count = _days_of(since, until)
    held = np.bincount(at[within & weather.held] // DAY_US - since // DAY_US, minlength=count)
    ruling, entity, place = trial.ruling[inside], trial.entity[inside], trial.place[inside]
    rank, day = ranks[ruling], at[inside] // DAY_US - since // DAY_US
    days = np.bincount(day * len(SEVERITIES) + rank, minlength=count * len(SEVERITIES))
    severity, first = (np.full(columns.entities, NOBODY, np.int64) for _ in range(2))
    np.maximum.at(severity, entity, rank)
    highest = np.flatnonzero(rank == severity[entity])[::-1]  # of equal assignments the last holds: the first said
    first[entity[highest]] = place[highest]
    storms = sum(since <= tick * TICK_US < until for tick in weather.storms)
    opened = int(np.count_nonzero(opens[ruling]))
    return Side(days.reshape(-1, len(SEVERITIES)), held, storms, opened, severity, first)


def _days_of(since: int, until: int) -> int:
    return max((until - 1) // DAY_US - since // DAY_US + 1, 1)


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
        days=_days(was, would, since),
        was=_named(was.days.sum(0)),
        would=_named(would.days.sum(0)),
        held_was=int(was.held.sum()),
        held_would=int(would.held.sum()),
        storms_was=was.storms,
        storms_would=would.storms,
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


def _days(was: Side, would: Side, since: int) -> tuple[Day, ...]:
    first = since - since % DAY_US
    return tuple(
        Day(first + day * DAY_US, _named(then), _named(now), int(was.held[day]), int(would.held[day]))
        for day, (then, now) in enumerate(zip(was.days, would.days, strict=True))
    )


def _named(counts: I64) -> dict[str, int]:
    return {severity: count for severity, count in zip(SEVERITIES, counts.tolist(), strict=True) if count}


def _flips(columns: Columns, told: Side, entities: I64, said: Mapping[bytes, Answer], listed: int) -> tuple[Flip, ...]:
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
    for key, answer in said.items():
        place = columns.place_of.get(key)
        if place is not None and place < len(alerted):
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
    last = columns.last[columns.last >= 0]
    level, groups = columns.points.level[last], columns.points.group[last]
    above = np.bincount(groups[level >= least[groups]], minlength=len(columns.groups))
    return {group: int(above[place]) for place, group in enumerate(columns.groups) if group in policy.thresholds}
