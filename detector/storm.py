"""When many entities cross on one signal at once the population moved: one alert says so, the others are held.

Decided at ticks of log time, as groups are. Whether an alert of a tick is held depends on the openings of earlier ticks
alone, so an alert waits until all streams have come to its tick: with one stream not at all, else for as long as the
slowest is behind. Held is not lost: the case is open, and the alert is kept where it can be listed.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from math import ceil
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
from detector.openings import NO_STORM, Counted, reached
from detector.policy import Dated, Policy, in_force
from detector.reasons import RELEASE, after_release, rfc3339

MEMBERS = 32  # named in the alert
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
        return Sky(recent, dict(self._raging), dict(self._asked), tuple(self._openings), tuple(self._waiting))

    def restore(self, sky: Sky) -> None:
        self._of = {signal: Counted(found) for signal, found in sky.recent.items()}
        self._raging, self._asked = dict(sky.raging), Counter[int](sky.asked)
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
                storming = policy.storm.at_least > 0 and signal_of(one.alert) in self._raging
                yield Passed(one.key, one.alert, storming)
            yield from self._broken_out(tick, [opening for opening in counted if opening.tick == tick], policies)
        yield from self._calmed(before, policies)
        oldest = before - max(ticks_of(dated.policy) for dated in policies)
        for tick in [tick for tick in self._asked if tick < oldest]:
            del self._asked[tick]

    def _broken_out(self, tick: int, openings: list[Opening], policies: Sequence[Dated]) -> Iterator[Passed]:
        """Counts the openings of a tick; a storm that they make begins with the next."""
        policy = in_force(policies, (tick + 1) * TICK_US)
        window = ticks_of(policy)
        for signal in dict.fromkeys(one.signal for one in openings):
            of = self._of.setdefault(signal, Counted())
            of.take(tick, [one.entity for one in openings if one.signal == signal], window)
            if signal in self._raging:
                continue
            asked = sum(count for at, count in self._asked.items() if tick - window < at <= tick)
            limit = reached(len(of.recent), policy.storm.at_least, self._per_query * asked)
            if limit != NO_STORM:
                self._raging[signal] = Raging(tick + 1, limit, window)
                yield Passed(None, self._told("open", signal, tick + 1, policy, len(of.recent)), False)

    def _calmed(self, tick: int, policies: Sequence[Dated]) -> Iterator[Passed]:
        """Ends the storms of which, by this tick, too few openings are left in the window."""
        for signal, storm in sorted(self._raging.items()):
            over = self._of[signal].over_at(storm.since, storm.limit, storm.window)
            if over <= tick:
                policy, left = in_force(policies, over * TICK_US), ceil(storm.limit / 2) - 1
                yield Passed(None, self._told("resolve", signal, over, policy, left), False)
                del self._raging[signal], self._of[signal]

    def _told(self, action: Literal["open", "resolve"], signal: str, tick: int, policy: Policy, count: int) -> Alert:
        storm, at = self._raging[signal], tick * TICK_US
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
            entity=Entity("population", signal, tuple(sorted(self._of[signal].recent)[:MEMBERS])),
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


def ticks_of(policy: Policy) -> int:
    """The window of a storm, in ticks."""
    return ceil(policy.storm.window_s * 1e6 / TICK_US)
