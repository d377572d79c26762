"""How a query spaces out from the entity's own earlier ones: nearest of all, of its class, of another, and the last.

After PRADA (Juuti et al. 2019), which keeps every query and tests the shape of the distances within a class; here the
memory is bounded (the last RECENT queries, then a uniform sample of all older ones) and the honest law is learned for
each stage of its filling.

Sees: children of earlier queries, line searches (a query of another class close by: the boundary lies between),
optimisation walks (short steps); sweeps of unrelated points (too far).
Misses: an attack split over accounts, since each begins with an empty memory. Off where answers carry no label:
`class` and `other`.
Innocent: explanation tools and investigators who nudge one field; clients who re-ask.
"""

from __future__ import annotations

import numba
import numpy as np
from numpy.typing import NDArray

from detector.query import Batch
from features.chance import draw
from features.contract import DIMS, Feature, Field, Learned, Rows, Signal, nothing_to_learn, place_of, stage_of

RECENT = 32
SAMPLE = 160
MEMORY = RECENT + SAMPLE
# Of 2 KB, many coarse points tell more than few fine ones: Jacobian children after 150 natural seeds carry 1.5 nats a
# query with 256 points of 8 dimensions, 0.8 with 128 of 16 (docs/bench/memory.md).
KEPT = 8  # dimensions
COARSE = 64  # steps of x to a step of the memory
FAR = 2**30  # beyond any squared distance of the memory

HIDES = "children of earlier queries, optimisation walks"

SIGNALS = (
    Signal(
        "spacing.nearest",
        staged=True,
        additive=False,
        low="repeat or vary one of its own earlier queries more closely than {honest} of honest queries do",
        high="lie farther from all its earlier queries than {honest} of honest queries do",
        hides=HIDES,
        speaks_for=("extraction", "evasion"),
    ),
    Signal(
        "spacing.class",
        staged=True,
        additive=False,
        low="vary an earlier query of the same class more closely than {honest} of honest queries do",
        high="lie farther from all its earlier queries of the same class than {honest} of honest queries do",
        hides=HIDES,
    ),
    Signal(
        "spacing.other",
        staged=True,
        additive=False,
        low="lie closer to an earlier query with another answer than {honest} of honest queries do (as who looks for "
        "the decision boundary)",
        high="lie farther from all earlier queries with other answers than {honest} of honest queries do",
        hides="line searches and boundary walks",
    ),
    Signal(
        "spacing.step",
        staged=False,
        additive=False,
        low="lie closer to the query before than {honest} of honest queries do",
        high="lie farther from the query before than {honest} of honest queries do",
        hides=HIDES,
        speaks_for=("extraction", "evasion"),
    ),
)

FIELDS = (
    Field("spacing_seen", "<u4"),
    Field("spacing_last", "<i2", (DIMS,)),
    Field("spacing_x", "|i1", (KEPT, MEMORY)),  # slots 0 .. RECENT-1: the ring of the last; then the sample
    Field("spacing_label", "|u1", (MEMORY,)),  # 0: none
)


def measure(batch: Batch, rows: Rows, learned: Learned, values: NDArray[np.float64], stages: NDArray[np.int8]) -> None:
    _space(batch.slots, batch.x, batch.labels, rows, values, stages)


@numba.njit(cache=True)
def _space(slots, x, labels, rows, values, stages):  # type: ignore[no-untyped-def]
    squared = np.empty(MEMORY, np.int32)
    point = np.empty(KEPT, np.int8)
    nearest = np.empty(3, np.int32)
    for i in range(slots.size):
        row = rows[slots[i]]
        seen = np.int64(row.spacing_seen)
        label = np.uint8(1 + place_of(labels[i]))
        for d in range(KEPT):
            point[d] = min(max((x[i, d] + COARSE // 2) // COARSE, -127), 127)
        _compare(row, point, label, min(seen, MEMORY), squared, nearest)
        for f in range(3):
            values[i, f] = COARSE * np.sqrt(np.float64(nearest[f])) if nearest[f] < FAR else np.nan
            stages[i, f] = stage_of(seen)
        values[i, 3] = _step(row, x[i]) if seen > 0 else np.nan
        stages[i, 3] = 0
        remember(row, point, label, seen)
        row.spacing_last[:] = x[i]
        row.spacing_seen += 1


@numba.njit(cache=True)
def _compare(row, point, label, filled, squared, nearest):  # type: ignore[no-untyped-def]
    """Least squared distance to what is remembered: of all, of the same label, of other labels; FAR where none is."""
    squared[:] = 0
    for d in range(KEPT):
        at = np.int32(point[d])
        for j in range(MEMORY):
            apart = at - np.int32(row.spacing_x[d, j])
            squared[j] += apart * apart
    nearest[:] = FAR
    for j in range(filled):
        nearest[0] = min(nearest[0], squared[j])
    if label == 0:
        return
    same, other = np.int32(FAR), np.int32(FAR)
    for j in range(filled):
        mine = row.spacing_label[j]
        same = min(same, squared[j] if mine == label else np.int32(FAR))
        other = min(other, squared[j] if (mine != label and mine != 0) else np.int32(FAR))
    nearest[1], nearest[2] = same, other


@numba.njit(cache=True)
def _step(row, point):  # type: ignore[no-untyped-def]
    total = 0.0
    for d in range(DIMS):
        apart = np.float64(point[d]) - np.float64(row.spacing_last[d])
        total += apart * apart
    return np.sqrt(total)


@numba.njit(cache=True)
def remember(row, point, label, seen):  # type: ignore[no-untyped-def]
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
            row.spacing_label[RECENT + keep] = row.spacing_label[place]
    for d in range(KEPT):
        row.spacing_x[d, place] = point[d]
    row.spacing_label[place] = label


FEATURE = Feature("spacing", SIGNALS, FIELDS, nothing_to_learn, measure)
