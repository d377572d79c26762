"""Evidence from integer counts: how much likelier they are if the entity is not like the honest ones.

Per signal, with counts n_b, N = sum n_b (docs/mathematics.md):

    KT        log [KT(n) / honest(n)]: Krichevsky-Trofimov "only like itself" against the honest law, a mixture of
              Pólya (Dirichlet-multinomial) laws, one for each kind of honest client
    dilution  log mean over eps of prod_b (1 - eps + eps u_b / p0_b)^n_b: a share eps of its queries is odd, and falls
              into bins that are rare among honest queries
    turn      KT of the counts since a mark (the last doubling of n at which it was not turning), against the honest
              law *given* the counts before it: an account that was like the others, and no longer goes on like itself

All are functions of the counts alone: no drift, exact after any crash, and counts of members add up.
"""

from __future__ import annotations

from math import expm1, log, log1p, log2

import numba
import numpy as np

from detector.entities import BINS
from detector.evidence.law import CHANNELS, KT, REACHES, TURN
from detector.evidence.sums import bound, find, find_all, remark
from detector.tape import FLOOR

FIRST_MARK = 16  # queries before which nothing can turn
TURNING = 2.0  # nats
TWO_TENS = 2.0 * log(10.0)
ROUNDING = 1.0 - 1e-6
FLAT_UNTIL = 32.0  # queries from which honest evidence is expected to rise with their number


@numba.njit(cache=True, forceinline=True)
def bin_of(value, edges, f, stage):  # type: ignore[no-untyped-def]
    """How many of the edges (F, S, BINS - 1) of a signal at a stage are at or below the value."""
    b = 0
    for edge in range(BINS - 1):  # all, without a branch
        b += value >= edges[f, stage, edge]
    return b


@numba.njit(cache=True, forceinline=True)
def longest_of(line):  # type: ignore[no-untyped-def]
    """The largest N of the signals."""
    longest = np.int64(0)
    for f in range(line.total.size):
        longest = max(longest, line.total[f])
    return longest


@numba.njit(cache=True, forceinline=True)
def doubled_of(longest):  # type: ignore[no-untyped-def]
    """How often FLAT_UNTIL was doubled to reach so many queries; 0 below."""
    return log2(longest / FLAT_UNTIL) if longest > FLAT_UNTIL else 0.0


@numba.njit(cache=True)
def laid(desk, law):  # type: ignore[no-untyped-def]
    """Puts the scale of each channel on the desk (sums.desk). `beyond` is `standard` turned round, less what rounding
    could change; the boundary only takes off (Law.slope is never negative).
    """
    desk.rise[:], desk.centre[:], desk.knee[:], desk.most[:] = law.rise, law.centre, law.knee, law.most
    desk.spread[:], desk.shape[:] = law.spread, law.shape
    for f in range(law.shape.shape[0]):
        for c in range(CHANNELS):
            far = expm1((FLOOR - 0.5) * law.shape[f, c] * TWO_TENS) / law.shape[f, c]
            desk.beyond[f, c] = ROUNDING * law.spread[f, c] * far


@numba.njit(cache=True, forceinline=True)
def rarity(desk, f, c, doubled):  # type: ignore[no-untyped-def]
    """How rare the evidence of one channel is on an honest client, see `standard`; -inf up to the median, and where
    there is none.
    """
    nats = desk.found[f, c] - doubled * desk.rise[f, c]
    if nats > desk.centre[f, c]:  # false for NaN
        return standard(nats, desk.centre[f, c], desk.knee[f, c], desk.spread[f, c], desk.shape[f, c])
    return -np.inf


@numba.njit(cache=True, forceinline=True)
def score_of(desk, slope, doubled):  # type: ignore[no-untyped-def]
    """The entity's score: that of its oddest channel, less the boundary."""
    best = -np.inf
    for f in range(desk.most.size):
        best = max(best, oddest(desk, f, doubled))
    return best - slope * doubled


@numba.njit(cache=True, forceinline=True)
def oddest(desk, f, doubled):  # type: ignore[no-untyped-def]
    """What the evidence of one signal adds to the score."""
    best = -np.inf
    for c in range(CHANNELS):
        best = max(best, rarity(desk, f, c, doubled))
    return min(best, desk.most[f])


@numba.njit(cache=True, forceinline=True)
def score_above_floor(line, tables, desk, slope):  # type: ignore[no-untyped-def]
    """`score_of` where it is FLOOR or more; else anything less. Only signals that may come so far are summed up, which
    on most queries are few.
    """
    doubled = doubled_of(longest_of(line))
    best = -np.inf
    for f in range(desk.most.size):
        if line.total[f] == 0 or not tables.active[f]:
            continue
        bound(line, f, tables, desk)
        if any_near(desk, f, doubled):
            find(line, f, tables, desk)
            best = max(best, oddest(desk, f, doubled))
    return best - slope * doubled


@numba.njit(cache=True, forceinline=True)
def any_near(desk, f, doubled):  # type: ignore[no-untyped-def]
    """Whether any channel of a signal may be worth FLOOR if its evidence is no more than what was found."""
    near = False
    for c in range(CHANNELS):
        near |= not desk.found[f, c] - doubled * desk.rise[f, c] - desk.knee[f, c] <= desk.beyond[f, c]  # NaN too
    return near


@numba.njit(cache=True)
def vector_of(desk, doubled, vector):  # type: ignore[no-untyped-def]
    """How odd each signal is by itself (F,), 0 where it is as usual: what the one-class model sees."""
    for f in range(vector.size):
        vector[f] = 0.0
        for c in range(CHANNELS):
            vector[f] = max(vector[f], rarity(desk, f, c, doubled))


@numba.njit(cache=True, forceinline=True)
def standard(nats, centre, knee, spread, shape):  # type: ignore[no-untyped-def]
    """How rare so much evidence is on an honest client: 0 at the median, 1/2 at the 90th percentile, 1 at the 99th, and
    1/2 more for each factor of ten. Beyond the 90th by the generalised Pareto law (Pickands 1975).
    """
    if nats <= knee:
        return 0.5 * (nats - centre) / (knee - centre)
    return 0.5 + log1p(shape * (nats - knee) / spread) / (shape * TWO_TENS)


@numba.njit(cache=True, forceinline=True)
def reach(n):  # type: ignore[no-untyped-def]
    """log2 of an entity's queries: 0 for 0 and 1, 1 for 2 and 3, ... REACHES - 1 for all above."""
    found = 0
    while n >= 2 and found < REACHES - 1:
        n //= 2
        found += 1
    return found


@numba.njit(cache=True)
def strongest(desk, doubled, told):  # type: ignore[no-untyped-def]
    """What speaks against the entity in each signal: its oddest channel's evidence, nats, and how odd that is; told (2,
    F), else 0. Evidence alone does not compare: what is much for one signal is little for another.
    """
    told[:] = 0.0
    for f in range(told.shape[1]):
        for c in range(CHANNELS):
            score = rarity(desk, f, c, doubled)
            if desk.found[f, c] > 0.0 and score > told[1, f]:
                told[0, f], told[1, f] = desk.found[f, c], score


@numba.njit(cache=True, forceinline=True)
def counted(row, line, tables, queries, desk):  # type: ignore[no-untyped-def]
    """Notes so many weighed queries, after they were scored. At each doubling, a signal's counts as they stand are what
    the entity turns from, if it turns: unless it is turning, when the older mark stays and the evidence with it.
    """
    earlier = doublings(np.int64(row.n_counted))
    row.n_counted += np.uint32(queries)
    if doublings(np.int64(row.n_counted)) != earlier:
        _marked(row, line, tables, desk)


@numba.njit(cache=True)
def _marked(row, line, tables, desk):  # type: ignore[no-untyped-def]
    find_all(line, tables, desk)
    for f in range(desk.most.size):
        past = line.recent[f] < line.total[f]
        if not desk.found[f, TURN if past else KT] >= TURNING:  # NaN too
            row.before[f] = row.counts[0, f] + row.counts[1, f]
            remark(line, f, tables)


@numba.njit(cache=True)
def doublings(n):  # type: ignore[no-untyped-def]
    """How often FIRST_MARK was doubled to reach n, plus one; 0 below FIRST_MARK."""
    found = 0
    while n >= FIRST_MARK:
        n //= 2
        found += 1
    return found
