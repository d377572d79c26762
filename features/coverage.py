"""How much of the input space an entity has covered: cells newly reached, rare cells, training mass of all visited.

Novelty is judged at the stage that the entity has reached (how many queries): used without stages it measures volume,
which looks like detection and is not.

Sees: sweeps that reach more of the space than an honest client does with as many queries; drills that stay in one spot.
Misses: harvesters who ask as widely as an honest client with many interests.
Innocent: aggregating backends, which ask for a whole population; test suites.
"""

from __future__ import annotations

import numba
import numpy as np
from numpy.typing import NDArray

from detector.query import Batch
from features import cells
from features.cells import cells_of
from features.chance import share
from features.contract import Feature, Field, Learned, Rows, Signal, stage_of

HIDES = "sweeps of the input space"

SIGNALS = (
    Signal(
        "coverage.new",
        staged=True,
        additive=False,
        low="return to where it has been more than {honest} of honest queries do at that stage",
        high="reach new parts of the input space, more than {honest} of honest queries do at that stage",
        hides=HIDES,
        habit=True,
    ),
    Signal(
        "coverage.rarity",
        staged=False,
        additive=True,
        low="lie where more of the training data lie than for {honest} of honest queries",
        high="lie where fewer of the training data lie than for {honest} of honest queries",
        hides=HIDES,
    ),
    Signal(
        "coverage.mass",
        staged=True,
        additive=False,
        low="came when it had seen less of the training distribution than after {honest} of honest queries at that "
        "stage",
        high="came when it had seen more of the training distribution than after {honest} of honest queries at that "
        "stage",
        hides=HIDES,
        habit=True,
    ),
)

FIELDS = (
    Field("coverage_seen", "<u4"),
    Field("coverage_mass", "<f4"),
    Field("coverage_visited", "<u8"),
)


def measure(batch: Batch, rows: Rows, learned: Learned, values: NDArray[np.float64], stages: NDArray[np.int8]) -> None:
    _cover(batch.slots, cells_of(batch.x, learned["cells"]), learned["mass"], rows, values, stages)


@numba.njit(cache=True)
def _cover(slots, cell, mass, rows, values, stages):  # type: ignore[no-untyped-def]
    for i in range(slots.size):
        row = rows[slots[i]]
        seen = np.int64(row.coverage_seen)
        bit = np.uint64(1) << np.uint64(cell[i])
        new = (row.coverage_visited & bit) == 0
        # A yes or no has no quantiles: a share of chance spreads it over the bins, as its honest frequency asks.
        values[i, 0] = share(row.salt, seen) + (1.0 if new else 0.0)
        if seen == 0:
            values[i, 0] = np.nan
        values[i, 1] = -np.log2(mass[cell[i]])
        if new:
            row.coverage_visited |= bit
            row.coverage_mass += np.float32(mass[cell[i]])
        values[i, 2] = row.coverage_mass
        stages[i, 0] = stage_of(seen)
        stages[i, 1] = 0
        stages[i, 2] = stage_of(seen)
        row.coverage_seen += 1


FEATURE = Feature("coverage", SIGNALS, FIELDS, cells.learn, measure)
