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
from detector.evidence.law import BETS, CHANNELS, DILUTION_BET, KINDS, KT, TABLE, TURN

# Room for log likelihoods: under each kind of honest client, HONEST and BEFORE the mark, and under each bet.
SCRATCH = (3, max(KINDS, BETS))
HONEST, BEFORE, DILUTED = range(3)
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


@numba.njit(cache=True, forceinline=True)
def evidence(row, f, tables, scratch, found):  # type: ignore[no-untyped-def]
    """The row's counts of signal f -> found[f] (CHANNELS,), in nats; returns N. scratch SCRATCH."""
    total, recent = 0, 0
    like_itself, like_itself_lately = 0.0, 0.0
    for j in range(KINDS):
        scratch[HONEST, j] = tables.log_weight[f, j]
        scratch[BEFORE, j] = tables.log_weight[f, j]
    for e in range(BETS):
        scratch[DILUTED, e] = 0.0
    for b in range(BINS):
        n = np.int64(row.counts[0, f, b]) + np.int64(row.counts[1, f, b])
        if n == 0:
            continue
        before = np.int64(row.before[f, b])
        total += n
        recent += n - before
        like_itself += _half(tables, n)
        like_itself_lately += _half(tables, n - before)
        if n < TABLE:  # the two loops apart, with nothing to decide in them: they are most of what a query costs
            for j in range(KINDS):
                scratch[HONEST, j] += tables.null[f, b, n, j]
                scratch[BEFORE, j] += tables.null[f, b, before, j]
        else:
            for j in range(KINDS):
                scratch[HONEST, j] += _honest(tables, f, b, j, n)
                scratch[BEFORE, j] += _honest(tables, f, b, j, before)
        for e in range(BETS):
            scratch[DILUTED, e] += n * tables.bet[f, b, e]
    for j in range(KINDS):
        scratch[HONEST, j] -= _honest_sum(tables, f, j, total)
        scratch[BEFORE, j] -= _honest_sum(tables, f, j, total - recent)
    honest = _log_sum_exp(scratch, HONEST, KINDS)
    found[f, KT] = like_itself - _half_sum(tables, f, total) - honest
    found[f, DILUTION_BET] = _log_sum_exp(scratch, DILUTED, BETS) - log(BETS)
    lately = like_itself_lately - _half_sum(tables, f, recent)
    found[f, TURN] = lately - honest + _log_sum_exp(scratch, BEFORE, KINDS)
    return total


@numba.njit(cache=True, forceinline=True)
def _half(tables, n):  # type: ignore[no-untyped-def]
    return tables.kt[n] if n < TABLE else _rising(0.5, lgamma(0.5), n)


@numba.njit(cache=True, forceinline=True)
def _half_sum(tables, f, n):  # type: ignore[no-untyped-def]
    return tables.kt_sum[f, n] if n < TABLE else _rising(tables.half_reached[f], lgamma(tables.half_reached[f]), n)


@numba.njit(cache=True, forceinline=True)
def _honest(tables, f, b, j, n):  # type: ignore[no-untyped-def]
    return tables.null[f, b, n, j] if n < TABLE else _rising(tables.alpha[f, b, j], tables.log_gamma[f, b, j], n)


@numba.njit(cache=True, forceinline=True)
def _honest_sum(tables, f, j, n):  # type: ignore[no-untyped-def]
    return tables.null_sum[f, n, j] if n < TABLE else _rising(tables.alpha_sum[f, j], tables.log_gamma_sum[f, j], n)


@numba.njit(cache=True, forceinline=True)
def _rising(base, log_gamma, n):  # type: ignore[no-untyped-def]
    """log of base (base + 1) ... (base + n - 1), for n of at least TABLE: Stirling's series, exact to 1e-9 there.

    log_gamma: of base.
    """
    z = base + n
    return (z - 0.5) * log(z) - z + HALF_LOG_TWO_PI + 1.0 / (12.0 * z) - log_gamma


@numba.njit(cache=True, forceinline=True)
def _log_sum_exp(terms, which, size):  # type: ignore[no-untyped-def]
    top = terms[which, 0]
    for j in range(1, size):
        top = max(top, terms[which, j])
    total = 0.0
    for j in range(size):
        total += exp(terms[which, j] - top)
    return top + log(total)


@numba.njit(cache=True, forceinline=True)
def channels_of(row, tables, scratch, found):  # type: ignore[no-untyped-def]
    """The row's evidence: found (F + 1, CHANNELS), nats; NaN for signals without counts. The last row sums what speaks
    against the entity over all signals. Returns the longest N.
    """
    width = tables.active.size
    longest = 0
    found[:] = np.nan
    found[width] = 0.0
    for f in range(width):
        if not tables.active[f]:
            continue
        total = evidence(row, f, tables, scratch, found)
        if total == 0:
            found[f] = np.nan
            continue
        longest = max(longest, total)
        for c in range(CHANNELS):
            found[width, c] += max(found[f, c], 0.0)
    return longest


@numba.njit(cache=True, forceinline=True)
def score_of(row, tables, scale, scratch, found, nats):  # type: ignore[no-untyped-def]
    """The entity's score: its largest standardised channel, less the boundary. Fills nats (F,): each signal's
    strongest evidence, and found as `channels_of` does. scale: the law's (centre, unit, slope).
    """
    centre, unit, slope = scale
    longest = channels_of(row, tables, scratch, found)
    best = -np.inf
    for f in range(found.shape[0]):
        for c in range(CHANNELS):
            if not np.isnan(found[f, c]):
                best = max(best, (found[f, c] - centre[f, c]) / unit[f, c])
    for f in range(nats.size):
        nats[f] = 0.0 if np.isnan(found[f, 0]) else max(found[f].max(), 0.0)
    if longest > FLAT_UNTIL:
        best -= slope * log2(longest / FLAT_UNTIL)
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
