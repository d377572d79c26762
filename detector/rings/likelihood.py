"""How likely counts are under the honest law, and how much likelier if two sets of counts are one client's.

Honest clients each have a law of their own, drawn from the honest mixture; the accounts of a ring share one. So for
counts a and b, with L the log likelihood of counts under the honest law,

    gain(a, b) = sum over signals of L(a + b) - L(a) - L(b)

is the log Bayes factor of "one hand" against "two" (Kass and Raftery 1995). It is a function of integer counts, and
counts of members add.
"""

from __future__ import annotations

import numba
import numpy as np
from numpy.typing import NDArray

from detector.entities import BINS
from detector.evidence.law import KINDS, Law
from detector.evidence.sums import grain, honest_of, mixed

Counts = NDArray[np.int64]  # (signals, BINS) of one account or pool; (n, signals, BINS) of many


def likelihoods(counts: Counts, law: Law) -> NDArray[np.float64]:
    """(n, F, BINS) -> L of each, nats (n,): multiples of GRAIN, so that their sums do not depend on order."""
    found = np.zeros(len(counts))
    _likelihoods(counts, law.tables[0], found)
    return found


def gains(one: Counts, own: float, others: Counts, of_others: NDArray[np.float64], law: Law) -> NDArray[np.float64]:
    """What each of `others` (n, F, BINS) gains if it is one client with `one` (F, BINS), nats (n,); own, of_others: L
    of each by itself.
    """
    found = np.zeros(len(others))
    _likelihoods(one + others, law.tables[0], found)
    return found - own - of_others


@numba.njit(cache=True)
def _likelihoods(counts, tables, found):  # type: ignore[no-untyped-def]
    for i in range(counts.shape[0]):
        found[i] = likelihood(counts[i], tables)


@numba.njit(cache=True)
def likelihood(counts, tables):  # type: ignore[no-untyped-def]
    """L of counts (F, BINS), nats: under the mixture of Pólya laws of each signal, signals taken as independent."""
    whole = 0.0
    likely = np.empty(KINDS)
    for f in range(counts.shape[0]):
        if not tables.active[f]:
            continue
        total = np.int64(0)
        likely[:] = 0.0
        for b in range(BINS):
            n = counts[f, b]
            total += n
            if n > 0:
                for j in range(KINDS):
                    likely[j] += honest_of(tables, f, b, j, n)
        if total > 0:
            whole += mixed(likely, f, total, tables)
    return grain(whole)
