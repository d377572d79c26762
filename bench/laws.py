"""How many of n fresh honest entities a threshold names, against the Beta-binomial law that its calibration states."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from scipy.stats import betabinom, kstest


class Count(NamedTuple):
    """m calibration entities, the rank k of the threshold among them, and how many of n fresh ones were named."""

    m: int
    k: int
    n: int
    named: int

    @property
    def law(self) -> Any:
        """Beta-binomial, since the calibration entities were a draw too."""
        return betabinom(self.n, self.m + 1 - self.k, self.k)


def held(counts: Sequence[Count], seed: int) -> tuple[int, float]:
    """How many counts lie outside the central 95% of their laws; the p of a Kolmogorov-Smirnov test that their places
    in these are uniform. A count is discrete: its place is drawn between that of fewer and that of as many.
    """
    draws = np.random.default_rng(seed)
    places = [one.law.cdf(one.named - 1) + draws.random() * one.law.pmf(one.named) for one in counts]
    outside = sum(not one.law.ppf(0.025) <= one.named <= one.law.ppf(0.975) for one in counts)
    return outside, float(kstest(places, "uniform").pvalue)
