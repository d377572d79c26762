"""What honest clients do, signal by signal: bins among the honest quantiles, and a Pólya law over clients."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize
from scipy.special import digamma, gammaln

from detector.entities import BINS
from features.contract import STAGES

CUTS = np.array([0.0005, 0.003, 0.01, 0.03, 0.1, 0.25, 0.5, 0.75, 0.9, 0.97, 0.99, 0.997, 0.9995])
FEW = 30  # values that a stage needs for edges of its own; below, it borrows the nearest fuller stage's
CAP = 1000.0  # queries that a client counts for at most when the law over clients is fitted
LOG_ALPHA = (np.log(1e-6), np.log(1e6))


def edges(values: NDArray[np.float64], stages: NDArray[np.int8], owners: NDArray[np.int64]) -> NDArray[np.float64]:
    """Bin edges (STAGES, BINS - 1) of one signal from values (n,), each client (`owners`) weighing alike.

    A value v falls into bin `searchsorted(edges, v, side="right")`. Absent values are NaN and are left out.
    """
    present = ~np.isnan(values)
    by_stage: dict[int, NDArray[np.float64]] = {}
    for stage in range(STAGES):
        chosen = present & (stages == stage)
        if np.count_nonzero(chosen) >= FEW:
            by_stage[stage] = _weighted_quantiles(values[chosen], owners[chosen])
    if not by_stage:
        return np.full((STAGES, BINS - 1), np.inf)
    nearest = [min(by_stage, key=lambda s: abs(s - stage)) for stage in range(STAGES)]
    return np.stack([by_stage[stage] for stage in nearest])


def _weighted_quantiles(values: NDArray[np.float64], owners: NDArray[np.int64]) -> NDArray[np.float64]:
    _, client, volume = np.unique(owners, return_inverse=True, return_counts=True)
    order = np.argsort(values, kind="stable")
    weight = (1.0 / volume[client])[order]
    position = (np.cumsum(weight) - 0.5 * weight) / weight.sum()
    return np.interp(CUTS, position, values[order])


def fit_alpha(counts: NDArray[np.int64]) -> NDArray[np.float64]:
    """Maximum likelihood of the Dirichlet-multinomial (Pólya) law: counts (clients, BINS) -> alpha (BINS,).

    A client weighs with at most CAP queries. Half a query spread over the honest shares is added as a prior client,
    so that a bin that nobody visited stays possible. Source: Minka 2000, "Estimating a Dirichlet distribution".
    """
    totals = counts.sum(1, keepdims=True)
    n = counts[totals[:, 0] > 0] * np.minimum(1.0, CAP / totals[totals[:, 0] > 0])
    shares = honest_shares(n)
    start = np.log(np.clip(20.0 * shares, 1e-4, None))
    found = minimize(_negative_log_likelihood, start, args=(n,), jac=True, method="L-BFGS-B", bounds=[LOG_ALPHA] * BINS)
    return np.exp(found.x)


def honest_shares(counts: NDArray[np.float64]) -> NDArray[np.float64]:
    """The share of each bin, each client weighing alike, never zero: (clients, BINS) -> (BINS,)."""
    per_client = counts / counts.sum(1, keepdims=True)
    nominal = np.diff(np.concatenate(([0.0], CUTS, [1.0])))
    return (per_client.sum(0) + nominal) / (len(counts) + 1)


def _negative_log_likelihood(
    log_alpha: NDArray[np.float64], n: NDArray[np.float64]
) -> tuple[float, NDArray[np.float64]]:
    alpha = np.exp(log_alpha)
    total = alpha.sum()
    volume = n.sum(1)
    value = gammaln(total) - gammaln(volume + total) + (gammaln(n + alpha) - gammaln(alpha)).sum(1)
    slope = digamma(total) - digamma(volume + total)[:, None] + digamma(n + alpha) - digamma(alpha)
    # a weak pull towards the spread of one prior client keeps alpha finite where honest clients do not differ
    return float(-value.sum() + 1e-3 * (log_alpha**2).sum()), -(slope.sum(0) * alpha) + 2e-3 * log_alpha
