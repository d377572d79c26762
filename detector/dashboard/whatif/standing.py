"""Which points of an entity no policy of a journal can tell apart: what `decide` compares, as numbers of bands.

`decide` sees of a point's numbers only on which side of a policy's limits they lie: the score of thresholds and of what
settles a case, the time of windows, suppressions and the days of a budget, the counts of budgets. So two points with
the same bands are the same to it, but for the end of a cool-down, whose time depends on the case (trial.py).
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from detector.alert import ATTACKS, NAMED
from detector.dashboard.whatif.columns import NOTHING_LEARNED, Columns
from detector.decide import DAY_US, SETTLED
from detector.policy import Dated, Policy
from detector.tape import TOP_LEVEL, score_of

SCORES = np.array([score_of(level) for level in range(TOP_LEVEL + 1)])
NEVER = TOP_LEVEL + 1
# A case is renamed from less to more certain only (detector.decide).
CERTAINTY = np.array([2 if kind in NAMED else int(kind == "extraction") for kind in ATTACKS])


class Limits(NamedTuple):
    """What the policies of a journal compare with, for the levels of thresholds of some columns (`groups`).

    times: microseconds, ascending, at which another policy holds, a window begins or ends, or a suppression ends.
    bands: (groups, levels) on which side of all thresholds and what settles them a grid level lies.
    least: by group, the lowest grid level that any policy alerts on; NEVER where none does.
    counts, shares: ascending limits of budgets a day, and of exposure.
    """

    times: NDArray[np.int64]
    bands: NDArray[np.int64]
    least: NDArray[np.int64]
    counts: NDArray[np.int64]
    shares: NDArray[np.float64]


def limits_of(journal: Sequence[Dated], groups: Sequence[str]) -> Limits:
    policies = [dated.policy for dated in journal]
    times = {dated.since for dated in journal[1:]}
    for policy in policies:
        times |= {at for window in policy.maintenance for at in (window.since, window.until)}
        times |= {one.until for one in policy.suppressions}
    bands = np.zeros((len(groups), TOP_LEVEL + 1), np.int64)
    least = np.full(len(groups), NEVER, np.int64)
    for place, group in enumerate(groups):
        cuts = _cuts(policies, group)
        bands[place] = np.searchsorted(np.array(sorted(cuts)), SCORES, side="right")
        scores = [one.score for policy in policies for one in policy.thresholds.get(group, ())]
        if scores:
            least[place] = np.searchsorted(SCORES, min(scores))
    counts = [policy.budget.soft for policy in policies] + [policy.budget.hard for policy in policies]
    counts += [one.hard for policy in policies for one in policy.classes]
    shares = [policy.exposure.soft for policy in policies] + [policy.exposure.hard for policy in policies]
    return Limits(
        np.array(sorted(times), np.int64),
        bands,
        least,
        np.array(sorted({count for count in counts if count is not None}), np.int64),
        np.array(sorted({share for share in shares if share is not None}), np.float64),
    )


def _cuts(policies: Iterable[Policy], group: str) -> set[float]:
    scores = {one.score for policy in policies for one in policy.thresholds.get(group, ())}
    return scores | {score * SETTLED for score in scores if score > 0}


def candidates(columns: Columns, limits: Limits) -> NDArray[np.int64]:
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


def _learned(clone: NDArray[np.int64]) -> NDArray[np.float64]:
    return np.where(clone == NOTHING_LEARNED, -1.0, clone / 1000)


class Runs(NamedTuple):
    """Runs of points that cannot be told apart, of some entities, in their order.

    places: of points in the columns; first: of each run, in `places` (one more at the end); hot: whether a run can open
    a case where none is open, or say something of a budget; entity: of each run.
    """

    places: NDArray[np.int64]
    first: NDArray[np.int64]
    hot: NDArray[np.bool_]
    entity: NDArray[np.int64]


def runs_of(columns: Columns, entities: NDArray[np.int64], limits: Limits, alerts_from: int) -> Runs:
    """What is left of entities' points: none of before `alerts_from`, and no count below all budgets."""
    places = _places(columns.starts, entities)
    points = columns.points[places]
    level, group = points["level"], points["group"]
    counted = np.searchsorted(limits.counts, points["asked"], side="right")
    learned = np.searchsorted(limits.shares, _learned(points["clone"].astype(np.int64)), side="right")
    budget = points["budget"]
    kept = np.flatnonzero((points["at"] >= alerts_from) & (~budget | (counted > 0)))
    places, points, budget, level, group = places[kept], points[kept], budget[kept], level[kept], group[kept]
    learned, counted = np.where(budget, 0, learned[kept]), np.where(budget, counted[kept], 0)
    high = ~budget & (level >= limits.least[group])
    standing = (
        points["entity"],
        np.searchsorted(limits.times, points["at"], side="right"),
        group,
        np.where(budget, -1, limits.bands[group, level]),
        np.where(high, CERTAINTY[points["attack"]], 0),
        learned,
        counted,
        np.where(budget, points["at"] // DAY_US, 0),
    )
    first = np.flatnonzero(_changes(standing, len(places)))
    hot = (high | (learned > 0) | budget)[first]
    return Runs(places, np.append(first, len(places)), hot, points["entity"][first].astype(np.int64))


def _changes(columns: Sequence[NDArray[np.generic]], count: int) -> NDArray[np.bool_]:
    changed = np.zeros(count, np.bool_)
    changed[:1] = True
    for column in columns:
        changed[1:] |= column[1:] != column[:-1]
    return changed


def _places(starts: NDArray[np.int64], entities: NDArray[np.int64]) -> NDArray[np.int64]:
    """The places of all points of some entities, in order."""
    counts = starts[entities + 1] - starts[entities]
    before = np.cumsum(counts) - counts
    return np.repeat(starts[entities] - before, counts) + np.arange(int(counts.sum()))
