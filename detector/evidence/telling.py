"""Which bins made the evidence: the one cut of a signal's values that says most about an entity."""

from __future__ import annotations

from math import log

import numba
import numpy as np
from numpy.typing import NDArray

from detector.entities import BINS
from detector.evidence.law import Law

Permille = NDArray[np.int64]
NEARLY = 1.0 - 1e-6  # what rounding leaves of a bound


def telling(counts: NDArray[np.uint16] | NDArray[np.int64], law: Law) -> tuple[Permille, Permille]:
    """counts (n, F, BINS) -> shares, tails (n, F), see tape.Point: what share of each entity's queries, and of honest
    ones, lie beyond the cut with the largest likelihood ratio; a low side is negative, 0 is where nothing stands out.
    """
    shares = np.zeros(counts.shape[:2], np.int64)
    tails = np.zeros(counts.shape[:2], np.int64)
    _tell(counts, law.shares, np.flatnonzero(law.active), shares, tails)
    return shares, tails


@numba.njit(cache=True)
def _tell(counts, honest, signals, shares, tails):  # type: ignore[no-untyped-def]
    for i in range(counts.shape[0]):
        for f in signals:
            total = counts[i, f].sum()
            if total == 0:
                continue
            best = 0.0
            n, p = 0.0, 0.0
            for b in range(BINS - 1):  # bins 0 .. b against the rest
                n += counts[i, f, b]
                p += honest[f, b]
                mine = n / total
                # The ratio is at most chi squared (Gibbs and Su 2002): most cuts need no logarithm.
                if (mine - p) * (mine - p) < NEARLY * best * p * (1.0 - p):
                    continue
                gain = _gain(mine, p)
                if gain > best:
                    best = gain
                    low = mine > p
                    shares[i, f] = round(1000 * (mine if low else 1.0 - mine))
                    tail = max(round(1000 * (p if low else 1.0 - p)), 1)
                    tails[i, f] = -tail if low else tail


@numba.njit(cache=True)
def _gain(mine, honest):  # type: ignore[no-untyped-def]
    """Likelihood ratio per query of a share `mine` against `honest` (Kullback-Leibler, two cells)."""
    gain = 0.0
    if mine > 0:
        gain += mine * log(mine / honest)
    if mine < 1:
        gain += (1 - mine) * log((1 - mine) / (1 - honest))
    return gain
