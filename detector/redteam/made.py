"""Cases that the range makes for triage: who came above a loose threshold, what it saw of them, and who they were.

As an analyst sees a case: the highest point within a day of the first one above the score that LOOSE of the honest
clients that calibrated reached. At the threshold of the promise there would be next to no honest ones to learn from.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from detector.learned.triage import evidence_of
from detector.pipeline import Step
from detector.profile.artefact import Profile
from detector.reasons import rfc3339
from detector.run.verdicts import Made
from detector.tape import Point

LOOSE = 0.10
LOOKED_AT_US = 86_400_000_000


class Gathered:
    """Gathers steps of one pipeline after the other; `made` are the cases, in the order of log time for each."""

    def __init__(self, profile: Profile) -> None:
        self._profile = profile
        self._loose = int(np.quantile(profile.suprema["client"], 1 - LOOSE, method="higher"))
        self._first: dict[str, int] = {}
        self._top: dict[str, Point] = {}
        self.made: list[Made] = []

    def keep(self, step: Step) -> None:
        for point in step.points:
            if point.kind != "client" or point.budget or point.level < max(self._loose, 1):
                continue
            first = self._first.setdefault(point.id, point.at)
            top = self._top.get(point.id)
            if point.at <= first + LOOKED_AT_US and (top is None or point.level >= top.level):
                self._top[point.id] = point

    def close(self, truth: Mapping[str, str]) -> None:
        """The end of one log: `truth` says who was what."""
        names, profile = self._profile.kit.names, self._profile.summary.id
        for point in sorted(self._top.values(), key=lambda point: (self._first[point.id], point.id)):
            self.made.append(
                Made(
                    case_id=f"made-{point.key.hex()}",
                    profile=profile,
                    truth=truth[point.id],
                    at=rfc3339(point.at),
                    evidence=evidence_of(point, names),
                )
            )
        self._first, self._top = {}, {}
