"""The joint signal: trees that score as they were taught, and see a blend whose numbers look natural one by one."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.ensemble import HistGradientBoostingClassifier

from detector.query import Batch
from features import joint, trees
from features.contract import DIMS, Reference
from tests.asked import asked
from tests.layouts import CLIENT_ROW


def test_the_arrays_score_as_the_model_that_was_taught(monkeypatch: pytest.MonkeyPatch) -> None:
    taught = []
    model = HistGradientBoostingClassifier
    monkeypatch.setattr(
        trees, "HistGradientBoostingClassifier", lambda **settings: taught.append(model(**settings)) or taught[0]
    )
    rng = np.random.default_rng(1)
    usual, odd = rng.normal(0, 1, (900, 5)), rng.normal(0.5, 1.5, (700, 5))
    usual[:, 3], odd[:, 3] = np.nan, np.nan
    found = trees.teach(usual, odd, 0)
    fresh = rng.normal(0, 2, (400, 5))
    scores = np.empty(400)
    trees.log_odds(fresh, *found, scores)
    np.testing.assert_allclose(scores, taught[0].decision_function(fresh), atol=trees.TREES * trees.GRAIN)


def natural(rng: np.random.Generator, n: int) -> np.ndarray:
    """Two kinds, each as wide as the gap between them is not."""
    return np.where(rng.random((n, 1)) < 0.5, 2_000, -2_000) + rng.normal(0, 400, (n, DIMS))


def batch(x: np.ndarray, margin: float | None = 0.1) -> Batch:
    top = np.tile([1.0, np.nan if margin is None else margin], (len(x), 1))
    return asked(len(x), x=np.rint(x), top=top)


def blends(rng: np.random.Generator, n: int) -> np.ndarray:
    return natural(rng, n) * rng.random((n, 1)) + natural(rng, n) * rng.random((n, 1)) * 0.2


def scored(given: Batch, learned: dict[str, np.ndarray]) -> np.ndarray:
    values, stages = np.empty((len(given), 1)), np.empty((len(given), 1), np.int8)
    joint.FEATURE.measure(given, np.zeros(1, CLIENT_ROW), learned, values, stages)
    return values[:, 0]


def learned_of(honest: Batch, made: Batch) -> dict[str, np.ndarray]:
    nothing = np.zeros((1, DIMS), np.int16), np.zeros(1, np.int32)
    return joint.learn(Reference(*nothing, 0, (honest, made)))


def test_blends_stand_out_and_fresh_natural_queries_do_not() -> None:
    rng = np.random.default_rng(2)
    learned = learned_of(batch(natural(rng, 1_500)), batch(blends(rng, 1_500)))
    honest = scored(batch(natural(rng, 1_000)), learned)
    assert (scored(batch(blends(rng, 1_000)), learned) > np.quantile(honest, 0.99)).mean() > 0.8


def test_without_lessons_the_signal_is_absent() -> None:
    rng = np.random.default_rng(3)
    nothing = np.zeros((1, DIMS), np.int16), np.zeros(1, np.int32)
    assert joint.learn(Reference(*nothing, 0)) == {}
    assert np.isnan(scored(batch(natural(rng, 10)), {})).all()


def test_a_log_without_probabilities_teaches_trees_that_do_not_ask_for_them() -> None:
    rng = np.random.default_rng(4)
    learned = learned_of(batch(natural(rng, 600), None), batch(blends(rng, 600), None))
    x = natural(rng, 50)
    assert scored(batch(x, None), learned).tobytes() == scored(batch(x, 0.7), learned).tobytes()
    assert not np.isnan(scored(batch(x, None), learned)).any()
