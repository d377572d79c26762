"""How close a query lies to the decision boundary, as the victim's own answer shows it.

Sees: line searches and boundary walks (Tramèr et al. 2016), uncertainty-picked queries (ActiveThief), noise that the
victim cannot place; also a client whose answers are all too sure.
Misses: attacks whose queries are answered as surely as natural ones. Off when the log carries no probabilities; how
near an earlier query with another label lies (spacing.other) needs labels only.
Innocent: a client whose business is the hard cases (appeals, second opinions).
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from detector.query import Batch
from features.contract import Feature, Learned, Rows, Signal, margin_of, nothing_to_learn

SIGNALS = (
    Signal(
        "boundary.margin",
        staged=False,
        additive=True,
        low="are answered with more certainty than {honest} of honest queries are",
        high="lie closer to the decision boundary than {honest} of honest queries do",
        hides="line searches, boundary walks and uncertainty-picked queries",
    ),
)


def measure(batch: Batch, rows: Rows, learned: Learned, values: NDArray[np.float64], stages: NDArray[np.int8]) -> None:
    values[:, 0] = margin_of(batch)
    stages[:] = 0


FEATURE = Feature("boundary", SIGNALS, (), nothing_to_learn, measure)
