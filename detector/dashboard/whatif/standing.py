"""Which points no policy of a journal can tell apart: what `decide` compares, as one number a point.

`decide` sees of a point's numbers only on which side of a policy's limits they lie: the score of thresholds and of what
settles a case, the time of windows and of the next policy, the counts of budgets, what leaked of exposure budgets. So
points with the same bands are the same to it, whoever's they are, but for the end of a cool-down and the day of a
budget, which depend on the case (trial.py). A point of a suppressed entity changes nothing, and is left out.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from math import ceil
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from detector.alert import ATTACKS
from detector.dashboard.whatif.columns import NOTHING_LEARNED, Columns
from detector.decide import DAY_US, SETTLED
from detector.policy import Dated, Policy, Suppression, in_force
from detector.query import I64
from detector.tape import TOP_LEVEL, score_of

SCORES = np.array([score_of(level) for level in range(TOP_LEVEL + 1)])
NEVER = TOP_LEVEL + 1
FOREVER_US = 2**62


class Limits(NamedTuple):
    """What the policies of a journal compare with, for the levels of thresholds of some columns (`groups`).

    times: microseconds, ascending, at which another policy holds or a window begins or ends; rests: of each span
    between them, the cool-down, microseconds. bands: (groups, levels) on which side of all thresholds and what settles
    them a grid level lies. least: by group, the lowest grid level that any policy alerts on; NEVER where none does.
    counts, shares: ascending limits of budgets a day, and of exposure.
    """

    times: I64
    rests: I64
    bands: I64
    least: I64
    counts: I64
    shares: NDArray[np.float64]


def limits_of(journal: Sequence[Dated], groups: Sequence[str]) -> Limits:
    policies = [dated.policy for dated in journal]
    times = {dated.since for dated in journal[1:]}
    times |= {at for policy in policies for window in policy.maintenance for at in (window.since, window.until)}
    spans = sorted(times)
    rests = [in_force(journal, at).cool_down_s for at in (spans[0] - 1 if spans else 0, *spans)]
    bands = np.zeros((len(groups), TOP_LEVEL + 1), np.int64)
    least = np.full(len(groups), NEVER, np.int64)
    for place, group in enumerate(groups):
        bands[place] = np.searchsorted(np.array(sorted(_cuts(policies, group))), SCORES, side="right")
        scores = [one.score for policy in policies for one in policy.thresholds.get(group, ())]
        if scores:
            least[place] = np.searchsorted(SCORES, min(scores))
    counts = [policy.budget.soft for policy in policies] + [policy.budget.hard for policy in policies]
    counts += [one.hard for policy in policies for one in policy.classes]
    shares = [policy.exposure.soft for policy in policies] + [policy.exposure.hard for policy in policies]
    return Limits(
        np.array(spans, np.int64),
        np.array([ceil(min(rest * 1e6, FOREVER_US)) for rest in rests], np.int64),
        bands,
        least,
        np.array(sorted({count for count in counts if count is not None}), np.int64),
        np.array(sorted({share for share in shares if share is not None}), np.float64),
    )


def _cuts(policies: Iterable[Policy], group: str) -> set[float]:
    scores = {one.score for policy in policies for one in policy.thresholds.get(group, ())}
    return scores | {score * SETTLED for score in scores if score > 0}


def candidates(columns: Columns, limits: Limits) -> I64:
    """The entities of which anything could be said: with no point at a threshold, no case is ever opened."""
    kinds = dict.fromkeys(columns.kinds, NEVER)
    for place, group in enumerate(columns.groups):
        kind = group.partition(":")[0]
        kinds[kind] = min(kinds[kind], int(limits.least[place]))
    return np.flatnonzero(
        (columns.peak >= columns.of_kind(kinds))
        | (columns.asked >= (limits.counts[0] if len(limits.counts) else np.iinfo(np.int64).max))
        | (_learned(columns.clone) >= (limits.shares[0] if len(limits.shares) else np.inf))
    )


def _learned(clone: NDArray[np.integer]) -> NDArray[np.float64]:
    return np.where(clone == NOTHING_LEARNED, -1.0, clone / 1000)


class Runs(NamedTuple):
    """The points of some entities that are left, and runs of those that cannot be told apart, in their order.

    places: of points in the columns; at, day: their times, microseconds and days; standing: what `decide` tells apart;
    span: of `Limits.rests`. first: of each run, in `places`, one more at the end. entity: of each run. following: the
    run itself where it can open a case or say something of a budget or of exposure, else the next of its entity that
    can; past the entity's last run where none does. ends: of each run, past its entity's last.
    """

    places: I64
    at: I64
    day: I64
    standing: I64
    span: I64
    first: I64
    entity: I64
    following: I64
    ends: I64


def runs_of(columns: Columns, entities: I64, limits: Limits, journal: Sequence[Dated], alerts_from: int) -> Runs:
    """Nothing of before `alerts_from`, no point of who is suppressed, and no count below all budgets."""
    places, p = columns.places(entities), columns.points
    kept = ~p.budget[places] | (p.asked[places] >= (limits.counts[0] if len(limits.counts) else FOREVER_US))
    kept &= p.at[places] >= alerts_from
    places = places[kept]
    for suppressed in _suppressed(columns, journal):
        places = places[~np.isin(places, suppressed)]
    at, budget, level, group = p.at[places], p.budget[places], p.level[places], p.group[places]
    span = np.searchsorted(limits.times, at, side="right")
    high = ~budget & (level >= limits.least[group])
    learned = np.searchsorted(limits.shares, _learned(p.clone[places]), side="right") * ~budget
    counted = np.searchsorted(limits.counts, p.asked[places], side="right") * budget
    standing = np.zeros(len(places), np.int64)
    for column, most in (
        (span, len(limits.times) + 1),
        (group, len(columns.groups)),
        (np.where(budget, 0, limits.bands[group, level]), int(limits.bands.max(initial=0)) + 1),
        (np.where(high, p.attack[places], 0), len(ATTACKS)),
        (learned, len(limits.shares) + 1),
        (counted, len(limits.counts) + 1),  # of a budget point it is never 0
    ):
        standing = standing * most + column
    day = np.where(budget, at // DAY_US, -1)
    entity = p.entity[places].astype(np.int64)
    starts = np.ones(len(places), np.bool_)
    for column in (entity, standing, day):
        starts[1:] &= column[1:] == column[:-1]
    starts[1:] = ~starts[1:]
    first = np.flatnonzero(starts)
    hot = (high | (learned > 0) | budget)[first]
    return Runs(
        places, at, day, standing, span, np.append(first, len(places)), entity[first], *_next(entity[first], hot)
    )


def _next(entity: I64, hot: NDArray[np.bool_]) -> tuple[I64, I64]:
    """`following` and `ends` of runs."""
    count = len(entity)
    last = np.append(entity[1:] != entity[:-1], True)[:count]
    ends = np.repeat(np.flatnonzero(last) + 1, np.diff(np.append(-1, np.flatnonzero(last))))
    following = np.minimum.accumulate(np.where(hot, np.arange(count), count)[::-1])[::-1]
    return np.minimum(following, ends), ends


def _suppressed(columns: Columns, journal: Sequence[Dated]) -> Iterable[I64]:
    """The places of points at which an entity was suppressed, for each suppression of each policy while it held."""
    named: dict[tuple[str, str], int] | None = None
    for place, dated in enumerate(journal):
        begins = dated.since if place else -FOREVER_US
        ends = journal[place + 1].since if place + 1 < len(journal) else FOREVER_US
        for one in dated.policy.suppressions:
            named = named or {(who.kind, who.id): e for e, who in enumerate(columns.who[: columns.entities])}
            yield _of_one(columns, named.get((one.kind, one.id)), one, begins, ends)


def _of_one(columns: Columns, entity: int | None, one: Suppression, begins: int, ends: int) -> I64:
    if entity is None:
        return np.zeros(0, np.int64)
    places = np.arange(columns.starts[entity], columns.starts[entity + 1])
    at = columns.points.at[places]
    return places[(at >= begins) & (at < min(ends, one.until))]
