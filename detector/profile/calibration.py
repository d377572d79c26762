"""The promise: from honest suprema to a threshold, its Beta law, and the refusal of what the data cannot carry.

Split conformal prediction per entity (Vovk, Gammerman, Shafer 2005): with m calibration suprema and a fresh honest
entity, all exchangeable, the k-th smallest is passed with probability at most 1 - k / (m + 1); over the draw of the
calibration entities the share that passes follows Beta(m + 1 - k, k).
"""

from __future__ import annotations

from bisect import bisect_left
from math import ceil
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.stats import beta

from detector.errors import PromiseRefused
from detector.tape import FLOOR, score_of

LEAST_SPREAD = 0.5  # nats
SHAPE, SHAPE_SPREAD = 0.3, 0.2  # what is believed of the tail of honest suprema before any was seen
FEWEST_BEYOND = 5


class Threshold(NamedTuple):
    """rank: k, among `entities` suprema of which `excluded` count as never passed; score: the threshold.

    low, high: 5th and 95th percentile of the share of honest entities that really pass it.
    """

    score: float
    rank: int
    entities: int
    excluded: int
    low: float
    high: float


def rank_of(share: float, m: int, excluded: int = 0, confidence: float | None = None) -> int | None:
    """k such that the k-th smallest of m suprema is passed by at most `share`; None when m is too small.

    With `confidence` c, P(Beta(m + 1 - k, k) <= share) >= c; else the conformal average. Entities that were excluded
    because they scored high count as suprema of +infinity: leaving them out must not lower the threshold.

    >>> rank_of(0.01, 99), rank_of(0.01, 98), rank_of(0.01, 230, confidence=0.9), rank_of(0.01, 229, confidence=0.9)
    (99, None, 230, None)
    """
    total = m + excluded
    if confidence is None:
        k = ceil((1 - share) * (total + 1) - 1e-9)
        return k if k <= m else None
    ranks = np.arange(1, m + 1)
    sure = beta.cdf(share, total + 1 - ranks, ranks) >= confidence
    return int(ranks[sure][0]) if sure.any() else None


def smallest_share(m: int, excluded: int = 0, confidence: float | None = None) -> float:
    """The least share that m suprema can promise."""
    if m == 0:
        return 1.0
    if confidence is None:
        return (excluded + 1) / (m + excluded + 1)
    return float(beta.ppf(confidence, excluded + 1, m))


def entities_needed(share: float, confidence: float | None, excluded: int = 0) -> int:
    """How many calibration entities a promise needs, beside those that were excluded.

    >>> entities_needed(0.01, None), entities_needed(0.01, 0.9), entities_needed(0.002, 0.9)
    (99, 230, 1151)
    """
    if confidence is None:
        return ceil((excluded + 1) * (1 / share - 1) - 1e-9)
    most = 1
    while not _carries(most, share, confidence, excluded):
        most *= 2
    return bisect_left(range(most + 1), True, key=lambda m: _carries(m, share, confidence, excluded))


def _carries(m: int, share: float, confidence: float, excluded: int) -> bool:
    """The highest of m suprema is passed by at most `share` with this confidence."""
    return m > 0 and bool(beta.cdf(share, excluded + 1, m) >= confidence)


def threshold(
    suprema: NDArray[np.int64], share: float, *, excluded: int = 0, confidence: float | None = None
) -> Threshold:
    """The threshold whose promise is `share`, from grid levels of suprema (m,), ascending.

    Raises PromiseRefused when m is too small; the message says how many are needed.
    """
    m = len(suprema)
    k = rank_of(share, m, excluded, confidence)
    if k is None:
        least = smallest_share(m, excluded, confidence)
        raise PromiseRefused(
            f"{m} calibration clients{f' ({excluded} taken out)' if excluded else ''} cannot promise {share:.3%}: that "
            f"takes {entities_needed(share, confidence, excluded)}; the least they can carry is {least:.3%}"
        )
    passed = beta(m + excluded + 1 - k, k)
    # An alert is due at or above the threshold, so it lies a step above the k-th smallest supremum.
    score = max(score_of(int(suprema[k - 1]) + 1), FLOOR)
    return Threshold(score, k, m, excluded, float(passed.ppf(0.05)), float(passed.ppf(0.95)))


class Scale(NamedTuple):
    """A channel's suprema on honest entities, nats: median, 90th percentile, and the generalised Pareto law beyond."""

    centre: float
    knee: float
    spread: float
    shape: float


def standard(suprema: NDArray[np.float64]) -> Scale:
    """From suprema (n,). The tail's shape is the likeliest under a normal belief around SHAPE, and never lighter: among
    dozens of channels some have few odd clients by chance, and those of the next hundred clients would then stand out
    like attackers (maximum a posteriori on a grid; Pickands 1975).
    """
    if len(suprema) == 0:
        return Scale(0.0, LEAST_SPREAD, LEAST_SPREAD, SHAPE)
    centre, knee = np.quantile(suprema, [0.5, 0.9])
    knee = max(knee, centre + LEAST_SPREAD)
    beyond = suprema[suprema > knee] - knee
    if len(beyond) < FEWEST_BEYOND:
        return Scale(float(centre), float(knee), max(float(beyond.mean()) if len(beyond) else 0.0, LEAST_SPREAD), SHAPE)
    spread, shape = _likeliest(beyond)
    return Scale(float(centre), float(knee), max(spread, LEAST_SPREAD), shape)


def _likeliest(beyond: NDArray[np.float64]) -> tuple[float, float]:
    """Scale and shape of the generalised Pareto law of excesses (n,)."""
    spread = (beyond.mean() * np.geomspace(0.03, 2.0, 30))[:, None]
    shape = np.linspace(SHAPE, 1.5, 25)[None, :]
    logs = np.log1p(shape[:, :, None] * beyond / spread[:, :, None]).sum(2)
    likely = -len(beyond) * np.log(spread) - (1 + 1 / shape) * logs - 0.5 * ((shape - SHAPE) / SHAPE_SPREAD) ** 2
    i, j = np.unravel_index(likely.argmax(), likely.shape)
    return float(spread[i, 0]), float(shape[0, j])
