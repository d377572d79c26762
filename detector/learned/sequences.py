"""How the sequence model is taught: L2 logistic regression on what counts say, at many numbers of queries alike.

Both classes weigh the same at every n, so that volume tells nothing. Linear, because it is judged on kinds that it was
not taught on, and trees were worse there; its weights can be read.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from sklearn.linear_model import LogisticRegression
from threadpoolctl import threadpool_limits

from detector.entities import BINS
from detector.evidence import sequence
from detector.evidence.law import BELIEF, LEAD, sequence_table

LOOKS = (8, 12, 16, 24, 32, 48, 64, 96, 128, 192, 256, 384)  # queries after which a client or a sweep teaches
FEWEST = 15  # clients, and sweeps, that a look needs
STRENGTH = 0.003  # inverse of the L2 penalty, where each example weighs 1 on average
ROUNDS = 3_000
SILENT = (0.0,) * LEAD  # a scale, before there is one


class Stood(NamedTuple):
    """Entities as they stood at looks: n (m,); owner (m,); counts (m, F, BINS)."""

    n: NDArray[np.int64]
    owner: NDArray[np.int64]
    counts: NDArray[np.int32]

    def of(self, chosen: NDArray[np.bool_]) -> Stood:
        return Stood(self.n[chosen], self.owner[chosen], self.counts[chosen])


class Taught(NamedTuple):
    """The model: sequence (F, BINS), and its bias."""

    sequence: NDArray[np.float64]
    bias: float


def at_looks(owner: NDArray[np.int64], bins: NDArray[np.uint8]) -> Stood:
    """From the bins (n, F) of queries in order; what is no bin is absent."""
    order = np.argsort(owner, kind="stable")
    who, starts, sizes = np.unique(owner[order], return_index=True, return_counts=True)
    width = bins.shape[1]
    found = Stood(np.empty(0, np.int64), np.empty(0, np.int64), np.empty((0, width, BINS), np.int32))
    parts = [found]
    for n in LOOKS:
        there = np.flatnonzero(sizes >= n)
        taken = bins[order[starts[there, None] + np.arange(n)]]  # (m, n, F)
        counts = (taken[..., None] == np.arange(BINS, dtype=np.uint8)).sum(1, dtype=np.int32)
        parts.append(Stood(np.full(len(there), n), who[there], counts))
    return Stood(*(np.concatenate(columns) for columns in zip(*parts, strict=True)))


def ratios(counts: NDArray[np.integer], shares: NDArray[np.float64]) -> NDArray[np.float64]:
    """What the model sees: counts (m, F, BINS) against the honest shares (F, BINS), as (m, F * BINS).

    >>> seen = ratios(np.array([[[3, 1]]]), np.array([[0.5, 0.5]]))
    >>> np.round(np.exp(seen), 3).tolist()
    [[1.143, 0.857]]
    """
    total = counts.sum(2, keepdims=True)
    seen = np.log((counts + BELIEF * shares) / ((total + BELIEF) * shares))
    return np.asarray(seen.reshape(len(counts), -1), np.float64)


def taught(honest: Stood, made: Stood, shares: NDArray[np.float64]) -> Taught | None:
    """The model; None where there are too few of either class at every look."""
    seen, is_made, weight = [], [], []
    for n in LOOKS:
        classes = [one.counts[one.n == n] for one in (honest, made)]
        if min(map(len, classes)) < FEWEST:
            continue
        for label, counts in enumerate(classes):
            seen.append(ratios(counts, shares))
            is_made.append(np.full(len(counts), label))
            weight.append(np.full(len(counts), 1.0 / len(counts)))
    if not seen:
        return None
    weights = np.concatenate(weight)
    model = LogisticRegression(C=STRENGTH, max_iter=ROUNDS)
    with threadpool_limits(1):
        model.fit(np.concatenate(seen), np.concatenate(is_made), sample_weight=weights * len(weights) / weights.sum())
    return Taught(np.asarray(model.coef_, np.float64).reshape(shares.shape), float(model.intercept_[0]))


def paths(
    owner: NDArray[np.int64], bins: NDArray[np.uint8], model: Taught, shares: NDArray[np.float64]
) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    """What the model says after each query (n,), nats, and the query's number among its entity's. owner: from 0 on,
    without gaps; bins (n, F) in order; shares (F, BINS).
    """
    logits, ordinals = np.empty(len(owner)), np.empty(len(owner), np.int64)
    entities = int(owner.max(initial=-1)) + 1
    rows = np.zeros(entities, [("n", "<i8"), ("counts", "<u2", (2, *shares.shape))])
    sequence.paths(owner, bins, table_of(model, shares), rows, logits, ordinals)
    return logits, ordinals


def table_of(model: Taught, shares: NDArray[np.float64], scale: Sequence[float] = SILENT) -> NDArray[Any]:
    """The model as kernels read it. scale: rise, centre, knee, spread, shape, lead."""
    return sequence_table(model.sequence, np.array([model.bias, *scale]), shares)
