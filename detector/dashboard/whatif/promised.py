"""What stands behind a threshold: the share of honest entities that passes it, its Beta law, and what must be said.

The calibration entities' suprema are in the profile. A threshold that is passed by m - k of m of them is passed by a
fresh honest one with probability (m + 1 - k) / (m + 1) at most (docs/mathematics.md, "The promise"). That holds for a
threshold that was fixed before the data that it is used on were seen; one that was dragged while looking at them has no
such promise, and is told so.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.stats import beta

from detector.alert import Severity
from detector.dashboard.shapes import Promised
from detector.dashboard.whatif.standing import SCORES
from detector.errors import PromiseRefused
from detector.profile import calibration


class Calibrated(NamedTuple):
    """What a level was calibrated on. suprema: grid levels, ascending. fixed: thresholds that were promised before the
    data were seen. unit: what is calibrated, in the plural. words: what is said beside each of its thresholds.
    """

    level: str
    suprema: NDArray[np.int64]
    excluded: int
    confidence: float | None
    horizon: str
    fixed: tuple[float, ...]
    unit: str
    words: tuple[str, ...] = ()

    @property
    def total(self) -> int:
        return len(self.suprema) + self.excluded

    @property
    def smallest(self) -> float:
        return calibration.smallest_share(len(self.suprema), self.excluded, self.confidence)


def of_score(known: Calibrated, severity: Severity, score: float) -> Promised:
    """What is promised of a threshold."""
    if not len(known.suprema):
        words = (f"No {known.unit} calibrated this level: nothing can be said of a share.", *known.words)
        return Promised(known.level, severity, score, None, None, None, supported=False, words=words)
    below = int(np.count_nonzero(SCORES[known.suprema] < score))
    share, low, high = _law(known, below)
    supported = below < len(known.suprema) or score <= float(SCORES[known.suprema[-1] + 1])
    own = () if score in known.fixed else (DRAGGED,)
    if not supported:
        own = (_beyond(known),)
    said = (*own, *known.words)
    return Promised(known.level, severity, score, share, low, high, supported=supported, words=said)


DRAGGED = (
    "No promise was made for this threshold: it was chosen while looking at the data. The share is what the "
    "calibration says of it; only clients who come later can confirm it."
)


def of_share(known: Calibrated, severity: Severity, share: float) -> Promised:
    """The threshold that promises a share; the highest that can be promised where that is too little."""
    if not len(known.suprema):
        return of_score(known, severity, 0.0)
    try:
        found = calibration.threshold(known.suprema, share, excluded=known.excluded, confidence=known.confidence)
    except PromiseRefused as error:
        highest = of_score(known, severity, float(SCORES[known.suprema[-1] + 1]))
        why = f"{error}."
        words = (why[0].upper() + why[1:], *highest.words)
        return Promised(
            known.level, severity, highest.score, highest.share, highest.low, highest.high, supported=False, words=words
        )
    return of_score(known, severity, found.score)


def _law(known: Calibrated, below: int) -> tuple[float, float, float]:
    """The share that passes where `below` of the suprema do not: what is promised, its 5th and 95th percentile."""
    if below == 0:
        return 1.0, 1.0, 1.0
    law = beta(known.total + 1 - below, below)
    mean = (known.total + 1 - below) / (known.total + 1)
    share = mean if known.confidence is None else float(law.ppf(known.confidence))
    return share, float(law.ppf(0.05)), float(law.ppf(0.95))


def _beyond(known: Calibrated) -> str:
    return (
        f"Beyond what {len(known.suprema):,} calibration {known.unit} support: no threshold promises less than "
        f"{known.smallest:.2%}, and this one is a score without a promise."
    )


def words_of(state: str, presumed: str, void_since: str | None, note: str) -> tuple[str, ...]:
    """What is said beside each threshold of a level. presumed: the state in which nobody vouched for the clients."""
    found: Sequence[str | None] = (
        f"The promise is void since {void_since}: new clients score otherwise than those that calibrated."
        if void_since
        else None,
        "Those who calibrated are presumed honest: nobody vouched for them, and copiers among them make thresholds too "
        "high."
        if state == presumed
        else None,
        f"{note[0].upper()}{note[1:].rstrip('.')}." if note else None,
    )
    return tuple(one for one in found if one)
