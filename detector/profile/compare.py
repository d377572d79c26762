"""Two profiles side by side: what they learned from, what they promise, and how far each signal moved between them."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from detector.evidence.law import Law
from detector.profile.artefact import Level, Profile, Summary
from detector.profile.report import span

TAIL = 0.015  # of the old honest traffic: what counts as its extremes


class Moved(NamedTuple):
    """How a signal moved, by the bins of the old profile.

    moved: share of the new honest traffic that lies in other bins than the old traffic did (total variation, 0 to 1).
    low, high: the shares of the old and of the new traffic in the bins at either end that held about 1% of the old.
    """

    signal: str
    moved: float
    low: tuple[float, float]
    high: tuple[float, float]


def compare(old: Profile, new: Profile) -> list[str]:
    """The lines of `querywarden profile compare`."""
    pairs = [("", old.summary.id, new.summary.id), *_facts(old.summary, new.summary)]
    kinds = dict.fromkeys(level.kind for profile in (old, new) for level in profile.summary.levels)
    for kind in kinds:
        pairs += _level(kind, old, new)
    lines = _table(pairs)
    lines += ["", *_signals(old, new)]
    if old.summary.model != new.summary.model:
        lines.append("Note: they judge different models.")
    return lines


def moves(old: Profile, new: Profile) -> list[Moved]:
    """Of the client level's signals that are on in both, the one that moved furthest first."""
    was, now = old.laws["client"], new.laws["client"]
    found = []
    for f, name in enumerate(old.summary.signals):
        if name not in new.summary.signals:
            continue
        g = new.summary.signals.index(name)
        if was.active[f] and now.active[g]:
            found.append(_moved(name, was, f, now, g))
    return sorted(found, key=lambda one: -one.moved)


def _moved(name: str, was: Law, f: int, now: Law, g: int) -> Moved:
    into = _edges(was.edges[f])
    before = _rebinned(was.shares[f], into, into)
    after = _rebinned(now.shares[g], _edges(now.edges[g]), into)
    moved = 0.5 * float(np.abs(after - before).sum())
    return Moved(name, moved, _tail(before, after), _tail(before[::-1], after[::-1]))


def _tail(before: NDArray[np.float64], after: NDArray[np.float64]) -> tuple[float, float]:
    """What both have in the first bins that hold at most TAIL of the old."""
    bins = int(np.count_nonzero(np.cumsum(before) <= TAIL))
    return float(before[:bins].sum()), float(after[:bins].sum())


def _edges(by_stage: NDArray[np.float64]) -> NDArray[np.float64]:
    """(BINS - 1,) of (STAGES, BINS - 1): the middle stage's stand for all."""
    return np.asarray(by_stage[len(by_stage) // 2], np.float64)


def _rebinned(
    shares: NDArray[np.float64], edges: NDArray[np.float64], into: NDArray[np.float64]
) -> NDArray[np.float64]:
    """The shares of one set of bins, in another set: linear between edges, nothing outside the outermost ones."""
    below = np.cumsum(shares)[:-1]
    below[0], below[-1] = 0.0, 1.0
    return np.diff(np.concatenate(([0.0], np.interp(into, edges, below, left=0.0, right=1.0), [1.0])))


def _facts(old: Summary, new: Summary) -> list[tuple[str, str, str]]:
    def row(name: str, of) -> tuple[str, str, str]:  # type: ignore[no-untyped-def]
        return name, str(of(old)), str(of(new))

    return [
        row("model", lambda s: f"{s.model} ({s.width} inputs)"),
        row("log", lambda s: f"{s.log_from[:10]} to {s.log_to[:10]}"),
        row("queries", lambda s: f"{s.queries:,}"),
        row("clients", lambda s: f"{s.clients:,}"),
        row("unreadable", lambda s: f"{s.unreadable:,}"),
        row("training distribution", lambda s: s.reference),
        row("promise", lambda s: f"{'none' if s.promise is None else f'{s.promise:.2%}'}, {s.state}"),
        row("confidence", lambda s: "on average" if s.confidence is None else f"{s.confidence:.0%}"),
        row("horizon", lambda s: span(s.horizon)),
        row("false alerts a day", lambda s: f"{s.alerts_a_day:.2f}"),
        row("groups", lambda s: ", ".join(s.groups) or "none"),
    ]


def _level(kind: str, old: Profile, new: Profile) -> list[tuple[str, str, str]]:
    levels = [next((level for level in p.summary.levels if level.kind == kind), None) for p in (old, new)]
    steps = [{t.severity: t.score for t in p.summary.policy.thresholds.get(kind, ())} for p in (old, new)]
    severities = dict.fromkeys([*steps[0], *steps[1]])
    told = [(f"{kind}: calibrated on", [_said(level) for level in levels])]
    told += [(f"{kind}: {s} from", [f"{step[s]:.2f}" if s in step else "-" for step in steps]) for s in severities]
    return [(name, was, now) for name, (was, now) in told]


def _said(level: Level | None) -> str:
    if level is None:
        return "not judged"
    if level.share is None:
        return f"{level.calibrated} (observes only)"
    return f"{level.calibrated} for {level.share:.2%}"


def _signals(old: Profile, new: Profile) -> list[str]:
    off = [{o.signal: o.reason for o in p.summary.off} for p in (old, new)]
    lines = [f"  {name}: off before, {reason}; on now" for name, reason in off[0].items() if name not in off[1]]
    lines += [f"  {name}: on before; off now, {reason}" for name, reason in off[1].items() if name not in off[0]]
    lines += [f"  {name}: off in both" for name in off[0] if name in off[1]]
    for one in moves(old, new):
        lines.append(
            f"  {one.signal}: {one.moved:.1%} of honest queries moved; {one.low[1]:.1%} where the lowest "
            f"{one.low[0]:.1%} were, {one.high[1]:.1%} where the highest {one.high[0]:.1%} were"
        )
    return ["Signals, the new honest clients by the old profile's bins:", *lines]


def _table(rows: list[tuple[str, str, str]]) -> list[str]:
    widths = [max(len(row[i]) for row in rows) for i in range(2)]
    return [f"{name:<{widths[0]}}  {was:<{widths[1]}}  {now}".rstrip() for name, was, now in rows]
