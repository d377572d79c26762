"""What honest clients do, signal by signal: bins among the honest quantiles, and a Pólya law over clients."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize
from scipy.special import digamma, gammaln, logsumexp
from threadpoolctl import threadpool_limits

from detector.entities import BINS
from detector.evidence.law import KINDS
from features.contract import STAGES

# Between the two outermost bins, which lie beyond anything that an honest client of the learn set did.
CUTS = np.array([0.0005, 0.003, 0.01, 0.03, 0.1, 0.25, 0.5, 0.75, 0.9, 0.97, 0.99, 0.997, 0.9995])
BEYOND = 0.25  # of the way from the 10th (90th) percentile to the extreme, added to the extreme; see `_below`
FEW = 30  # values that a stage needs for edges of its own; below, it borrows the nearest fuller stage's
CAP = 1000.0  # queries that a client counts for at most when the law over clients is fitted
CLIENTS_A_KIND = 40  # below which there are fewer than KINDS
ROUNDS = 8
STEPS = 10  # of the search for a kind's law in one round: the next goes on from there
PRIOR = 4.0
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
    inner = np.interp(CUTS, position, values[order])
    low, high = np.interp([0.1, 0.9], position, values[order])
    least, most = values.min(), values.max()
    return np.concatenate(([_below(least, low)], inner, [most + BEYOND * (most - high)]))


def _below(least: float, low: float) -> float:
    """Where the lowest bin ends. Below a distance lies what is closer by a factor, not by a difference: a step as long
    as that on the high side would end below zero, where nothing can fall.
    """
    return least * (least / low) ** BEYOND if least > 0 else least - BEYOND * (low - least)


class Honest(NamedTuple):
    """One signal's honest law: weight (KINDS,), alpha (KINDS, BINS), and each bin's share, clients weighing alike."""

    weight: NDArray[np.float64]
    alpha: NDArray[np.float64]
    shares: NDArray[np.float64]


def fit_honest(counts: NDArray[np.int64]) -> Honest:
    """Maximum likelihood of a mixture of Pólya (Dirichlet-multinomial) laws: counts (clients, BINS).

    One law bends every bin by itself, but honest clients differ as wholes: whoever has a softer pen has one in all
    queries. A few kinds of clients, found by expectation-maximisation, say that (docs/mathematics.md has the
    measurement). A client weighs with at most CAP queries. No bin gets less than half a client's worth of alpha: of so
    many clients none went there, and the next may. Sources: Minka 2000, "Estimating a Dirichlet distribution"; Holmes,
    Harris, Quince 2012, "Dirichlet multinomial mixtures".
    """
    totals = counts.sum(1, keepdims=True)
    n = counts[totals[:, 0] > 0] * np.minimum(1.0, CAP / totals[totals[:, 0] > 0])
    kinds = int(np.clip(len(n) // CLIENTS_A_KIND, 1, KINDS))
    typical = (n / n.sum(1, keepdims=True)).mean(0) + 1e-4
    belongs = _first_guess(n, kinds)
    alphas = np.stack([20.0 * typical] * kinds)
    weight = np.full(kinds, 1.0 / kinds)
    for _ in range(ROUNDS if kinds > 1 else 1):
        with threadpool_limits(1):  # short vectors: more threads only wait for each other
            steps = STEPS if kinds > 1 else STEPS * ROUNDS
            alphas = np.stack([_fit_alpha(n, belongs[:, j], alphas[j], typical, steps) for j in range(kinds)])
        weight = (belongs.sum(0) + 1.0) / (len(n) + kinds)
        likely = np.stack([log_likelihood(n, alpha) for alpha in alphas], 1) + np.log(weight)
        belongs = np.exp(likely - logsumexp(likely, axis=1, keepdims=True))
    alphas = np.maximum(alphas, 0.5 / len(n))
    least = (weight[:, None] * alphas / alphas.sum(1, keepdims=True)).sum(0)
    shares = np.maximum((n / n.sum(1, keepdims=True)).mean(0), least)
    return Honest(*padded(weight, alphas), shares / shares.sum())


def fit_single(counts: NDArray[np.int64]) -> NDArray[np.float64]:
    """alpha (B,) of one Pólya law for counts (clients, B), by maximum likelihood; a client weighs with at most CAP."""
    totals = counts.sum(1, keepdims=True)
    n = counts[totals[:, 0] > 0] * np.minimum(1.0, CAP / totals[totals[:, 0] > 0])
    typical = (n / n.sum(1, keepdims=True)).mean(0) + 1e-4
    with threadpool_limits(1):
        alpha = _fit_alpha(n, np.ones(len(n)), 20.0 * typical, typical, STEPS * ROUNDS)
    return np.maximum(alpha, 0.5 / len(n))


def log_likelihood(n: NDArray[np.float64], alpha: NDArray[np.float64]) -> NDArray[np.float64]:
    """Of each client's counts n (clients, BINS), in the order seen, under one Pólya law."""
    total = alpha.sum()
    value = gammaln(total) - gammaln(n.sum(1) + total) + (gammaln(n + alpha) - gammaln(alpha)).sum(1)
    return np.asarray(value)


def _first_guess(n: NDArray[np.float64], kinds: int) -> NDArray[np.float64]:
    """Clients cut into equal parts by the mean bin of their queries."""
    mean_bin = (n * np.arange(BINS)).sum(1) / n.sum(1)
    belongs = np.zeros((len(n), kinds))
    for j, part in enumerate(np.array_split(np.argsort(mean_bin, kind="stable"), kinds)):
        belongs[part, j] = 1.0
    return belongs


def _fit_alpha(
    n: NDArray[np.float64],
    weight: NDArray[np.float64],
    start: NDArray[np.float64],
    typical: NDArray[np.float64],
    steps: int,
) -> NDArray[np.float64]:
    # A made client of PRIOR typical queries keeps each kind from closing around the few clients that it was fitted on.
    everyone = np.vstack([n, PRIOR * typical])
    weights = np.append(weight, 1.0)
    bounds, options = [LOG_ALPHA] * n.shape[1], {"maxiter": steps}
    found = minimize(
        _loss, np.log(start), (everyone, weights), method="L-BFGS-B", jac=True, bounds=bounds, options=options
    )
    return np.asarray(np.exp(found.x))


def _loss(
    log_alpha: NDArray[np.float64], n: NDArray[np.float64], weight: NDArray[np.float64]
) -> tuple[float, NDArray[np.float64]]:
    alpha = np.exp(log_alpha)
    total = alpha.sum()
    slope = digamma(total) - digamma(n.sum(1) + total)[:, None] + digamma(n + alpha) - digamma(alpha)
    # a weak pull keeps alpha finite where honest clients do not differ
    value = -(weight * log_likelihood(n, alpha)).sum() + 1e-3 * (log_alpha**2).sum()
    return float(value), -((weight[:, None] * slope).sum(0) * alpha) + 2e-3 * log_alpha


def padded(weight: NDArray[np.float64], alphas: NDArray[np.float64]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """The same law written with KINDS kinds: the last one repeated, its weight divided among its copies."""
    spare = KINDS - len(weight)
    if not spare:
        return weight, alphas
    last = np.full(spare + 1, weight[-1] / (spare + 1))
    return np.append(weight[:-1], last), np.vstack([alphas] + [alphas[-1:]] * spare)
