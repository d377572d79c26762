"""Rows of named values: how rare its values are, each by itself, and whether they go together.

Sees: rows drawn column by column, uniformly or from each column's own values; blends of rows (parts of numbers that
only come whole, and pairs that nobody has); corners of the ranges; categories that were never seen.
Misses: rows that were copied whole from real data; sweeps of one column that the others do not depend on (spacing
sees those).
Innocent: a market, a branch or a form of its own, whose rows no honest client of the learning time had; whoever asks
what would be if (explanation tools, investigators who nudge one field).
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from detector.query import Batch
from features.contract import Feature, Learned, Rows, Signal, nothing_to_learn

HIDES = "rows that were made column by column"

SIGNALS = (
    Signal(
        "table.rarity",
        staged=False,
        additive=True,
        low="have values that are more usual, one by one, than {honest} of honest queries'",
        high="have values that are rarer, one by one, than {honest} of honest queries' (new ones among them)",
        hides=HIDES,
    ),
    Signal(
        "table.together",
        staged=False,
        additive=True,
        low="have values that go together less than {honest} of honest queries' do (as rows made column by column)",
        high="have values that go together more than {honest} of honest queries' do",
        hides=HIDES,
    ),
)


def measure(batch: Batch, rows: Rows, learned: Learned, values: NDArray[np.float64], stages: NDArray[np.int8]) -> None:
    values[:] = batch.form
    stages[:] = 0


FEATURE = Feature("table", SIGNALS, (), nothing_to_learn, measure)
