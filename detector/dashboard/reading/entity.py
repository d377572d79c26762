"""One entity of the tape: how each signal stands, its line over time, and the queries at which its score rose."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from detector.alert import Alert
from detector.dashboard.reading.casing import at_us
from detector.dashboard.shapes import AlertMark, Mattered, ThresholdAt, Timeline, Weighed
from detector.decide import thresholds_of
from detector.exposure.known import MEASURES
from detector.policy import Policy
from detector.reasons import ALONE, MOST_RARE, SWEEP, USUAL, WEAK_DB, leaks, like_a_sweep, sentence
from detector.tape import FLOOR, STEP, Point
from features.contract import Signal

MOST_POINTS = 2_000  # of a line
MOST_LINES = 12  # signals of a timeline
MOST_MATTERED = 20
GROUND = FLOOR - STEP  # where all scores below the tape's floor are drawn from


def one_in(odds: int) -> float | None:
    """So many honest clients to one that is as odd: half a unit more is ten times as rare. None below the median."""
    return min(10.0 ** (odds / 50), MOST_RARE) if odds > 0 else None


def weighed(point: Point, signals: Sequence[Signal]) -> tuple[Weighed, ...]:
    """All that speaks for or against it at a point, the oddest first."""
    odds = point.odds or point.evidence
    found = [
        (
            odds[f],
            Weighed(
                signal=signal.name,
                score=odds[f] / 100,
                evidence_db=point.evidence[f] / 100,
                share=point.shares[f] / 1000,
                honest_share=abs(point.tails[f]) / 1000,
                side="low" if point.tails[f] < 0 else "high",
                one_in=one_in(odds[f]),
                text=sentence(signal, point.shares[f], point.tails[f])
                if odds[f] >= USUAL and point.evidence[f] / 100 >= WEAK_DB
                else "",
            ),
        )
        for f, signal in enumerate(signals[: len(odds)])
    ]
    for name, value, text in _others(point):
        text = text if value >= USUAL else ""
        found.append((value, Weighed(name, value / 100, 0.0, 0.0, 0.0, "high", one_in(value), text)))
    return tuple(one for _, one in sorted(found, key=lambda pair: -pair[0]))


def _others(point: Point) -> list[tuple[str, int, str]]:
    """What is no signal of the log, and weighs in the score: what leaked, and the sequence model's word."""
    found = []
    if point.exposed is not None and point.exposed.odds:
        told = {reason.signal: reason.text for reason in leaks(point.exposed)}
        found += [(name, odds, told[name]) for name, odds in zip(MEASURES, point.exposed.odds, strict=True)]
    if point.sequence:
        found.append((SWEEP, point.sequence, like_a_sweep(point.sequence).text))
    return found


def strongest(point: Point, names: Sequence[str]) -> str:
    """The signal that stands out most, "" where none does."""
    odds = dict(zip(names, point.odds or point.evidence, strict=False))
    odds |= {name: value for name, value, _ in _others(point)}
    best = max(odds, key=lambda name: odds[name], default="")
    return best if best and odds[best] >= USUAL else ""


def timeline(points: Sequence[Point], alerts: Sequence[Alert], policy: Policy, names: Sequence[str]) -> Timeline:
    """points: of the score, in order."""
    kept = thinned([point.level for point in points])
    shown = [points[i] for i in kept]
    voices = [dict(zip(names, point.odds, strict=False)) | {n: v for n, v, _ in _others(point)} for point in shown]
    loud: dict[str, int] = {}
    for voice in voices:
        for name, value in voice.items():
            loud[name] = max(loud.get(name, 0), value)
    lines = sorted(loud, key=lambda name: -loud[name])[:MOST_LINES]
    marks = tuple(AlertMark(at_us(alert), alert.id, alert.action, alert.severity) for alert in alerts)
    thresholds = thresholds_of(policy, points[-1]) if points else ()
    return Timeline(
        at=tuple(point.at for point in shown),
        queries=tuple(point.n for point in shown),
        score=tuple(point.score if point.level else None for point in shown),
        clone=tuple(point.exposed.clone / 1000 if point.exposed else None for point in shown),
        signals={name: tuple(voice.get(name, 0) / 100 for voice in voices) for name in lines},
        alerts=marks,
        thresholds=tuple(ThresholdAt(one.severity, one.score) for one in thresholds),
        thinned=len(kept) < len(points),
    )


def thinned(levels: Sequence[int], most: int = MOST_POINTS) -> list[int]:
    """The places of at most so many points: of each stretch of equally many, the first, the lowest and the highest.

    >>> thinned([0, 5, 1, 0, 9, 2, 3, 1, 0, 4, 0, 7], most=6)
    [0, 3, 4, 8, 11]
    """
    if len(levels) <= most:
        return list(range(len(levels)))
    kept = {len(levels) - 1}
    for part in np.array_split(np.arange(len(levels)), (most - 1) // 3):
        of = [levels[i] for i in part.tolist()]
        kept |= {int(part[0]), int(part[of.index(min(of))]), int(part[of.index(max(of))])}
    return sorted(kept)


def mattered(points: Sequence[Point], signals: Sequence[Signal]) -> tuple[Mattered, ...]:
    """The queries at which the score rose, the largest rise first. Before the first point it stood on the ground."""
    found = []
    before: Point | None = None
    for point in points:
        rise = max(point.score, GROUND) - (GROUND if before is None else max(before.score, GROUND))
        if rise > 0:
            found.append(_rose(before, point, rise, signals))
        before = point
    return tuple(sorted(found, key=lambda one: (-one.rise, one.n))[:MOST_MATTERED])


def _counted(signal: Signal, odds: int) -> int:
    """What only corroborates counts for no more than what one honest client in a hundred shows."""
    return odds if signal.alone else min(odds, ALONE)


def _rose(before: Point | None, point: Point, rise: float, signals: Sequence[Signal]) -> Mattered:
    """With what rose most on the score's scale, since that is what the score is made of."""
    odds = point.odds or point.evidence
    was = (before.odds or before.evidence) if before else ()
    was = was or (0,) * len(odds)
    voices = zip(signals, odds, was, strict=False)
    rises = [_counted(signal, now) - _counted(signal, then) for signal, now, then in voices]
    others = {name: (value, text) for name, value, text in _others(point)}
    others_was = {name: value for name, value, _ in (_others(before) if before else [])}
    most = max(range(len(rises)), key=lambda f: rises[f], default=None)
    other = max(others, key=lambda name: others[name][0] - others_was.get(name, 0), default=None)
    score = max(point.score, 0.0)
    if other is not None:
        gain = others[other][0] - others_was.get(other, 0)
        if most is None or gain > rises[most]:
            text = others[other][1]
            return Mattered(point.query_id, point.at, point.n, score, rise, other, 0.0, 0.0, "high", text)
    if most is None:
        return Mattered(point.query_id, point.at, point.n, score, rise, "", 0.0, 0.0, "high", "")
    evidence = point.evidence[most] - (before.evidence[most] if before and before.evidence else 0)
    tail = point.tails[most]
    return Mattered(
        query_id=point.query_id,
        at=point.at,
        n=point.n,
        score=score,
        rise=rise,
        signal=signals[most].name,
        evidence_db=evidence / 100,
        honest_share=abs(tail) / 1000,
        side="low" if tail < 0 else "high",
        text=sentence(signals[most], point.shares[most], tail),
    )
