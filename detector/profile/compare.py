"""Two profiles side by side: what they learned from, what they promise, and how far each signal moved between them."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from detector.profile.artefact import Level, Profile, Summary
from detector.profile.report import span


class Moved(NamedTuple):
    """How a signal moved, by the bins of the old profile.

    moved: share of the new honest traffic that lies in other bins than the old traffic did (total variation, 0 to 1).
    low, high: the new share where the old traffic's lowest and highest 1% were.
    """

    signal: str
    moved: float
    low: float
    high: float


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
            into = _edges(was.edges[f])
            shares = _rebinned(now.shares[g], _edges(now.edges[g]), into)
            moved = 0.5 * float(np.abs(shares - _rebinned(was.shares[f], into, into)).sum())
            tails = np.cumsum(shares)
            found.append(Moved(name, moved, float(tails[LOWEST]), float(1.0 - tails[HIGHEST])))
    return sorted(found, key=lambda one: -one.moved)


LOWEST, HIGHEST = 3, -5  # bins: nulls.CUTS has 1% as its third cut and 99% as its third from the end


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
        row("promise", lambda s: f"{s.promise:.2%}, {s.state}"),
        row("confidence", lambda s: "on average" if s.confidence is None else f"{s.confidence:.0%}"),
        row("horizon", lambda s: span(s.horizon)),
        row("false alerts a day", lambda s: f"{s.alerts_a_day:.2f}"),
        row("group", lambda s: s.group or "none"),
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
            f"  {one.signal}: {one.moved:.1%} of honest queries moved; {one.low:.1%} where the lowest 1% were, "
            f"{one.high:.1%} where the highest 1% were"
        )
    return ["Signals, the new honest clients by the old profile's bins:", *lines]


def _table(rows: list[tuple[str, str, str]]) -> list[str]:
    widths = [max(len(row[i]) for row in rows) for i in range(2)]
    return [f"{name:<{widths[0]}}  {was:<{widths[1]}}  {now}".rstrip() for name, was, now in rows]
