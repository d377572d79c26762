"""What the evidence kernel knows of the honest: one value a level, plain arrays only."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.special import gammaln

from detector.entities import BINS

CHANNELS = 3
KT, DILUTION_BET, TURN = range(CHANNELS)  # see polya.py
DILUTION = np.array([0.02, 0.05, 0.15, 0.5])  # shares that the dilution bet is spread over
TABLE = 512  # counts whose log-gamma ratios are looked up; larger ones are computed


class Law(NamedTuple):
    """F signals, BINS bins, S stages, J kinds of honest clients.

    active (F,) bool       the log carries the signal and it varies
    edges (F, S, BINS-1)   see nulls.edges
    weight (F, J), alpha (F, J, BINS)   the honest law: a mixture of J Pólya laws; log_weight, alpha_sum (F, J)
    shares (F, BINS)       honest share of each bin, clients weighing alike: p0
    reached (F,) float64   bins that honest values can fall into: the K of Krichevsky-Trofimov
    null, null_sum         tables of log rising factorials: (F, J, BINS, TABLE), (F, J, TABLE)
    kt, kt_sum             likewise with 1/2 and reached/2: (TABLE,), (F, TABLE)
    bet (F, E, BINS)       log(1 - eps + eps * u / p0) for each share eps
    centre, unit (F + 1, CHANNELS)   a channel's supremum on honest clients: median, and 99th percentile less median;
                           the last row is for the sum over signals
    slope                  of the boundary subtracted from the score: slope * log2(n / 32), from n = 32
    """

    active: NDArray[np.bool_]
    edges: NDArray[np.float64]
    weight: NDArray[np.float64]
    log_weight: NDArray[np.float64]
    alpha: NDArray[np.float64]
    alpha_sum: NDArray[np.float64]
    shares: NDArray[np.float64]
    reached: NDArray[np.float64]
    null: NDArray[np.float64]
    null_sum: NDArray[np.float64]
    kt: NDArray[np.float64]
    kt_sum: NDArray[np.float64]
    bet: NDArray[np.float64]
    centre: NDArray[np.float64]
    unit: NDArray[np.float64]
    slope: float


def make(
    active: NDArray[np.bool_],
    edges: NDArray[np.float64],
    weight: NDArray[np.float64],
    alpha: NDArray[np.float64],
    shares: NDArray[np.float64],
    centre: NDArray[np.float64],
    unit: NDArray[np.float64],
    slope: float | NDArray[np.float64],
) -> Law:
    """Fills the tables: everything that does not have to be kept in the profile."""
    n = np.arange(TABLE)
    alpha_sum = alpha.sum(2)
    with np.errstate(divide="ignore", invalid="ignore"):  # edges of a signal that is off are infinite
        reached = (np.diff(edges, axis=2).max(1) > 0).sum(1) + 2.0
        bet = np.log1p(DILUTION[None, :, None] * (1.0 / (BINS * shares[:, None, :]) - 1.0))
    return Law(
        active=active,
        edges=edges,
        weight=weight,
        log_weight=np.log(weight),
        alpha=alpha,
        alpha_sum=alpha_sum,
        shares=shares,
        reached=reached,
        null=rising(alpha[..., None], n),
        null_sum=rising(alpha_sum[..., None], n),
        kt=rising(np.array(0.5), n),
        kt_sum=rising(reached[:, None] / 2, n),
        bet=bet,
        centre=centre,
        unit=unit,
        slope=float(slope),
    )


def rising(base: NDArray[np.float64], n: NDArray[np.int64]) -> NDArray[np.float64]:
    """log of base (base + 1) ... (base + n - 1)."""
    return np.asarray(gammaln(base + n) - gammaln(base), np.float64)
