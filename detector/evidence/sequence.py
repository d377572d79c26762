"""The word of the sequence model: one linear function of all of an entity's counts, which was taught on made sweeps.

With counts n_b of a signal, N their sum, honest shares p_b and K counts of belief, the model sees

    x_b = log [(n_b + K p_b) / ((N + K) p_b)]

of every signal and bin, and says bias + sum w x (docs/mathematics.md). It is a function of the counts, as evidence is:
no order, no drift, exact after any crash. A signal that a client does not carry says nothing: N is 0, and so is x.
Terms are multiples of GRAIN, and each signal's sum is kept between queries (sums.py): a query moves it by one step.
"""

from __future__ import annotations

from typing import Any

import numba
import numpy as np
from numpy.typing import NDArray

from detector.entities import BINS
from detector.evidence.law import BIAS, CENTRE, KNEE, LEAD, RISE, SHAPE, SPREAD
from detector.evidence.polya import doubled_of, longest_of, standard
from detector.evidence.sums import said_of, said_sum

FIRST = 8  # queries from which on it speaks: it was taught on no fewer


@numba.njit(cache=True, forceinline=True)
def word_of(line, tables):  # type: ignore[no-untyped-def]
    """What it says of an entity, in the score's unit; -inf where there is no model. Shares do not grow with volume as
    evidence does: what honest words rise by is taken off them alone, and they are under no boundary.
    """
    if not tables.speaks:
        return -np.inf
    longest = longest_of(line)
    if longest < FIRST:
        return -np.inf
    logit = tables.heard[BIAS]
    for f in range(line.said.size):
        logit += line.said[f]
    return rarity_of(logit, doubled_of(longest), tables) + tables.heard[LEAD]


@numba.njit(cache=True)
def logit_of(row, tables):  # type: ignore[no-untyped-def]
    """bias + sum w x of a row's counts (law.sequence_table): what the kept sums come to, bit for bit."""
    found = tables.heard[BIAS]
    for f in range(tables.taught.size):
        if not tables.taught[f]:
            continue
        total = np.int64(0)
        for b in range(BINS):
            n = np.int64(row.counts[0, f, b]) + np.int64(row.counts[1, f, b])
            if n > 0:
                total += n
                found += said_of(tables, f, b, n)
        found -= said_sum(tables, f, total)
    return found


@numba.njit(cache=True)
def rarity_of(logit, doubled, tables):  # type: ignore[no-untyped-def]
    """How rare such a logit is on honest clients (polya.standard); -inf up to the median."""
    heard = tables.heard
    nats = logit - doubled * heard[RISE]
    if nats > heard[CENTRE]:
        return standard(nats, heard[CENTRE], heard[KNEE], heard[SPREAD], heard[SHAPE])
    return -np.inf


def told_of(counts: NDArray[np.uint16], tables: NDArray[Any]) -> NDArray[np.int64]:
    """From counts (n, F, BINS) of points of the tape what Point.sequence tells of each."""
    rows = np.zeros(len(counts), [("counts", "<u2", (2, *counts.shape[1:]))])
    rows["counts"][:, 0] = counts
    told = np.zeros(len(counts), np.int64)
    _tell(rows, tables, told)
    return told


@numba.njit(cache=True)
def _tell(rows, tables, told):  # type: ignore[no-untyped-def]
    model = tables[0]
    for i in range(rows.size if model.speaks else 0):
        longest = np.int64(0)
        for f in range(rows[i].counts.shape[1]):
            longest = max(longest, np.int64(rows[i].counts[0, f].sum()))
        if longest >= FIRST:
            told[i] = round(100 * max(rarity_of(logit_of(rows[i], model), doubled_of(longest), model), 0.0))


@numba.njit(cache=True)
def paths(owner, bins, tables, rows, logits, ordinals):  # type: ignore[no-untyped-def]
    """What the model says after each query: fills logits (n,), and ordinals (n,), its number among its entity's.

    owner (n,), bins (n, F) in order; rows: records with `counts` (2, F, BINS) and `n`, zeros.
    """
    for i in range(owner.size):
        row = rows[owner[i]]
        row.n += 1
        for f in range(bins.shape[1]):
            if bins[i, f] < BINS:
                row.counts[0, f, bins[i, f]] += 1
        logits[i] = logit_of(row, tables[0])
        ordinals[i] = row.n
