"""When many entities cross on one signal at once the population moved: one alert says so, the others are held.

Decided at ticks of log time, as groups are. Whether an alert of a tick is held depends on the openings of earlier ticks
alone, so an alert waits until all streams have come to its tick: with one stream not at all, else for as long as the
slowest is behind. Held is not lost: the case is open, and the alert is kept where it can be listed.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from itertools import islice, takewhile
from math import ceil, exp, sqrt
from typing import Literal, NamedTuple, Protocol

import msgspec

from detector.alert import (
    ATTACKS,
    NO_PROMISE,
    TECHNIQUES,
    Action,
    Alert,
    Entity,
    Kind,
    Reason,
    Severity,
    stable_id,
)
from detector.levels import TICK_US
from detector.policy import Dated, Policy, in_force
from detector.reasons import RELEASE, after_release, rfc3339

TAIL = 1e-6  # a count of openings that chance gives to one window in a million is no chance
MEMBERS = 32  # named in the alert
MOST = 4_096  # openings that are remembered of a signal: beyond that a storm is one anyway
NO_SIGNAL = "score"  # of an alert without a single strong reason


class Opening(msgspec.Struct, frozen=True):
    """An entity opened a case in a tick, on its strongest signal."""

    tick: int
    signal: str
    entity: str


class Raging(msgspec.Struct, frozen=True):
    """A storm on one signal from the tick `since` on; it ends below half of `limit` openings in `window` ticks."""

    since: int
    limit: int
    window: int


class Waiting(msgspec.Struct, frozen=True):
    """An alert on the entity `key` that waits for all streams to come to its tick."""

    tick: int
    key: bytes
    alert: Alert


class Openings:
    """The openings of one signal: entities and the tick of their newest one, oldest first, and the storm that rages on
    it. Of ticks alone: whether alerts wait for it is nothing to it, so that what-if asks the same.
    """

    def __init__(self, recent: Mapping[str, int] | None = None, raging: Raging | None = None) -> None:
        self.recent, self.raging = dict(recent or {}), raging

    def count(self, tick: int, entities: Iterable[str], policy: Policy, expected: Callable[[int, int], float]) -> bool:
        """Takes in who opened a case in a tick (ticks ascend). Whether a storm breaks out, which begins with the next.

        expected: of openings by chance, behind a tick and up to another.
        """
        found, window = self.recent, _ticks(policy)
        for entity in entities:
            found.pop(entity, None)  # the newest come last
            found[entity] = tick
        over = sum(1 for _ in takewhile(lambda at: at <= tick - window, found.values()))
        for entity in [*islice(found, max(over, len(found) - MOST))]:
            del found[entity]
        limit = self._limit(policy, tick, window, expected)
        if limit is None:
            return False
        self.raging = Raging(tick + 1, limit, window)
        return True

    def _limit(self, policy: Policy, tick: int, window: int, expected: Callable[[int, int], float]) -> int | None:
        """What was reached; None while it was not, or a storm rages already."""
        if self.raging is not None or policy.storm.at_least == 0 or len(self.recent) < policy.storm.at_least:
            return None
        by_chance = expected(tick - window, tick)
        if len(self.recent) <= by_chance:  # said first: the law takes its time
            return None
        limit = max(policy.storm.at_least, least_unlikely(by_chance))
        return limit if len(self.recent) >= limit else None

    def ends(self) -> tuple[int, int] | None:
        """From which tick on too few openings are left in the window, if none is added, and how many then are; None
        where no storm rages.
        """
        storm = self.raging
        if storm is None:
            return None
        keep = ceil(storm.limit / 2)
        newest = [*self.recent.values()][-keep:]
        return (max(newest[0] + storm.window + 1, storm.since) if len(newest) == keep else storm.since), keep - 1


class Sky(msgspec.Struct, frozen=True):
    """All that is remembered, for a snapshot. recent: by signal, entities and the tick of their newest opening."""

    recent: dict[str, dict[str, int]] = {}
    raging: dict[str, Raging] = {}
    asked: dict[int, int] = {}
    openings: tuple[Opening, ...] = ()
    waiting: tuple[Waiting, ...] = ()


class Passed(NamedTuple):
    """An alert whose tick has come, and whether a storm rages on its signal. `key` is None for the storm's own."""

    key: bytes | None
    alert: Alert
    storming: bool


class Storms:
    """The openings of one served model. `per_query`: openings that the promise lets honest clients expect a query."""

    def __init__(self, model: str, profile: str, per_query: float) -> None:
        self._model, self._profile, self._per_query = model, profile, per_query
        self.restore(Sky())

    def state(self) -> Sky:
        recent = {signal: dict(of.recent) for signal, of in self._of.items()}
        raging = {signal: of.raging for signal, of in self._of.items() if of.raging}
        return Sky(recent, raging, dict(self._asked), tuple(self._openings), tuple(self._waiting))

    def restore(self, sky: Sky) -> None:
        self._of = {signal: Openings(found, sky.raging.get(signal)) for signal, found in sky.recent.items()}
        self._asked = Counter[int](sky.asked)
        self._openings, self._waiting = list(sky.openings), list(sky.waiting)

    def asked(self, ticks: Iterable[int]) -> None:
        """Counts the queries of ticks: the more are asked, the more openings are to be expected."""
        self._asked.update(ticks)

    def count(self, tick: int, queries: int) -> None:
        self._asked[tick] += queries

    def put(self, waiting: Waiting) -> None:
        """Takes an alert that was decided at a tick which may still be open."""
        self._waiting.append(waiting)
        alert = waiting.alert
        if alert.kind in ATTACKS and alert.action == "open":
            self._openings.append(Opening(waiting.tick, signal_of(alert), alert.entity.id))

    def close(self, before: int, policies: Sequence[Dated]) -> Iterator[Passed]:
        """What is known when no record enters a tick before `before` any more, in the order of ticks."""
        ready = sorted((one for one in self._waiting if one.tick <= before), key=lambda one: one.tick)
        counted = sorted((o for o in self._openings if o.tick < before), key=lambda o: (o.tick, o.signal, o.entity))
        self._waiting = [one for one in self._waiting if one.tick > before]
        self._openings = [one for one in self._openings if one.tick >= before]
        for tick in sorted({one.tick for one in ready} | {one.tick for one in counted}):
            yield from self._calmed(tick, policies)
            policy = in_force(policies, tick * TICK_US)
            for one in (one for one in ready if one.tick == tick):
                storming = policy.storm.at_least > 0 and self._rages(signal_of(one.alert))
                yield Passed(one.key, one.alert, storming)
            yield from self._broken_out(tick, [opening for opening in counted if opening.tick == tick], policies)
        yield from self._calmed(before, policies)
        oldest = before - max(_ticks(dated.policy) for dated in policies)
        for tick in [tick for tick in self._asked if tick < oldest]:
            del self._asked[tick]

    def _rages(self, signal: str) -> bool:
        return signal in self._of and self._of[signal].raging is not None

    def _broken_out(self, tick: int, openings: list[Opening], policies: Sequence[Dated]) -> Iterator[Passed]:
        """Counts the openings of a tick; a storm that they make begins with the next."""
        policy = in_force(policies, (tick + 1) * TICK_US)
        for signal in dict.fromkeys(one.signal for one in openings):
            of = self._of.setdefault(signal, Openings())
            if of.count(tick, (one.entity for one in openings if one.signal == signal), policy, self._expected):
                yield Passed(None, self._told("open", signal, tick + 1, policy, len(of.recent)), False)

    def _calmed(self, tick: int, policies: Sequence[Dated]) -> Iterator[Passed]:
        """Ends the storms of which, by this tick, too few openings are left in the window."""
        for signal in sorted(signal for signal, of in self._of.items() if of.raging):
            ended = self._of[signal].ends()
            if ended is not None and ended[0] <= tick:
                policy = in_force(policies, ended[0] * TICK_US)
                yield Passed(None, self._told("resolve", signal, ended[0], policy, ended[1]), False)
                del self._of[signal]

    def _expected(self, behind: int, until: int) -> float:
        return self._per_query * sum(count for at, count in self._asked.items() if behind < at <= until)

    def _told(self, action: Literal["open", "resolve"], signal: str, tick: int, policy: Policy, count: int) -> Alert:
        of, at = self._of[signal], tick * TICK_US
        storm = of.raging
        assert storm is not None
        found: tuple[Reason, ...] = ()
        message = f"the population has settled on {signal} (model {self._model}): alerts on it are sent again"
        if action == "open":
            text = (
                f"{count:,} entities crossed on this signal within {storm.window * TICK_US / 6e7:g} minutes, where "
                f"{storm.limit:,} would be too many for chance; until this ends, such alerts are held."
            )
            found = (Reason(signal, 0.0, text), *after_release(policy, at))
            message = f"the population moved on {signal} (model {self._model}): " + " ".join(r.text for r in found)
        return Alert(
            id=stable_id(self._model, "population", signal, action, str(storm.since)),
            kind="population",
            action=action,
            case_id=stable_id(self._model, "population", signal, "case", str(storm.since)),
            at=rfc3339(at),
            model=self._model,
            entity=Entity("population", signal, tuple(sorted(of.recent)[:MEMBERS])),
            severity="high",
            score=float(count),
            threshold=float(storm.limit),
            queries=0,
            query_id="",
            promise=NO_PROMISE,
            reasons=found,
            techniques=TECHNIQUES["population"],
            profile=self._profile,
            policy=policy.version,
            message=message,
        )


class Said(Protocol):
    """Of an alert, what tells whether it is held."""

    @property
    def kind(self) -> Kind: ...
    @property
    def action(self) -> Action: ...
    @property
    def severity(self) -> Severity: ...
    @property
    def case_id(self) -> str: ...


def held(case: str, alert: Said, storming: bool) -> tuple[str, bool]:
    """The entity's held case from now on ("" for none), and whether this alert is held. `case`: the one held so far.

    Budgets are told, and who is critical. A held case that rises when the storm is over is told from then on.
    """
    if alert.kind not in ATTACKS or alert.severity == "critical":
        return ("" if alert.case_id == case else case), False
    if alert.action == "resolve":
        return case, alert.case_id == case
    hold = storming and (alert.action == "open" or alert.case_id == case)
    return (alert.case_id, True) if hold else ("", False)


def signal_of(alert: Alert) -> str:
    """The strongest reason, by which alerts are counted together."""
    return next((reason.signal for reason in alert.reasons if reason.signal != RELEASE), NO_SIGNAL)


def least_unlikely(expected: float) -> int:
    """The least count that a Poisson law of this mean reaches with a probability of at most TAIL.

    >>> least_unlikely(0.01), least_unlikely(1.0), least_unlikely(20.0)
    (3, 10, 46)
    """
    if expected > 500:  # exp would vanish; six standard deviations are as rare
        return ceil(expected + 6 * sqrt(expected))
    k, term = 0, exp(-expected)
    below = term
    while 1.0 - below > TAIL:
        k += 1
        term *= expected / k
        below += term
    return k + 1


def _ticks(policy: Policy) -> int:
    return ceil(policy.storm.window_s * 1e6 / TICK_US)
