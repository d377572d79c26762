"""Distance to the training distribution: exact, and large for what does not belong."""

from __future__ import annotations

import numpy as np
import pytest

from features import distance
from features.contract import DIMS, Reference
from tests.asked import asked
from tests.layouts import CLIENT_ROW


def measured(x: np.ndarray, references: np.ndarray, residual: np.ndarray | None = None) -> np.ndarray:
    n = len(x)
    batch = asked(n, x=x, residual=np.zeros(n) if residual is None else residual)
    values, stages = np.empty((n, 3)), np.empty((n, 3), np.int8)
    learned = {"references": np.ascontiguousarray(references.astype(np.int16).T)}
    distance.FEATURE.measure(batch, np.zeros(1, CLIENT_ROW), learned, values, stages)
    return values


def test_nearest_is_the_distance_to_the_nearest_reference() -> None:
    rng = np.random.default_rng(0)
    x, references = rng.integers(-8191, 8192, (50, DIMS)), rng.integers(-8191, 8192, (40, DIMS))
    apart = np.sqrt(((x[:, None] - references[None]) ** 2).sum(2).min(1))
    np.testing.assert_array_equal(measured(x, references)[:, 0], apart)


def test_the_farthest_possible_distance_does_not_overflow() -> None:
    far = measured(np.full((1, DIMS), 8191), np.full((1, DIMS), -8191))
    assert far[0, 0] == pytest.approx(4 * 16382)


def test_residual_is_what_the_projection_left_out() -> None:
    x = np.zeros((3, DIMS))
    assert measured(x, x, np.array([0.0, 1.5, 9.0]))[:, 1].tolist() == [0.0, 1.5, 9.0]


def test_few_points_are_all_references_and_many_are_summed_up() -> None:
    rng = np.random.default_rng(1)
    few = rng.integers(-100, 100, (30, DIMS)).astype(np.int16)
    learned = distance.learn(Reference(np.concatenate([few, few]), np.zeros(60, np.int32), 0))
    assert {tuple(p) for p in learned["references"].T} == {tuple(p) for p in few}
    many = rng.integers(-4000, 4000, (600, DIMS)).astype(np.int16)
    learned = distance.learn(Reference(many, np.zeros(600, np.int32), 0))
    assert learned["references"].shape[0] == DIMS
    assert 0.9 * distance.REFERENCES < learned["references"].shape[1] <= distance.REFERENCES
    again = distance.learn(Reference(many, np.zeros(600, np.int32), 0))
    assert learned["references"].tobytes() == again["references"].tobytes()


def test_noise_lies_farther_than_fresh_natural_queries() -> None:
    rng = np.random.default_rng(2)
    centres = rng.normal(0, 3000, (20, DIMS))
    natural = (centres[rng.integers(20, size=600)] + rng.normal(0, 200, (600, DIMS))).clip(-8191, 8191)
    references = natural[:400]
    noise = rng.uniform(-8191, 8192, (200, DIMS))
    honest = measured(natural[400:], references)[:, 0]
    assert measured(noise, references)[:, 0].min() > np.quantile(honest, 0.99)
    assert np.quantile(honest, 0.5) < 1.5 * 200 * np.sqrt(DIMS)
