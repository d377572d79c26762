"""How far a query lies from the training distribution: beside it (nearest), off its plane (residual), and how rough.

Sees: noise, foreign data, data-free generators, perturbed children of natural inputs (their noise leaves the plane and
roughens the image).
Misses: natural data, however it was gathered; attacks that stay on the plane and near the references.
Innocent: a client with a camera, a scanner or a market of its own. Such clients are part of the honest population
that the null was fitted on; a kind that no honest client of that time belonged to is not.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from detector.query import Batch
from features.cells import clustered, nearest
from features.contract import Feature, Learned, Reference, Rows, Signal

REFERENCES = 512
HIDES = "noise, foreign data and data-free generators"

SIGNALS = (
    Signal(
        "distance.nearest",
        staged=False,
        additive=True,
        low="lie closer to the training data than {honest} of honest queries do",
        high="lie farther from the training data than {honest} of honest queries do",
        hides=HIDES,
        speaks_against=("evasion",),
    ),
    Signal(
        "distance.residual",
        staged=False,
        additive=True,
        low="fit the training data's structure more smoothly than {honest} of honest queries do",
        high="break the training data's structure more than {honest} of honest queries do (as noise does)",
        hides=HIDES,
        speaks_against=("evasion",),
    ),
    Signal(
        "distance.roughness",
        staged=False,
        additive=True,
        low="are smoother images than {honest} of honest queries are (as generated or blurred ones are)",
        high="are rougher images than {honest} of honest queries are (as perturbed ones are)",
        hides="small perturbations of images",
        speaks_against=("evasion",),
    ),
)


def learn(reference: Reference) -> dict[str, NDArray[Any]]:
    """References: the centres of 512 clusters (all points where there are fewer), (DIMS, m) int16."""
    return {"references": clustered(reference, REFERENCES)}


def measure(batch: Batch, rows: Rows, learned: Learned, values: NDArray[np.float64], stages: NDArray[np.int8]) -> None:
    nearest(batch.x, learned["references"], values)
    values[:, 1] = batch.residual
    values[:, 2:] = batch.roughness[:, None]
    stages[:] = 0


FEATURE = Feature("distance", SIGNALS, (), learn, measure)
FLAT = Feature("distance", SIGNALS[:2], (), learn, measure)  # of what is no image
