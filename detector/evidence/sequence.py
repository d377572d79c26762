"""The word of the sequence model: one linear function of all of an entity's counts, which was taught on made sweeps.

With counts n_b of a signal, N their sum, honest shares p_b and K counts of belief, the model sees

    x_b = log [(n_b + K p_b) / ((N + K) p_b)]

of every signal and bin, and says bias + sum w x (docs/mathematics.md). It is a function of the counts, as evidence is:
no order, no drift, exact after any crash. A signal that a client does not carry says nothing: N is 0, and so is x.
"""

from __future__ import annotations

from math import log1p

import numba
import numpy as np
from numpy.typing import NDArray

from detector.entities import BINS
from detector.evidence.law import BELIEF, BIAS, CENTRE, KNEE, RISE, SHAPE, SPREAD, Law
from detector.evidence.polya import doubled_of, longest_of, reach, standard

FIRST_REACH = 3  # from 8 queries on it speaks: it was taught on no fewer
LEAD = 0.5  # of the score: it may spend ten times the share of false alarms that a channel of plain evidence may


@numba.njit(cache=True)
def word_of(row, line, law):  # type: ignore[no-untyped-def]
    """What it says of an entity, in the score's unit, less the boundary; -inf where there is no model."""
    tables = law.tables[0]
    longest = longest_of(line)
    if not tables.speaks or reach(longest) < FIRST_REACH:
        return -np.inf
    doubled = doubled_of(longest)
    logit = logit_of(row.counts, tables.sequence, tables.sequence_sum, tables.believed, tables.heard[BIAS])
    return rarity_of(logit, doubled, tables.heard) - law.slope * doubled


def told_of(counts: NDArray[np.uint16], law: Law) -> float:
    """What it says of an entity with counts (F, BINS), for a point of the tape: how rare that is, without LEAD; 0 up
    to the median.
    """
    tables = law.tables[0]
    longest = np.int64(counts.sum(1).max())
    if not tables["speaks"] or reach(longest) < FIRST_REACH:
        return 0.0
    both = np.stack([counts, np.zeros_like(counts)])
    model = tables["sequence"], tables["sequence_sum"], tables["believed"], tables["heard"][BIAS]
    rarity = rarity_of(logit_of(both, *model), doubled_of(longest), tables["heard"])
    return max(float(rarity) - LEAD, 0.0)


@numba.njit(cache=True)
def rarity_of(logit, doubled, heard):  # type: ignore[no-untyped-def]
    """How rare such a logit is on honest clients (polya.standard), with its LEAD; -inf up to the median."""
    nats = logit - doubled * heard[RISE]
    if nats > heard[CENTRE]:
        return standard(nats, heard[CENTRE], heard[KNEE], heard[SPREAD], heard[SHAPE]) + LEAD
    return -np.inf


@numba.njit(cache=True)
def logit_of(counts, weights, sums, believed, bias):  # type: ignore[no-untyped-def]
    """bias + sum w x of counts (2, F, BINS) of two epochs (law._tables). Bins without a count take no logarithm."""
    found = bias
    for f in range(sums.size):
        if not np.isfinite(sums[f]):
            continue
        total = np.int64(0)
        for b in range(BINS):
            n = np.int64(counts[0, f, b]) + np.int64(counts[1, f, b])
            if n > 0:
                total += n
                found += weights[f, b] * log1p(n / believed[f, b])
        found -= sums[f] * log1p(total / BELIEF)
    return found


@numba.njit(cache=True)
def paths(owner, bins, weights, sums, believed, bias, counts, logits, reaches):  # type: ignore[no-untyped-def]
    """What the model says after each query: fills logits (n,), and reaches (n,) of its entity by then.

    owner (n,), bins (n, F) in order; counts (entities, 2, F, BINS) zeros.
    """
    longest = np.zeros(counts.shape[0], np.int64)
    for i in range(owner.size):
        mine = counts[owner[i]]
        longest[owner[i]] += 1
        for f in range(bins.shape[1]):
            if bins[i, f] < BINS:
                mine[0, f, bins[i, f]] += 1
        logits[i] = logit_of(mine, weights, sums, believed, bias)
        reaches[i] = reach(longest[owner[i]])
