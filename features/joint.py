"""What the numbers of one query tell together: a place between two natural inputs, where nothing natural lies.

Small trees over where the query lies, what the projection left out, how rough it is and how near the boundary it was
answered. They are taught on honest queries of some clients, and on blends that `fit` makes of them: no attack is
needed. One by one these numbers look natural in a blend.

Sees: blends and line searches (Tramèr et al. 2016), one by one and without memory, so also where they are hidden in
honest traffic or shared out over accounts.
Misses: what lies on natural inputs, and what lies far from all of them, which `distance` sees. Off where there are too
few clients to teach it.
Innocent: a client whose inputs are mixtures (two products in one picture, averaged readings), where no client of the
learn set had such.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from detector.query import Batch
from features.contract import Feature, Learned, Reference, Rows, Signal, margin_of
from features.trees import Trees, log_odds, teach

SIGNALS = (
    Signal(
        "joint.blend",
        staged=False,
        additive=True,
        low="lie more plainly on natural inputs than {honest} of honest queries do",
        high="lie between natural inputs, where a blend of two would, more than {honest} of honest queries do",
        hides="blends of natural inputs and line searches, above all hidden ones",
    ),
)


def learn(reference: Reference) -> dict[str, NDArray[Any]]:
    """The trees, and whether they look at answers; nothing where there are no lessons."""
    if reference.lessons is None:
        return {}
    honest, made = (vectors(batch) for batch in reference.lessons)
    answers = not np.isnan(made[:, -1]).any()
    if answers:
        honest = honest[~np.isnan(honest[:, -1])]
    else:
        honest[:, -1], made[:, -1] = np.nan, np.nan
    trees = teach(honest, made, reference.seed)
    return {f"joint_{name}": array for name, array in trees._asdict().items()} | {"joint_answers": np.array([answers])}


def measure(batch: Batch, rows: Rows, learned: Learned, values: NDArray[np.float64], stages: NDArray[np.int8]) -> None:
    """Log-odds of a blend against an honest query; ABSENT where the trees look at an answer that there is not."""
    stages[:], values[:] = 0, np.nan
    if "joint_leaf" in learned:
        told = vectors(batch)
        log_odds(told, *(learned[f"joint_{name}"] for name in Trees._fields), values[:, 0])
        if learned["joint_answers"][0]:
            values[np.isnan(told[:, -1])] = np.nan


def vectors(batch: Batch) -> NDArray[np.float64]:
    """(n, DIMS + k + 3): what the trees see of each query, k columns of its form among them."""
    return np.column_stack([batch.x, batch.form, batch.residual, batch.roughness, margin_of(batch)])


FEATURE = Feature("joint", SIGNALS, (), learn, measure)
