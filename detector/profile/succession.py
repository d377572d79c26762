"""What of a profile goes on learning: its population, and the successors that took over from its one-class model."""

from __future__ import annotations

import hashlib
from bisect import bisect_right

import msgspec
import numpy as np
from numpy.typing import NDArray

from detector.alert import Promise, Severity
from detector.learned.population import Population
from detector.learned.successor import InForce, Rules, Successor
from detector.levels import Watch
from detector.logs.times import microseconds
from detector.policy import Threshold
from detector.profile import calibration, watching
from detector.profile.artefact import PRESUMED, Level, Profile
from detector.tape import score_of

FIVEFOLD = 0.35  # of the score: a fifth as rare


def population_of(profile: Profile) -> Population:
    """The population of a profile's served model, of which nothing is known yet."""
    summary, level = profile.summary, profile.level("client")
    rules = Rules(
        share=level.share or summary.promise or 1.0,  # a level that only observes has no successor
        horizon_us=2 * summary.epoch_us,
        slope=profile.laws["client"].slope,
        confidence=summary.confidence,
    )
    begins = microseconds(summary.log_to)
    shares, suprema = profile.laws["client"].shares, profile.suprema["client"]
    return Population(profile.kit.names, shares, suprema, _in_force(profile), rules, profile.secret, begins)


def _in_force(profile: Profile) -> InForce | None:
    level = profile.level("client")
    watched = watching.watched_of(profile)
    if watched is None or level.threshold is None or level.rank is None:
        return None
    assert level.low is not None
    assert level.high is not None
    known = level.threshold, level.rank, level.calibrated, level.excluded, level.low, level.high
    return InForce(watched.model, watched.scales, calibration.Threshold(*known), watched.first)


def name_of(successor: Successor) -> str:
    """12 hex digits that depend on what taught it and when."""
    content = msgspec.msgpack.encode((successor.closed_at, successor.taught.vectors, successor.suprema))
    return hashlib.blake2b(content, digest_size=6).hexdigest()


def thresholds_of(profile: Profile, successor: Successor) -> tuple[Threshold, ...]:
    """The client level's thresholds under a successor."""
    level = msgspec.structs.replace(
        profile.level("client"),
        threshold=successor.threshold.score,
        calibrated=successor.threshold.entities,
        excluded=successor.threshold.excluded,
    )
    return severities(level, np.array(successor.suprema, np.int64), profile.summary.confidence)


def severities(level: Level, suprema: NDArray[np.int64], confidence: float | None) -> tuple[Threshold, ...]:
    """Medium at the promise; high at a fifth of it where the calibration carries that, else by score; critical by
    score, a hundred times as rare as medium by the tails of the channels' suprema. suprema: ascending.
    """
    assert level.threshold is not None
    assert level.share is not None
    rarer = calibration.rank_of(level.share / 5, level.calibrated, level.excluded, confidence)
    high = level.threshold + FIVEFOLD
    if rarer is not None:
        high = max(score_of(int(suprema[rarer - 1]) + 1), level.threshold + FIVEFOLD / 2)
    steps: list[tuple[Severity, float]] = [
        ("medium", level.threshold),
        ("high", high),
        ("critical", max(high + FIVEFOLD, level.threshold + 1.0)),
    ]
    return tuple(Threshold(severity, score) for severity, score in steps)


class Succession:
    """The one-class models of a profile in the order in which they took over, each from a log time on."""

    def __init__(self, profile: Profile) -> None:
        self._profile = profile
        self._slope = profile.laws["client"].slope
        self._since: list[int] = []
        watched = watching.watched_of(profile)
        self._watches = [watched.watch(self._slope)] if watched else []
        self._successors: list[Successor] = []

    @property
    def watch(self) -> Watch | None:
        return self._word if self._watches else None

    def take_over(self, since: int, successor: Successor, model: InForce) -> None:
        """`model`: the successor's, in force from log time `since` on."""
        watched = watching.Watched(model.model, model.scales, model.first)
        self._since.append(since)
        self._watches.append(watched.watch(self._slope))
        self._successors.append(successor)

    def promise(self, kind: str, threshold: float, at: int) -> Promise:
        """What stands behind a threshold at log time `at`. A successor was calibrated on traffic that nobody vouched
        for.
        """
        number = bisect_right(self._since, at)
        promise = self._profile.promise(kind, threshold)
        if kind != "client" or not number:
            return promise
        level, summary = self._profile.level("client"), self._profile.summary
        held = threshold >= self._successors[number - 1].threshold.score
        share, confidence = (level.share, summary.confidence) if held else (None, None)
        return Promise(share, confidence, summary.horizon, PRESUMED if held else "none")

    def _word(self, n: int, clock: int, vector: NDArray[np.float64]) -> float:
        return self._watches[bisect_right(self._since, clock)](n, clock, vector)
