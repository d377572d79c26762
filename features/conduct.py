"""How a query was put: one that cannot be read here though the model answered it, or one whose id was used before.

Sees: who hides from the detector behind inputs that it cannot decode, or behind ids that look like retries.
Misses: who hides otherwise. Clients that only ever send what cannot be read are seen by this alone.
Innocent: an integration that breaks after a schema change; then many clients show it at once.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from detector.query import Batch
from features.contract import Feature, Learned, Rows, Signal, nothing_to_learn

SIGNALS = (
    Signal(
        "conduct.odd",
        staged=False,
        additive=True,
        low="can be read and have an id of their own, as {honest} of honest queries have",
        high="cannot be read by the detector or reuse the id of another one, unlike {honest} of honest queries",
        hides="queries that are put so that they are not seen",
        cuts=(0.5, 1.5),
        speaks_for=(),
    ),
)


def measure(batch: Batch, rows: Rows, learned: Learned, values: NDArray[np.float64], stages: NDArray[np.int8]) -> None:
    values[:, 0] = batch.odd
    stages[:] = 0


FEATURE = Feature("conduct", SIGNALS, (), nothing_to_learn, measure, unread=True)
