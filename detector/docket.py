"""What was already said about entities, and what is to be said now: from points of the tape to cases and alerts."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

import msgspec

from detector import reasons
from detector.alert import ATTACKS, NO_PROMISE, Alert
from detector.decide import NO_CASE, Case, Decision, decide
from detector.learned.population import Settled
from detector.logs.times import microseconds
from detector.policy import Dated, Policy, in_force, level_of_class
from detector.profile.succession import Succession
from detector.storm import Passed, Waiting, held
from detector.tape import Point
from features.contract import Signal


class Docket:
    """The cases of some entities under the policies of a journal. succession: what a profile promises; None without a
    profile. alerts_from: log time, microseconds, before which nothing is decided; cases stand still until then.
    """

    def __init__(
        self,
        policies: Sequence[Dated],
        signals: Sequence[Signal],
        profile: str,
        succession: Succession | None,
        alerts_from: int = 0,
    ) -> None:
        self.policies = list(policies)
        self.cases: dict[bytes, Case] = {}
        self.changed: set[bytes] = set()
        self._signals, self._profile, self._succession = signals, profile, succession
        self._alerts_from = alerts_from

    def judge(self, points: Iterable[Point], ticks: Iterable[int]) -> Iterator[Waiting]:
        """The alerts of points, each with the tick that it is of."""
        for point, tick in zip(points, ticks, strict=True):
            if point.at < self._alerts_from:
                continue
            policy = in_force(self.policies, point.at)
            before = self.cases.get(point.key, NO_CASE)
            case, decision = decide(policy, before, point)
            if case is not before:
                self.put(point.key, case)
            if decision is not None:
                yield Waiting(tick, point.key, self._alert(policy, point, decision))

    def release(self, passed: Iterable[Passed]) -> Iterator[tuple[Alert, bool]]:
        """Alerts whose tick has come, and whether each is held."""
        for key, alert, storming in passed:
            hold = False
            if key is not None:
                case = self.cases[key]
                found, hold = held(case.held, alert, storming)
                if found != case.held:
                    self.put(key, msgspec.structs.replace(case, held=found))
            yield alert, hold

    def put(self, key: bytes, case: Case) -> None:
        self.cases[key] = case
        self.changed.add(key)

    def _alert(self, policy: Policy, point: Point, decision: Decision) -> Alert:
        promise = NO_PROMISE
        if self._succession is not None and decision.kind in (*ATTACKS, "ring"):
            level = level_of_class(point.of_class) if point.of_class else point.kind
            promise = self._succession.promise(level, decision.threshold, point.at)
        return reasons.alert(policy, point, decision, self._signals, promise=promise, profile=self._profile)


def stamped(alert: Alert, settled: Settled | None) -> Alert:
    """The alert, which says so if its promise was void by its time. Known when its tick has come, not before."""
    if settled is None or alert.promise.share is None:
        return alert
    since = settled.void_since(microseconds(alert.at))
    if since is None:
        return alert
    state = f"void since {reasons.rfc3339(since)}"
    return msgspec.structs.replace(alert, promise=msgspec.structs.replace(alert.promise, state=state))
