"""How far an exchange lies from those of other people: `distance`, of text. Beside what they ask, and off their plane.

Sees: sets from elsewhere (word salad, another language, another trade).
Misses: prompts of other people, however they were gathered.
Innocent: a client with a trade of its own. It never accuses alone (Signal.alone).
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from detector.query import Batch
from features.cells import clustered, nearest
from features.contract import Feature, Learned, Reference, Rows, Signal

REFERENCES = 512
HIDES = "sets of prompts from elsewhere"

SIGNALS = (
    Signal(
        "matter.nearest",
        staged=False,
        additive=True,
        low="lie closer to what other people ask than {honest} of honest prompts do",
        high="lie farther from what other people ask than {honest} of honest prompts do",
        hides=HIDES,
        alone=False,
    ),
    Signal(
        "matter.residual",
        staged=False,
        additive=True,
        low="fit what other people ask more smoothly than {honest} of honest prompts do",
        high="have less in common with what other people ask than {honest} of honest prompts do",
        hides=HIDES,
        alone=False,
    ),
)


def learn(reference: Reference) -> dict[str, NDArray[Any]]:
    """Matter: the centres of 512 clusters of exchanges (all where there are fewer), (DIMS, m) int16."""
    return {"matter": clustered(reference, REFERENCES)}


def measure(batch: Batch, rows: Rows, learned: Learned, values: NDArray[np.float64], stages: NDArray[np.int8]) -> None:
    nearest(batch.x, learned["matter"], values)
    values[:, 1] = batch.residual
    stages[:] = 0


FEATURE = Feature("matter", SIGNALS, (), learn, measure)
