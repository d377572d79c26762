"""How evenly an entity's queries spread: over labels, over cells of the input space, over degrees of confidence.

The signal of one query is its code length, in bits, under what the entity asked before (Krichevsky-Trofimov 1981): its
mean over queries is the entropy of the entity's own mix. Whoever sweeps all classes or all of the space evenly needs
more bits a query than honest clients, who each have a few habits, at the same stage; who drills into one spot, fewer.

Sees: balanced sweeps, data-free generators (one class, or all sure), attacks that ask for the uncertain.
Misses: attacks with the class and cell mix of an honest client. Off: `label` without labels, `confidence` without
probabilities.
Innocent: test suites with balanced classes; a new office that asks about everything at first.
"""

from __future__ import annotations

import numba
import numpy as np
from numpy.typing import NDArray

from detector.query import Batch
from features.cells import CELLS, cells_of
from features.contract import LABELS, Feature, Field, Learned, Rows, Signal, nothing_to_learn, place_of, stage_of

CONFIDENCES = 8  # halvings of the second largest probability against the largest
FULL = 250  # of a count, at which all of its kind are halved: the mix of lately, in one byte each

HIDES = "evenly spread sweeps"


def _signal(name: str, what: str, few: str, many: str) -> Signal:
    return Signal(
        name,
        staged=True,
        additive=False,
        low=f"{few} more than {{honest}} of honest queries do",
        high=f"{many} less expected from {what} asked before than for {{honest}} of honest queries",
        hides=HIDES,
        habit=True,
    )


SIGNALS = (
    _signal("entropy.label", "what it", "repeat the answer it gets most", "get an answer that was"),
    _signal("entropy.cell", "where it", "return to the same corner of the input space", "lie in a corner that was"),
    _signal("entropy.confidence", "what it", "repeat the same confidence", "get a confidence that was"),
)

FIELDS = (
    Field("entropy_labels", "|u1", (LABELS,)),
    Field("entropy_cells", "|u1", (CELLS,)),
    Field("entropy_confidences", "|u1", (CONFIDENCES,)),
    Field("entropy_totals", "<u2", (3,)),
    Field("entropy_seen", "<u4"),
)


def measure(batch: Batch, rows: Rows, learned: Learned, values: NDArray[np.float64], stages: NDArray[np.int8]) -> None:
    kinds = np.full((len(batch), 3), -1, np.int64)
    _labels(batch.labels, kinds)
    kinds[:, 1] = cells_of(batch.x, learned["cells"])
    _confidences(batch.top, kinds)
    _surprise(batch.slots, kinds, rows, values, stages)


@numba.njit(cache=True)
def _labels(labels, kinds):  # type: ignore[no-untyped-def]
    for i in range(labels.size):
        kinds[i, 0] = place_of(labels[i])


@numba.njit(cache=True)
def _confidences(top, kinds):  # type: ignore[no-untyped-def]
    """How often the largest probability can be halved before it passes the second; no logarithm: exact everywhere."""
    for i in range(top.shape[0]):
        first, second = top[i, 0], top[i, 1]
        if not np.isnan(first):
            halvings = 0
            while halvings < CONFIDENCES - 1 and first * 0.5 >= second:
                first *= 0.5
                halvings += 1
            kinds[i, 2] = halvings


@numba.njit(cache=True)
def _surprise(slots, kinds, rows, values, stages):  # type: ignore[no-untyped-def]
    for i in range(slots.size):
        row = rows[slots[i]]
        stage = stage_of(np.int64(row.entropy_seen))
        for f in range(3):
            stages[i, f] = stage
            values[i, f] = np.nan
        if kinds[i, 0] >= 0:
            values[i, 0] = _bits(row.entropy_labels, row.entropy_totals, 0, kinds[i, 0])
        values[i, 1] = _bits(row.entropy_cells, row.entropy_totals, 1, kinds[i, 1])
        if kinds[i, 2] >= 0:
            values[i, 2] = _bits(row.entropy_confidences, row.entropy_totals, 2, kinds[i, 2])
        row.entropy_seen += 1


@numba.njit(cache=True)
def _bits(counts, totals, which, kind):  # type: ignore[no-untyped-def]
    """Code length of `kind` given the counts, NaN where nothing came before; counts it."""
    total = np.int64(totals[which])
    bits = np.nan
    if total > 0:
        bits = np.log2((total + 0.5 * counts.size) / (counts[kind] + 0.5))
    if counts[kind] >= FULL:
        total = 0
        for j in range(counts.size):
            counts[j] = counts[j] // 2
            total += np.int64(counts[j])
    counts[kind] += 1
    totals[which] = total + 1
    return bits


FEATURE = Feature("entropy", SIGNALS, FIELDS, nothing_to_learn, measure)  # `coverage` learns the cells
