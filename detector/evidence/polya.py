"""Evidence from integer counts: how much likelier they are if the entity is not like the honest ones.

Per signal, with counts n_b, N = sum n_b (docs/mathematics.md):

    KT        log [KT(n) / honest(n)]: Krichevsky-Trofimov "only like itself" against the honest law, a mixture of
              Pólya (Dirichlet-multinomial) laws, one for each kind of honest client
    dilution  log mean over eps of prod_b (1 - eps + eps u_b / p0_b)^n_b: a share eps of its queries from anywhere
    turn      KT of the counts since a mark (the last doubling of n at which it was not turning), against the honest
              law *given* the counts before it: an account that was like the others, and no longer goes on like itself

All are functions of the counts alone: no drift, exact after any crash, and counts of members add up.
"""

from __future__ import annotations

from math import exp, lgamma, log, log2

import numba
import numpy as np

from detector.entities import BINS
from detector.evidence.law import CHANNELS, DILUTION_BET, KT, TABLE, TURN

HALF_LOG_TWO_PI = 0.9189385332046727
FIRST_MARK = 16  # queries before which nothing can turn
TURNING = 2.0  # nats
FLAT_UNTIL = 32.0  # queries from which the boundary rises


@numba.njit(cache=True)
def bin_of(value, edges):  # type: ignore[no-untyped-def]
    """How many edges are at or below the value."""
    b = 0
    while b < BINS - 1 and value >= edges[b]:
        b += 1
    return b


@numba.njit(cache=True)
def evidence(row, f, law, out):  # type: ignore[no-untyped-def]
    """The row's counts of signal f -> out (CHANNELS,), in nats; returns N."""
    total, recent = 0, 0
    like_itself, like_itself_lately = 0.0, 0.0
    like_honest, like_honest_before = law.log_weight[f].copy(), law.log_weight[f].copy()
    bets = np.zeros(law.bet.shape[1])
    for b in range(BINS):
        n = np.int64(row.counts[0, f, b]) + np.int64(row.counts[1, f, b])
        if n == 0:
            continue
        before = np.int64(row.before[f, b])
        total += n
        recent += n - before
        like_itself += _half(law, n)
        like_itself_lately += _half(law, n - before)
        for j in range(like_honest.size):
            like_honest[j] += _honest(law, f, j, b, n)
            like_honest_before[j] += _honest(law, f, j, b, before)
        for e in range(bets.size):
            bets[e] += n * law.bet[f, e, b]
    for j in range(like_honest.size):
        like_honest[j] -= _honest_sum(law, f, j, total)
        like_honest_before[j] -= _honest_sum(law, f, j, total - recent)
    honest = _log_sum_exp(like_honest)
    out[KT] = like_itself - _half_sum(law, f, total) - honest
    out[DILUTION_BET] = _log_sum_exp(bets) - log(bets.size)
    out[TURN] = like_itself_lately - _half_sum(law, f, recent) - honest + _log_sum_exp(like_honest_before)
    return total


@numba.njit(cache=True)
def _half(law, n):  # type: ignore[no-untyped-def]
    return law.kt[n] if n < TABLE else _rising(0.5, n)


@numba.njit(cache=True)
def _half_sum(law, f, n):  # type: ignore[no-untyped-def]
    return law.kt_sum[f, n] if n < TABLE else _rising(law.reached[f] / 2, n)


@numba.njit(cache=True)
def _honest(law, f, j, b, n):  # type: ignore[no-untyped-def]
    return law.null[f, j, b, n] if n < TABLE else _rising(law.alpha[f, j, b], n)


@numba.njit(cache=True)
def _honest_sum(law, f, j, n):  # type: ignore[no-untyped-def]
    return law.null_sum[f, j, n] if n < TABLE else _rising(law.alpha_sum[f, j], n)


@numba.njit(cache=True)
def _rising(base, n):  # type: ignore[no-untyped-def]
    """log of base (base + 1) ... (base + n - 1), for n of at least TABLE: Stirling's series, exact to 1e-9 there."""
    z = base + n
    return (z - 0.5) * log(z) - z + HALF_LOG_TWO_PI + 1.0 / (12.0 * z) - lgamma(base)


@numba.njit(cache=True)
def _log_sum_exp(terms):  # type: ignore[no-untyped-def]
    top = terms.max()
    total = 0.0
    for term in terms:
        total += exp(term - top)
    return top + log(total)


@numba.njit(cache=True)
def channels_of(row, law, found):  # type: ignore[no-untyped-def]
    """The row's evidence: found (F + 1, CHANNELS), nats; NaN for signals without counts. The last row sums what speaks
    against the entity over all signals. Returns the longest N.
    """
    width = law.active.size
    longest = 0
    found[:] = np.nan
    found[width] = 0.0
    for f in range(width):
        if not law.active[f]:
            continue
        total = evidence(row, f, law, found[f])
        if total == 0:
            found[f] = np.nan
            continue
        longest = max(longest, total)
        for c in range(CHANNELS):
            found[width, c] += max(found[f, c], 0.0)
    return longest


@numba.njit(cache=True)
def score_of(row, law, found, nats):  # type: ignore[no-untyped-def]
    """The entity's score: its largest standardised channel, less the boundary. Fills nats (F,): each signal's
    strongest evidence; found (F + 1, CHANNELS) is scratch.
    """
    longest = channels_of(row, law, found)
    best = -np.inf
    for f in range(found.shape[0]):
        for c in range(CHANNELS):
            if not np.isnan(found[f, c]):
                best = max(best, (found[f, c] - law.centre[f, c]) / law.unit[f, c])
    for f in range(nats.size):
        nats[f] = 0.0 if np.isnan(found[f, 0]) else max(found[f].max(), 0.0)
    if longest > FLAT_UNTIL:
        best -= law.slope * log2(longest / FLAT_UNTIL)
    return best


@numba.njit(cache=True)
def counted(row, queries, found):  # type: ignore[no-untyped-def]
    """Notes so many weighed queries, after they were scored as `found`. At each doubling, the counts as they stand are
    what the entity turns from, if it turns: unless it is turning, when the older mark stays and the evidence with it.
    """
    earlier = doublings(np.int64(row.n_counted))
    row.n_counted += np.uint32(queries)
    if doublings(np.int64(row.n_counted)) == earlier:
        return
    for f in range(found.shape[0] - 1):
        if found[f, TURN] >= TURNING:  # false for NaN
            return
    row.before[:] = row.counts[0] + row.counts[1]


@numba.njit(cache=True)
def doublings(n):  # type: ignore[no-untyped-def]
    """How often FIRST_MARK was doubled to reach n, plus one; 0 below FIRST_MARK."""
    found = 0
    while n >= FIRST_MARK:
        n //= 2
        found += 1
    return found
