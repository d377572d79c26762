"""The threshold that keeps a promise to honest clients, and the law of how many of them it names (split conformal).

The rule that querywarden is held to (docs/mathematics.md), for every detector of the range.
"""

from __future__ import annotations

import math
from collections.abc import Iterable

import numpy as np
from scipy.stats import beta, betabinom


def threshold(suprema: Iterable[float], share: float) -> float:
    """The score that at most `share` of new honest clients ever pass, from the highest scores of m honest clients.

    Infinity (no alarm, ever) when m is too small for the share.

    >>> threshold([0.09, 0.05, 0.03, 0.02, 0.01, 0.04, 0.06, 0.07, 0.08], 0.2)
    0.08
    """
    ascending = np.sort(np.fromiter(suprema, dtype=np.float64))
    k = rank(len(ascending), share)
    return float(ascending[k - 1]) if k <= len(ascending) else math.inf


def rank(m: int, share: float) -> int:
    """k: the threshold is the k-th smallest of m."""
    return math.ceil((1 - share) * (m + 1))


def expected(clients: int, m: int, k: int, level: float = 0.95) -> tuple[int, int]:
    """The numbers of `clients` new honest ones that are named, in `level` of all calibrations: the Beta-binomial law.

    >>> expected(300, 299, 297)
    (0, 8)
    """
    if k > m:
        return 0, 0
    law = betabinom(clients, m + 1 - k, k)
    return int(law.ppf((1 - level) / 2)), int(law.ppf((1 + level) / 2))


def interval(hits: int, of: int, level: float = 0.95) -> tuple[float, float]:
    """Clopper and Pearson 1934: the shares that `hits` of `of` do not contradict.

    >>> tuple(round(x, 3) for x in interval(20, 20))
    (0.832, 1.0)
    """
    tail = (1 - level) / 2
    low = float(beta.ppf(tail, hits, of - hits + 1)) if hits else 0.0
    high = float(beta.ppf(1 - tail, hits + 1, of - hits)) if hits < of else 1.0
    return low, high
