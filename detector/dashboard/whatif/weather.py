"""What of a trial would have been told and what held: production's storms over the openings that the trial found.

Whether the population moved is counted by the kernels that production counts by (detector.openings), and what is held
is said by its `held`, which is asked once about all alerts that stand in one way.

Not covered: what raged before the tape begins. Where the store knows not how many queries a tick had (before it counted
them), a storm is as large as `at_least` asks.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from detector.alert import ATTACKS, Action, Kind, Severity
from detector.dashboard.whatif.columns import Columns
from detector.dashboard.whatif.trial import Ruling, Trial
from detector.levels import TICK_US
from detector.openings import storms
from detector.policy import Dated
from detector.query import I64
from detector.storm import held, ticks_of

NOTHING, THIS, ANOTHER = range(3)  # what is held of an entity: no case, the one that is open, an older one
CASES = ("", "this", "another")


class Weather(NamedTuple):
    """held: of each decision of a trial. storms: the ticks from which on one raged."""

    held: NDArray[np.bool_]
    storms: Sequence[int] = ()


def weather(columns: Columns, trial: Trial, journal: Sequence[Dated], per_query: float) -> Weather:
    """per_query: openings that the promise lets honest clients expect a query."""
    none = np.zeros(len(trial.place), np.bool_)
    accuses = np.array([one.kind in ATTACKS for one in trial.rulings], np.bool_)[trial.ruling]
    opens = accuses & np.array([one.action == "open" for one in trial.rulings], np.bool_)[trial.ruling]
    ticks, leads = columns.points.tick[trial.place].astype(np.int64), _leads(columns, trial)
    storming, begun = none.copy(), list[int]()
    for signal in np.unique(leads[opens]).tolist():
        those = np.flatnonzero(accuses & (leads == signal))
        mine = those[opens[those]]
        mine = mine[np.argsort(ticks[mine], kind="stable")]
        since, until = _raged(columns, trial.entity[mine], ticks[mine], journal, per_query).T
        if len(since):
            which = np.searchsorted(since, ticks[those], side="right") - 1
            storming[those] = (which >= 0) & (ticks[those] < until[which])
            begun += since.tolist()
    if not begun:
        return Weather(none)
    holds = np.array([dated.policy.storm.at_least > 0 for dated in journal], np.bool_)
    storming &= holds[_in_force(journal, ticks)]
    return Weather(_held(trial, ticks, storming), sorted(begun))


def _in_force(journal: Sequence[Dated], ticks: I64) -> I64:
    """The places of the policies that hold at ticks (detector.policy.in_force)."""
    found: I64 = np.searchsorted(np.array([dated.since for dated in journal[1:]], np.int64), ticks * TICK_US, "right")
    return found


def _leads(columns: Columns, trial: Trial) -> I64:
    """The place of each decision's leading reason."""
    found = np.zeros(len(trial.place), np.int64)
    first, own = columns.points.first[trial.place], columns.points.own[trial.place]
    for number, ruling in enumerate(trial.rulings):
        mine = np.flatnonzero(trial.ruling == number)
        found[mine] = columns.leading.leads(first[mine], own[mine], ruling.kind, opens=ruling.action == "open")
    return found


def _raged(
    columns: Columns, entities: I64, ticks: I64, journal: Sequence[Dated], per_query: float
) -> NDArray[np.int64]:
    """The storms on one signal (since, until), given its openings in the order of ticks."""
    places = _in_force(journal, ticks + 1)
    windows = np.array([ticks_of(dated.policy) for dated in journal], np.int64)[places]
    at_least = np.array([dated.policy.storm.at_least for dated in journal], np.int64)[places]
    by_chance = per_query * columns.queries(ticks - windows, ticks)
    found = storms(columns.names[entities], ticks, columns.names.max() + 1, windows, at_least, by_chance)
    return np.array(found, np.int64).reshape(-1, 2)


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
    theirs = np.zeros(int(trial.entity.max(initial=-1)) + 1, np.bool_)
    theirs[trial.entity[storming]] = True
    some = np.flatnonzero(theirs[trial.entity])
    entity, of = trial.entity[some], ticks[some]
    if ((of[1:] < of[:-1]) & (entity[1:] == entity[:-1])).any():  # of several streams
        some = some[np.lexsort((some, of, entity))]
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
