"""What would have been said under a journal of policies: `decide` itself over the tape, without what it cannot change.

Exact: the same decisions as those of `decide` asked about every point (tests/dashboard/test_trial.py). All entities go
on side by side. Where several stand in the same way (their cases) before points that cannot be told apart (standing.py)
`decide` is asked about one of them, and what it says holds for all. A run of such points is left when it changed
nothing, for the rest of the run changes nothing either, unless a cool-down ends: there it is asked again.

Not covered: whether a storm held an alert (detector.storm counts queries, which no tape has), and what was open before
the tape begins.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

from detector.alert import ATTACKS, SEVERITIES, Action, Attack, Kind, Severity
from detector.dashboard.whatif.columns import Columns
from detector.dashboard.whatif.standing import Runs, candidates, limits_of, runs_of
from detector.decide import NO_CASE, Case, Decision, decide
from detector.policy import Dated, in_force
from detector.query import I64

NONE = -1  # no severity, no name
NEVER = -(2**62)  # no resolved case
NAMES: tuple[Attack | Literal[""], ...] = (*ATTACKS, "")


class Ruling(NamedTuple):
    """What a decision says, whoever it is about."""

    kind: Kind
    action: Action
    severity: Severity
    threshold: float


class Trial(NamedTuple):
    """Decisions as columns, in the order of entities and their points. entity: its place in `who`; place: of the point
    in the columns; ruling: what was decided, a place in `rulings`. asked: how often `decide` was.
    """

    entity: I64
    place: I64
    ruling: I64
    rulings: Sequence[Ruling]
    asked: int


def trial(columns: Columns, journal: Sequence[Dated], alerts_from: int = 0) -> Trial:
    """alerts_from: log time, microseconds, before which nothing is decided."""
    limits = limits_of(journal, columns.groups)
    runs = runs_of(columns, candidates(columns, limits), limits, journal, alerts_from)
    return _Trying(columns, journal, runs, limits.rests).found()


def in_full(
    columns: Columns, journal: Sequence[Dated], entity: int, alerts_from: int = 0
) -> list[tuple[int, Decision]]:
    """The decisions on one entity, with the ids that their alerts have, and the places of their points: `decide` asked
    about each of its points.
    """
    case, found = NO_CASE, []
    for place in range(int(columns.starts[entity]), int(columns.starts[entity + 1])):
        point = columns.point(place)
        if point.at >= alerts_from:
            case, decision = decide(in_force(journal, point.at), case, point)
            if decision is not None:
                found.append((place, decision))
    return found


class _Change(NamedTuple):
    """What `decide` makes of a case. resolves, budgets: whether `resolved_at` or `budget_day` is set anew."""

    changed: bool
    ruling: int
    severity: int
    open: bool
    name: int
    exposed: int
    budget: int
    resolves: bool
    budgets: bool


class _Trying:
    """Cases as columns, one of each entity that is tried."""

    def __init__(self, columns: Columns, journal: Sequence[Dated], runs: Runs, rests: I64) -> None:
        self._columns, self._journal, self._runs, self._rests = columns, journal, runs, rests
        firsts = np.flatnonzero(np.append(True, runs.entity[1:] != runs.entity[:-1])[: len(runs.entity)])
        count = len(firsts)
        self._run = runs.following[firsts]
        self._end = runs.ends[firsts]
        self._severity, self._exposed, self._budget = (np.full(count, NONE, np.int64) for _ in range(3))
        self._name = np.full(count, NAMES.index(""), np.int64)
        self._open = np.zeros(count, np.bool_)
        self._resolved_at = np.full(count, NEVER, np.int64)
        self._budget_day = np.full(count, -1, np.int64)
        standings, self._standing = np.unique(runs.standing, return_inverse=True)
        self._width = len(standings)
        self._keys = np.zeros(0, np.int64)  # of cases before points that `decide` was asked about, ascending
        self._places = np.zeros(0, np.int64)  # what it answered, in `_changes`
        self._changes: list[_Change] = []
        self._table = np.zeros(0, CHANGE)
        self._rulings: dict[Ruling, int] = {}
        self._told: list[tuple[I64, I64]] = []

    def found(self) -> Trial:
        active = np.flatnonzero(self._run < self._end)
        at = self._runs.first[self._run[active]]
        while len(active):
            active, at = self._step(active, at)
        places = np.concatenate([np.zeros(0, np.int64), *(at for at, _ in self._told)])
        rulings = np.concatenate([np.zeros(0, np.int64), *(ruling for _, ruling in self._told)])
        order = np.argsort(places, kind="stable")
        places = self._runs.places[places[order]]
        entity = self._columns.points.entity[places].astype(np.int64)
        return Trial(entity, places, rulings[order], tuple(self._rulings), len(self._changes))

    def _step(self, active: I64, at: I64) -> tuple[I64, I64]:
        """Decides at each place of `at`, one of each active entity; returns who goes on, and where."""
        runs = self._runs
        resolved = self._resolved_at[active]
        cooling = runs.at[at] - resolved < self._rests[runs.span[at]]
        change = self._changed(active, at, cooling)
        table = self._table
        ruling = table["ruling"][change]
        said = np.flatnonzero(ruling >= 0)
        if len(said):
            self._told.append((at[said], ruling[said].astype(np.int64)))
        changed = table["changed"][change]
        self._apply(active[changed], at[changed], change[changed])
        stop = runs.first[self._run[active] + 1]
        onwards = np.where(changed, at + 1, stop)
        hot = runs.following[self._run[active]] == self._run[active]
        waits = np.flatnonzero(~changed & cooling & hot)
        if len(waits):
            due = resolved[waits] + self._rests[runs.span[at[waits]]]
            onwards[waits] = _first_from(runs.at, due, at[waits] + 1, stop[waits])
        return self._onwards(active, onwards, stop)

    def _onwards(self, active: I64, at: I64, stop: I64) -> tuple[I64, I64]:
        over = np.flatnonzero(at >= stop)
        who = active[over]
        run = self._run[who] + 1
        inside = run < self._end[who]
        # A run that can open nothing is nothing to who has no open case.
        run[inside] = np.where(self._open[who[inside]], run[inside], self._runs.following[run[inside]])
        self._run[who] = run
        at[over] = self._runs.first[np.minimum(run, len(self._runs.entity))]
        goes_on = self._run[active] < self._end[active]
        return active[goes_on], at[goes_on]

    def _changed(self, active: I64, at: I64, cooling: NDArray[np.bool_]) -> I64:
        """The place of the change that each case undergoes at its point."""
        state = np.zeros(len(active), np.int64)
        for column, most in (
            (self._severity[active] + 1, len(SEVERITIES) + 1),
            (self._open[active], 2),
            (self._name[active], len(NAMES)),
            (self._exposed[active] + 1, len(SEVERITIES) + 1),
            (self._budget[active] + 1, len(SEVERITIES) + 1),
            (self._budget_day[active] == self._runs.day[at], 2),
            (cooling, 2),
        ):
            state = state * most + column
        key = state * self._width + self._standing[at]
        where = np.searchsorted(self._keys, key)
        known = np.append(self._keys, NONE)[where] == key
        if not known.all():
            unknown = np.flatnonzero(~known)
            new, first = np.unique(key[unknown], return_index=True)
            answers = [self._asked(int(active[one]), int(at[one])) for one in unknown[first].tolist()]
            self._table = np.array([tuple(change) for change in self._changes], CHANGE)
            keys, places = np.append(self._keys, new), np.append(self._places, answers)
            order = np.argsort(keys)
            self._keys, self._places = keys[order], places[order]
            where = np.searchsorted(self._keys, key)
        found: I64 = self._places[where]
        return found

    def _asked(self, one: int, at: int) -> int:
        """Asks `decide` about an entity's case at one of its points."""
        point = self._columns.point(int(self._runs.places[at]))
        before = self._case(one)
        case, decision = decide(in_force(self._journal, point.at), before, point)
        ruling = NONE
        if decision is not None:
            said = Ruling(decision.kind, decision.action, decision.severity, decision.threshold)
            ruling = self._rulings.setdefault(said, len(self._rulings))
        self._changes.append(
            _Change(
                changed=case is not before or decision is not None,
                ruling=ruling,
                severity=_rank(case.severity),
                open=case.open,
                name=NAMES.index(case.kind),
                exposed=_rank(case.exposed),
                budget=_rank(case.budget_severity),
                resolves=case.resolved_at is not None and case.resolved_at != before.resolved_at,
                budgets=case.budget_day != before.budget_day,
            )
        )
        return len(self._changes) - 1

    def _case(self, one: int) -> Case:
        resolved = int(self._resolved_at[one])
        name = NAMES[int(self._name[one])]
        return Case(
            severity=_severity(int(self._severity[one])),
            resolved_at=None if resolved == NEVER else resolved,
            budget_day=int(self._budget_day[one]),
            budget_severity=_severity(int(self._budget[one])),
            exposed=_severity(int(self._exposed[one])),
            kind=name,
        )

    def _apply(self, who: I64, at: I64, change: I64) -> None:
        table = self._table[change]
        self._severity[who], self._name[who], self._exposed[who] = table["severity"], table["name"], table["exposed"]
        self._budget[who], self._open[who] = table["budget"], table["open"]
        resolved = np.where(table["resolves"], self._runs.at[at], self._resolved_at[who])
        self._resolved_at[who] = np.where(table["open"], NEVER, resolved)
        self._budget_day[who] = np.where(table["budgets"], self._runs.day[at], self._budget_day[who])


CHANGE = np.dtype(
    [
        ("changed", "?"), ("ruling", "i4"), ("severity", "i1"), ("open", "?"), ("name", "i1"), ("exposed", "i1"),
        ("budget", "i1"), ("resolves", "?"), ("budgets", "?"),
    ]
)  # fmt: skip


def _rank(severity: Severity | None) -> int:
    return NONE if severity is None else SEVERITIES.index(severity)


def _severity(rank: int) -> Severity | None:
    return None if rank == NONE else SEVERITIES[rank]


def _first_from(at: I64, due: I64, low: I64, high: I64) -> I64:
    """The first place of low:high, in each of which `at` ascends, from which on it is due; `high` where none is."""
    low, high = low.copy(), high.copy()
    while (open_ := low < high).any():
        middle = (low + high) // 2
        early = open_ & (at[np.minimum(middle, len(at) - 1)] < due)
        low = np.where(early, middle + 1, low)
        high = np.where(open_ & ~early, middle, high)
    return low
