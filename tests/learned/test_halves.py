"""River's half-space trees and their arrays: one score."""

from __future__ import annotations

import numpy as np
import pytest
from river.anomaly import HalfSpaceTrees

from detector.learned.halves import halves

SIGNALS = ("spacing", "margin", "entropy")


@pytest.mark.parametrize(("window", "height"), [(200, 8), (60, 3), (200, 1)])
def test_arrays_score_as_the_trees_do(window: int, height: int) -> None:
    rng = np.random.default_rng(window)
    limits = dict.fromkeys(SIGNALS, (-3.0, 3.0))
    trees = HalfSpaceTrees(n_trees=7, height=height, window_size=window, limits=limits, seed=1)
    for vector in rng.normal(size=(200, 3)).tolist():
        trees.learn_one(dict(zip(SIGNALS, vector, strict=True)))
    arrays = halves(trees, SIGNALS)
    asked = np.concatenate([rng.normal(size=(200, 3)), rng.normal(scale=50, size=(50, 3)), np.zeros((1, 3))])
    for vector in asked:
        assert arrays.score(vector) == trees.score_one(dict(zip(SIGNALS, vector.tolist(), strict=True)))
