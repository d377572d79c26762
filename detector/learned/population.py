"""What is learned of the population while detection runs: closed day by day of log time, in no entity's own queries.

At the close of a day: who came under suspicion teaches no more; looks teach the next model or witness it; signals are
compared with the days before (drift); who has come to the end of a first horizon is compared with those that calibrated
(newcomers). At the close of an epoch a successor of the one-class model is made and calibrated anew. It takes over at a
stated log time: by itself or when a person approves, as the rules say, and not within a horizon of the last takeover.

Inside a day the order of arrival is of no account, so a replay and any number of partitions agree.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import msgspec
import numpy as np
from numpy.typing import NDArray

from detector.errors import ProfileError
from detector.learned.days import Day, Sampled, places_of
from detector.learned.drift import Charts, Moved, drifted
from detector.learned.looks import Look
from detector.learned.newcomers import Newcomer, Watch, newcomers, watch
from detector.learned.successor import InForce, Rules, Successor, succeed
from detector.learned.teaching import Caps, Teaching, forget, teach
from detector.learned.witnesses import Ended, Witnesses, expire, witness

DAY_US = 86_400_000_000
KEPT_HORIZONS = 3  # witnesses are let go of after so many


class Came(NamedTuple):
    """An entity whose first horizon has closed. n: weighed queries in it; top, peak: highest grid levels in it, of the
    kernels' channels and of the score.
    """

    key: bytes
    first_at: int
    n: int
    top: int
    peak: int


class News(msgspec.Struct):
    """What the close of days brought. void_since: log time from which the promise is void; refused: why an epoch that
    closed has no successor.
    """

    moved: list[Moved] = []
    void_since: int | None = None
    successor: Successor | None = None
    refused: str = ""


class Void(NamedTuple):
    """That the promise was void since `since`, known from log time `at` on."""

    at: int
    since: int


class Settled(msgspec.Struct):
    """All that closed days left. closed: the day up to which (microseconds // DAY_US); suspects: keys."""

    closed: int
    watch: Watch
    teaching: Teaching = msgspec.field(default_factory=Teaching)
    witnesses: Witnesses = msgspec.field(default_factory=Witnesses)
    charts: Charts = msgspec.field(default_factory=Charts)
    suspects: set[bytes] = msgspec.field(default_factory=set)
    moved: list[Moved] = msgspec.field(default_factory=list)
    took_over: int | None = None
    void_at: int | None = None  # log time of the close of the day that showed it
    past: Void | None = None  # before the last takeover

    def void_since(self, at: int) -> int | None:
        """Since when the promise had been void, as was known at log time `at`; None where it was not."""
        if self.took_over is not None and at < self.took_over:
            return None if self.past is None or at < self.past.at else self.past.since
        return None if self.void_at is None or at < self.void_at else self.watch.void_since


class Seen(msgspec.Struct):
    """A look as a snapshot keeps it."""

    key: bytes
    n: int
    clock: int
    vector: bytes
    first_at: int
    group: bytes


class Open(msgspec.Struct):
    """Days that are still open: by day, looks, new suspects and samples."""

    looks: dict[int, list[Seen]] = {}
    suspects: dict[int, list[bytes]] = {}
    days: dict[int, Sampled] = {}


class Population:
    """One served model's. `now`: the one-class model in force, None where the profile has none; `begins`: log time of
    the end of the honest log, before which nobody is a newcomer.
    """

    def __init__(
        self,
        signals: Sequence[str],
        shares: NDArray[np.float64],
        suprema: NDArray[np.int64],
        now: InForce | None,
        rules: Rules,
        secret: bytes,
        begins: int,
    ) -> None:
        self.now = now
        self.settled = Settled(begins // DAY_US, watch(suprema))
        self.changed = False  # `settled` differs from what was saved
        self._signals, self._places = signals, places_of(shares)
        self._rules, self._secret, self._begins = rules, secret, begins
        self._looks: dict[int, list[Look]] = {}
        self._suspects: dict[int, set[bytes]] = {}
        self._days: dict[int, Day] = {}

    # -- what comes in, with the log time of its tick

    def look(self, at: int, look: Look) -> None:
        self._looks.setdefault(self._day(at), []).append(look)

    def suspect(self, at: int, key: bytes) -> None:
        """The score of the entity passed the profile's `suspicion`."""
        if key not in self.settled.suspects:
            self._suspects.setdefault(self._day(at), set()).add(key)

    def asked(self, at: int, keys: Sequence[bytes], bins: NDArray[np.uint8]) -> None:
        """Queries of one day: the key of each one's entity, and bins (n, F)."""
        day = self._day(at)
        if day not in self._days:
            self._days[day] = Day(self._places)
        self._days[day].asked(keys, bins)

    def _day(self, at: int) -> int:
        return max(at // DAY_US, self.settled.closed)

    # -- the close of days

    def due(self, before_us: int) -> range:
        """The days that close when no record can come before a log time any more."""
        return range(self.settled.closed, before_us // DAY_US)

    def close(self, day: int, came: Sequence[Came]) -> News:
        """Closes one day. came: entities whose first horizon closed in it."""
        settled, end = self.settled, (day + 1) * DAY_US
        looks = self._looks.pop(day, [])
        settled.suspects |= self._suspects.pop(day, set())
        horizon_us = self._rules.horizon_us
        fresh = [one for one in came if one.first_at > self._begins]
        teach(settled.teaching, looks, settled.suspects, self._secret, Caps())
        ended = [Ended(one.key, one.first_at, one.n, one.top) for one in fresh]
        late = [look for look in looks if look.first_at > self._begins]
        witness(settled.witnesses, late, ended, horizon_us, self._secret)
        was_void = settled.watch.void_since
        newcomers(settled.watch, [Newcomer(c.key, c.first_at + horizon_us, c.peak) for c in fresh], self._secret)
        news = News(moved=self._drifted(day))
        if settled.watch.void_since is not None and was_void is None:
            news.void_since, settled.void_at = settled.watch.void_since, end
        if self.now is not None and self._epoch_closes(day):
            self._succeed(end, news)
        settled.closed = day + 1
        self.changed = True
        return news

    def _drifted(self, day: int) -> list[Moved]:
        sample = self._days.pop(day, None)
        if sample is None:
            return []
        found = drifted(self.settled.charts, self._signals, sample.places(self.settled.suspects), (day + 1) * DAY_US)
        self.settled.moved += found
        return found

    def _epoch_closes(self, day: int) -> bool:
        epoch = self._rules.horizon_us // 2
        return (day + 1) * DAY_US // epoch > max(day * DAY_US, self._begins) // epoch

    def _succeed(self, end: int, news: News) -> None:
        assert self.now is not None
        settled, horizon_us = self.settled, self._rules.horizon_us
        forget(settled.teaching, settled.suspects, end - KEPT_HORIZONS * horizon_us)
        expire(settled.witnesses, end - KEPT_HORIZONS * horizon_us)
        last = settled.took_over if settled.took_over is not None else self._begins
        if end - last < horizon_us:
            news.refused = "the last takeover is less than a horizon ago"
            return
        try:
            news.successor = succeed(self.now, settled.teaching, settled.witnesses, self._rules, end, self._secret)
        except ProfileError as error:
            news.refused = str(error)

    def take_over(self, since: int, successor: Successor) -> None:
        """The successor is in force from log time `since` on."""
        self.install(successor)
        was = self.settled
        void = was.void_at is not None and was.watch.void_since is not None
        was.past = Void(was.void_at or 0, was.watch.void_since or 0) if void else None
        self.settled.took_over = since
        self.settled.watch = watch(np.array(successor.suprema, np.int64))
        self.settled.void_at = None
        self.changed = True

    def install(self, successor: Successor) -> None:
        """The successor is in force, and what a takeover changes was noted before."""
        assert self.now is not None
        self.now = successor.in_force(self.now.first)

    # -- snapshots

    def open(self) -> Open:
        looks = {day: [_seen(look) for look in of] for day, of in self._looks.items()}
        days = {day: sample.state() for day, sample in self._days.items()}
        return Open(looks, {day: sorted(of) for day, of in self._suspects.items()}, days)

    def restore(self, settled: Settled, state: Open) -> None:
        self.settled, self.changed = settled, False
        self._looks = {day: [_looked(seen) for seen in of] for day, of in state.looks.items()}
        self._suspects = {day: set(of) for day, of in state.suspects.items()}
        self._days = {}
        for day, sampled in state.days.items():
            self._days[day] = Day(self._places)
            self._days[day].restore(sampled)


def _seen(look: Look) -> Seen:
    return Seen(look.key, look.n, look.clock, look.vector.tobytes(), look.first_at, look.group)


def _looked(seen: Seen) -> Look:
    return Look(seen.key, seen.n, seen.clock, np.frombuffer(seen.vector), seen.first_at, seen.group)
