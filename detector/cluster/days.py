"""Days of the population over partitions: what each knows of a day, put together and closed as in one process."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec
import numpy as np

from detector.cluster.passing import Day
from detector.cluster.policies import Takeover
from detector.learned.days import SAMPLE, Sampled
from detector.learned.news import population_moved
from detector.learned.population import DAY_US, Came, News, Open, Seen
from detector.levels import TICK_US
from detector.pipeline import QUIET, Step
from detector.policy import Dated, in_force
from detector.profile.artefact import Profile
from detector.profile.succession import population_of


class Days:
    """Those that are not closed by all."""

    def __init__(self, profile: Profile) -> None:
        self.population = population_of(profile)
        self._profile = profile
        self._known: dict[int, list[Day]] = {}
        self._takeovers: list[Takeover] = []
        self._taken_over = 0  # of them

    def follow(self, takeovers: list[Takeover]) -> None:
        """The successors that take over. Those that had done so in what was saved are in force, and noted there."""
        self._takeovers = takeovers
        since = self.population.settled.took_over
        while since is not None and self._taken_over < len(takeovers):
            takeover = takeovers[self._taken_over]
            if takeover.since > since:
                break
            self.population.install(takeover.successor)
            self._taken_over += 1

    def note(self, days: Sequence[Day]) -> None:
        for one in days:
            self._known.setdefault(one.day, []).append(one)

    def close(self, before_us: int, policies: Sequence[Dated], step: Step) -> None:
        """Closes the days before a log time that all have passed, each under the model that was in force when it ended;
        then the one that is in force in the tick that comes.
        """
        summary = self._profile.summary
        for day in self.population.due(before_us):
            self._take_over((day + 1) * DAY_US)
            news = self._close(day, self._known.pop(day, []))
            if news != QUIET:
                step.news.append(news)
            end, version = (day + 1) * DAY_US, in_force(policies, (day + 1) * DAY_US).version
            step.alerts += population_moved(summary.model, summary.id, version, end, news.moved, news.void_since)

        self._take_over(before_us + TICK_US)

    def _take_over(self, before_us: int) -> None:
        for takeover in self._takeovers[self._taken_over :]:
            if takeover.since < before_us:
                self.population.take_over(*takeover)
                self._taken_over += 1

    def _close(self, day: int, known: Sequence[Day]) -> News:
        looks: list[Seen] = [look for one in known for look in one.looks]
        suspects = sorted({key for one in known for key in one.suspects})
        sampled = together([one.sampled for one in known if one.sampled is not None])
        came: list[Came] = [found for one in known for found in one.came]
        changed = self.population.changed
        self.population.restore(
            self.population.settled,
            Open({day: looks} if looks else {}, {day: suspects}, {day: sampled} if sampled else {}),
        )
        self.population.changed = changed
        return self.population.close(day, came)

    def saved(self) -> bytes:
        return msgspec.msgpack.encode(self._known)

    def restore(self, saved: bytes) -> None:
        self._known = msgspec.msgpack.decode(saved, type=dict[int, list[Day]])


def together(samples: Sequence[Sampled]) -> Sampled | None:
    """One sample of entities that are in several: the smallest keys of all, which each has whole."""
    samples = [one for one in samples if one.keys]
    if not samples:
        return None
    keys = [key for one in samples for key in one.keys]
    order = sorted(range(len(keys)), key=keys.__getitem__)[:SAMPLE]
    sums, counts = (
        np.concatenate([np.frombuffer(getattr(one, name), np.int64).reshape(len(one.keys), -1) for one in samples])
        for name in ("sums", "counts")
    )
    return Sampled([keys[i] for i in order], sums[order].tobytes(), counts[order].tobytes())
