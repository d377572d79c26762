"""What of a trial would have been told and what held: production's storms over the openings that the trial found.

Whether the population moved is counted by production's `Openings`, and what is held is said by its `held`. Openings
that are too few for any storm are not counted one by one; `held` is asked once about all alerts that stand in one way.

Not covered: what raged before the tape begins. Where the store knows not how many queries a tick had (before it counted
them), a storm is as large as `at_least` asks.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import cache
from itertools import groupby
from math import ceil
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from detector.alert import ATTACKS, Action, Kind, Severity
from detector.dashboard.whatif.columns import Columns
from detector.dashboard.whatif.trial import Ruling, Trial
from detector.levels import TICK_US
from detector.policy import Dated, in_force
from detector.query import I64
from detector.storm import Openings, held

FOREVER = 2**62
NOTHING, THIS, ANOTHER = range(3)  # what is held of an entity: no case, the one that is open, an older one
CASES = ("", "this", "another")


class Weather(NamedTuple):
    """held: of each decision of a trial. storms: the ticks from which on one raged."""

    held: NDArray[np.bool_]
    storms: Sequence[int] = ()


class Raged(NamedTuple):
    """A storm on a signal, from the tick `since` on, until the tick `ended`."""

    since: int
    ended: int


def weather(columns: Columns, trial: Trial, journal: Sequence[Dated], per_query: float) -> Weather:
    """per_query: openings that the promise lets honest clients expect a query."""
    none = np.zeros(len(trial.place), np.bool_)
    asked = [dated.policy.storm for dated in journal if dated.policy.storm.at_least]
    accuses = np.array([one.kind in ATTACKS for one in trial.rulings], np.bool_)[trial.ruling]
    if not asked or not accuses.any():
        return Weather(none)
    ticks = columns.points.tick[trial.place].astype(np.int64)
    leads = _leads(columns, trial)
    opens = accuses & np.array([one.action == "open" for one in trial.rulings], np.bool_)[trial.ruling]
    least = min(one.at_least for one in asked)
    widest = ceil(max(dated.policy.storm.window_s for dated in journal) * 1e6 / TICK_US)
    storming, storms = none.copy(), list[int]()
    for signal in np.unique(leads[opens]).tolist():
        mine = np.flatnonzero(opens & (leads == signal))
        mine = mine[np.argsort(ticks[mine], kind="stable")]
        for raged in _raged(columns, trial.entity[mine], ticks[mine], journal, per_query, least, widest):
            storms.append(raged.since)
            storming |= accuses & (leads == signal) & (ticks >= raged.since) & (ticks < raged.ended)
    if not storms:
        return Weather(none)
    storming &= _allowed(journal, ticks)
    return Weather(_held(trial, ticks, storming), sorted(storms))


def _leads(columns: Columns, trial: Trial) -> I64:
    """The place of each decision's leading reason."""
    found = np.zeros(len(trial.place), np.int64)
    first, own = columns.points.first[trial.place], columns.points.own[trial.place]
    for number, ruling in enumerate(trial.rulings):
        mine = np.flatnonzero(trial.ruling == number)
        found[mine] = columns.leading.leads(first[mine], own[mine], ruling.kind, opens=ruling.action == "open")
    return found


def _raged(
    columns: Columns, entities: I64, ticks: I64, journal: Sequence[Dated], per_query: float, least: int, widest: int
) -> Iterator[Raged]:
    """The storms on one signal. Openings further apart than the widest window know nothing of each other."""
    cuts = np.flatnonzero(np.diff(ticks) > widest + 1) + 1
    for start, stop in zip([0, *cuts.tolist()], [*cuts.tolist(), len(ticks)], strict=True):
        part = ticks[start:stop]
        if len(part) >= least and bool((part[least - 1 :] - part[: len(part) - least + 1] <= widest).any()):
            yield from _counted(columns, entities[start:stop], part, journal, per_query)


def _counted(
    columns: Columns, entities: I64, ticks: I64, journal: Sequence[Dated], per_query: float
) -> Iterator[Raged]:
    """As production counts, tick by tick."""

    def expected(behind: int, until: int) -> float:
        return per_query * columns.queries(behind, until)

    of, last = Openings(), 0
    for tick, those in groupby(zip(ticks.tolist(), entities.tolist(), strict=True), key=lambda pair: pair[0]):
        ended, storm = of.ends(), of.raging
        if storm is not None and ended is not None and ended[0] <= tick:
            yield Raged(storm.since, max(ended[0], last + 1))
            of = Openings()
        names = sorted(columns.who[entity].id for _, entity in those)
        of.count(tick, names, in_force(journal, (tick + 1) * TICK_US), expected)
        last = tick
    ended, storm = of.ends(), of.raging
    if storm is not None and ended is not None:
        yield Raged(storm.since, max(ended[0], last + 1))  # under a policy with a shorter window it ends at once


def _allowed(journal: Sequence[Dated], ticks: I64) -> NDArray[np.bool_]:
    """Whether the policy in force holds anything."""
    known, which = np.unique(ticks, return_inverse=True)
    holds = [in_force(journal, tick * TICK_US).storm.at_least > 0 for tick in known.tolist()]
    return np.array(holds, np.bool_)[which]


class _Alert(NamedTuple):
    """Of an alert what `held` looks at (detector.storm.Said)."""

    kind: Kind
    action: Action
    severity: Severity
    case_id: str


@cache
def _asked(ruling: Ruling, before: int, storming: bool) -> tuple[int, bool]:
    """What is held of an entity behind an alert, and whether the alert is."""
    opens = ruling.action == "open" and ruling.kind in ATTACKS
    stands = ANOTHER if opens and before == THIS else before
    case_id = "this" if ruling.kind in ATTACKS else "budget"
    case, hold = held(CASES[stands], _Alert(ruling.kind, ruling.action, ruling.severity, case_id), storming)
    return CASES.index(case), hold


def _held(trial: Trial, ticks: I64, storming: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """All entities go on side by side, each in the order in which its alerts are let go."""
    found = np.zeros(len(storming), np.bool_)
    some = np.flatnonzero(np.isin(trial.entity, np.unique(trial.entity[storming])))
    some = some[np.lexsort((some, ticks[some], trial.entity[some]))]
    entity = trial.entity[some]
    starts = np.flatnonzero(np.append(True, entity[1:] != entity[:-1]))
    counts = np.diff(np.append(starts, len(some)))
    state = np.full(len(starts), NOTHING, np.int64)
    table = np.array(
        [[_asked(one, before, bool(rages)) for rages in range(2)] for one in trial.rulings for before in range(3)],
        np.int64,
    ).reshape(len(trial.rulings), 3, 2, 2)
    for step in range(int(counts.max(initial=0))):
        active = np.flatnonzero(counts > step)
        at = some[starts[active] + step]
        said = table[trial.ruling[at], state[active], storming[at].astype(np.int64)]
        state[active] = said[:, 0]
        found[at] = said[:, 1] == 1
    return found
