"""Evidence from integer counts: how much likelier they are if the entity is not like the honest ones.

Per signal, with counts n_b, N = sum n_b (docs/mathematics.md):

    KT        log [KT(n) / honest(n)]: Krichevsky-Trofimov "only like itself" against the honest law, a mixture of
              Pólya (Dirichlet-multinomial) laws, one for each kind of honest client
    dilution  log mean over eps of prod_b (1 - eps + eps u_b / p0_b)^n_b: a share eps of its queries from anywhere

Both are functions of the counts alone: no order, no drift, exact after any crash, and counts of members add up.
"""

from __future__ import annotations

from math import exp, lgamma, log, log2

import numba
import numpy as np

from detector.entities import BINS
from detector.evidence.law import CHANNELS, TABLE

HALF_LOG_TWO_PI = 0.9189385332046727
FLAT_UNTIL = 32.0  # queries from which the boundary rises


@numba.njit(cache=True)
def bin_of(value, edges):  # type: ignore[no-untyped-def]
    """How many edges are at or below the value."""
    b = 0
    while b < BINS - 1 and value >= edges[b]:
        b += 1
    return b


@numba.njit(cache=True)
def evidence(counts, f, law, out):  # type: ignore[no-untyped-def]
    """counts (2, F, BINS) of both epochs -> out (CHANNELS,), in nats, for signal f; returns N."""
    total = 0
    like_itself = 0.0
    like_honest = law.log_weight[f].copy()
    bets = np.zeros(law.bet.shape[1])
    for b in range(BINS):
        n = np.int64(counts[0, f, b]) + np.int64(counts[1, f, b])
        if n == 0:
            continue
        total += n
        like_itself += law.kt[n] if n < TABLE else _rising(0.5, n)
        for j in range(like_honest.size):
            like_honest[j] += law.null[f, j, b, n] if n < TABLE else _rising(law.alpha[f, j, b], n)
        for e in range(bets.size):
            bets[e] += n * law.bet[f, e, b]
    like_itself -= law.kt_sum[f, total] if total < TABLE else _rising(law.reached[f] / 2, total)
    for j in range(like_honest.size):
        like_honest[j] -= law.null_sum[f, j, total] if total < TABLE else _rising(law.alpha_sum[f, j], total)
    out[0] = like_itself - _log_sum_exp(like_honest)
    out[1] = _log_sum_exp(bets) - log(bets.size)
    return total


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
def score_of_counts(counts, law, channels, nats):  # type: ignore[no-untyped-def]
    """The entity's score: the largest standardised channel, less the boundary. Fills nats (F,), the larger channel's."""
    best = -np.inf
    longest = 0
    for f in range(law.active.size):
        if not law.active[f]:
            continue
        total = evidence(counts, f, law, channels)
        if total == 0:
            continue
        longest = max(longest, total)
        strongest = -np.inf
        for c in range(CHANNELS):
            standard = (channels[c] - law.centre[f, c]) / law.unit[f, c]
            if standard > strongest:
                strongest = standard
                nats[f] = channels[c]
        best = max(best, strongest)
    if longest > FLAT_UNTIL:
        best -= law.slope * log2(longest / FLAT_UNTIL)
    return best
