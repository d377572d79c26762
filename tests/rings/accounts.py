"""A law of few signals, and accounts that draw their queries from honest laws or share one."""

from __future__ import annotations

from functools import cache
from typing import TypeAlias

import numpy as np
from hypothesis import strategies as st
from numpy.typing import NDArray

from detector.entities import BINS, Entities
from detector.evidence.law import KINDS, Law
from detector.profile.learn import Nulls
from detector.profile.scaling import unscaled
from detector.rings.accounts import ACCOUNT, account_dtype
from features import NUMBERS
from features.contract import STAGES

Counts: TypeAlias = NDArray[np.int64]
SIGNALS = len(NUMBERS.additive)
SHARES = np.full(BINS, 1.0 / BINS)


@cache
def ring_law() -> Law:
    """All signals even, honest accounts differing little."""
    edges = np.tile(np.linspace(0.0, 1.0, BINS - 1), (SIGNALS, STAGES, 1))
    weight, alpha = np.full((SIGNALS, KINDS), 1.0 / KINDS), np.full((SIGNALS, KINDS, BINS), 20.0)
    active = np.ones(SIGNALS, np.bool_)
    found = Nulls(active, edges, weight, alpha, np.tile(SHARES, (SIGNALS, 1)), ())
    return unscaled(found, active, [NUMBERS.signals[f] for f in NUMBERS.additive.tolist()])


def drawn() -> st.SearchStrategy[Counts]:
    """Counts of one account."""

    def filled(bins: list[tuple[int, int]]) -> Counts:
        counts = np.zeros((SIGNALS, BINS), np.int64)
        for f, b in bins:
            counts[f, b] += 1
        return counts

    one = st.tuples(st.integers(0, SIGNALS - 1), st.integers(0, BINS - 1))
    return st.lists(one, max_size=40).map(filled)


def table() -> Entities:
    return Entities("made", ACCOUNT, account_dtype(SIGNALS), b"secret")


def honest_bins(rng: np.random.Generator, queries: int) -> NDArray[np.uint8]:
    """(queries, SIGNALS), with a law of its own near the honest one."""
    laws = rng.dirichlet(np.full(BINS, 20.0), SIGNALS)
    return np.stack([rng.choice(BINS, queries, p=law) for law in laws], 1).astype(np.uint8)


def ring_bins(rng: np.random.Generator, queries: int) -> NDArray[np.uint8]:
    """High in every signal: the law that all of a ring share."""
    law = np.where(np.arange(BINS) >= BINS - 4, 20.0, 1.0)
    return rng.choice(BINS, (queries, SIGNALS), p=law / law.sum()).astype(np.uint8)
