"""How a query spaces out from the entity's own earlier ones: the distance to the nearest that is remembered.

After PRADA (Juuti et al. 2019), which keeps every query and tests the shape of all distances; here the memory is
bounded (the last RECENT queries, then a uniform sample of all older ones) and the honest law is learned for each stage
of its filling.

Sees: children of earlier queries, line searches, optimisation walks (too near); sweeps of unrelated points (too far).
Misses: an attack split over accounts, since each begins with an empty memory.
Innocent: explanation tools and investigators who nudge one field; clients who re-ask.
"""

from __future__ import annotations

import numba
import numpy as np
from numpy.typing import NDArray

from detector.query import Batch
from features.contract import STAGES, Feature, Field, Learned, Rows, Signal, nothing_to_learn

RECENT = 32
SAMPLE = 224
MEMORY = RECENT + SAMPLE
# Of 2 KB, many coarse points tell more than few fine ones: Jacobian children after 150 natural seeds carry 1.5 nats a
# query with 256 points of 8 dimensions, 0.8 with 128 of 16 (docs/bench/memory.md).
KEPT = 8  # dimensions
COARSE = 64  # steps of x to a step of the memory

SIGNALS = (
    Signal(
        "spacing.nearest",
        staged=True,
        additive=False,
        low="repeat or vary one of its own earlier queries more closely than {honest} of honest queries do",
        high="lie farther from all its earlier queries than {honest} of honest queries do",
    ),
)

FIELDS = (
    Field("spacing_seen", "<u4"),
    Field("spacing_x", "|i1", (KEPT, MEMORY)),  # slots 0 .. RECENT-1: the ring of the last; then the sample
)


def measure(batch: Batch, rows: Rows, learned: Learned, values: NDArray[np.float64], stages: NDArray[np.int8]) -> None:
    _nearest_earlier(batch.slots, batch.x, rows, values, stages)


@numba.njit(cache=True)
def _nearest_earlier(slots, x, rows, values, stages):  # type: ignore[no-untyped-def]
    squared = np.empty(MEMORY, np.int32)
    point = np.empty(KEPT, np.int8)
    for i in range(slots.size):
        row = rows[slots[i]]
        seen = np.int64(row.spacing_seen)
        filled = min(seen, MEMORY)
        for d in range(KEPT):
            point[d] = min(max((x[i, d] + COARSE // 2) // COARSE, -127), 127)
        stages[i, 0] = stage_of(seen)
        if filled == 0:
            values[i, 0] = np.nan
        else:
            squared[:] = 0
            for d in range(KEPT):
                at = np.int32(point[d])
                for j in range(MEMORY):
                    apart = at - np.int32(row.spacing_x[d, j])
                    squared[j] += apart * apart
            values[i, 0] = COARSE * np.sqrt(np.float64(squared[:filled].min()))
        remember(row, point, seen)
        row.spacing_seen += 1


@numba.njit(cache=True)
def remember(row, point, seen):  # type: ignore[no-untyped-def]
    """Puts the point into the ring; the one it pushes out joins the sample of all older ones (Vitter's algorithm R)."""
    place = seen % RECENT
    older = seen - RECENT  # how many were pushed out before
    if older >= 0:
        keep = older
        if older >= SAMPLE:
            keep = np.int64(draw(row.salt, older) % np.uint64(older + 1))
        if keep < SAMPLE:
            for d in range(KEPT):
                row.spacing_x[d, RECENT + keep] = row.spacing_x[d, place]
    for d in range(KEPT):
        row.spacing_x[d, place] = point[d]


@numba.njit(cache=True)
def draw(salt, index):  # type: ignore[no-untyped-def]
    """64 random bits that depend on the entity and the index alone (splitmix64, Steele et al. 2014)."""
    z = salt + np.uint64(index + 1) * np.uint64(0x9E3779B97F4A7C15)
    z = (z ^ (z >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return z ^ (z >> np.uint64(31))


@numba.njit(cache=True)
def stage_of(seen):  # type: ignore[no-untyped-def]
    """log2 of how many are remembered: 1, 2-3, 4-7, ... 128-255, and a full memory."""
    stage = 0
    while stage < STAGES - 1 and seen >= (2 << stage):
        stage += 1
    return stage


FEATURE = Feature("spacing", SIGNALS, FIELDS, nothing_to_learn, measure)
