"""What would have been said under a journal of policies: `decide` itself over the tape, without what it cannot change.

Exact: the same decisions as those of `decide` asked about every point (tests/dashboard/test_trial.py). It is asked
about the points of a run that cannot be told apart (standing.py) until it changes nothing; the rest changes nothing
either, unless a cool-down ends, which is where it is asked again.

Not covered: whether a storm held an alert (detector.storm counts queries that no tape has), and what was open before
the tape begins.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Sequence
from dataclasses import dataclass, field
from math import ceil

import numpy as np
from numpy.typing import NDArray

from detector.dashboard.whatif.columns import Columns
from detector.dashboard.whatif.standing import candidates, limits_of, runs_of
from detector.decide import NO_CASE, Case, Decision, decide
from detector.policy import Dated, Policy, in_force

FOREVER_US = 2**62


@dataclass(frozen=True)
class Trial:
    """The decisions, in the order of entities and their points. place: of the point in the columns; entity: its place
    in `who`. asked: how often `decide` was.
    """

    entity: list[int] = field(default_factory=list)
    place: list[int] = field(default_factory=list)
    decisions: list[Decision] = field(default_factory=list)
    asked: int = 0


def trial(columns: Columns, journal: Sequence[Dated], alerts_from: int = 0) -> Trial:
    """alerts_from: log time, microseconds, before which nothing is decided."""
    limits = limits_of(journal, columns.groups)
    runs = runs_of(columns, candidates(columns, limits), limits, alerts_from)
    trying = _Trying(columns, journal, runs.places.tolist(), columns.points["at"][runs.places])
    hot, entities, firsts = runs.hot.tolist(), runs.entity.tolist(), runs.first.tolist()
    case, of = NO_CASE, -1
    for run, entity in enumerate(entities):
        if entity != of:
            case, of = NO_CASE, entity
        if hot[run] or case.open:
            case = trying.run(case, entity, firsts[run], firsts[run + 1])
    return trying.found()


class _Trying:
    def __init__(self, columns: Columns, journal: Sequence[Dated], places: list[int], at: NDArray[np.int64]) -> None:
        self._columns, self._journal, self._places = columns, journal, places
        self._at: list[int] = at.tolist()
        self._only = journal[0].policy if len(journal) == 1 else None
        self._trial = Trial()
        self._asked = 0

    def run(self, case: Case, entity: int, start: int, stop: int) -> Case:
        at = start
        while at < stop:
            place = self._places[at]
            policy = self._only or in_force(self._journal, self._at[at])
            self._asked += 1
            after, decision = decide(policy, case, self._columns.point(place))
            if decision is not None:
                self._trial.entity.append(entity)
                self._trial.place.append(place)
                self._trial.decisions.append(decision)
            elif after is case:
                at = self._rested(policy, case, at, stop)
                continue
            case, at = after, at + 1
        return case

    def _rested(self, policy: Policy, case: Case, at: int, stop: int) -> int:
        """The next place of a run of which `decide` changed nothing at `at`, where it may change something."""
        if case.resolved_at is None:
            return stop
        rests_us = ceil(min(policy.cool_down_s * 1e6, float(FOREVER_US)))
        ends = case.resolved_at + rests_us
        return bisect_left(self._at, ends, at + 1, stop) if self._at[at] < ends else stop

    def found(self) -> Trial:
        return Trial(self._trial.entity, self._trial.place, self._trial.decisions, self._asked)
