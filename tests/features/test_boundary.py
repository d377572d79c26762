"""Closeness to the decision boundary, from the answer's own probabilities."""

from __future__ import annotations

import numpy as np
import pytest

from detector.query import ABSENT
from features import boundary
from tests.asked import asked
from tests.layouts import CLIENT_ROW


def margins(top: list[list[float]]) -> list[float]:
    n = len(top)
    batch = asked(n, top=top)
    values, stages = np.empty((n, 1)), np.empty((n, 1), np.int8)
    boundary.FEATURE.measure(batch, np.zeros(1, CLIENT_ROW), {}, values, stages)
    found: list[float] = values[:, 0].tolist()
    return found


def test_one_on_the_boundary_and_nothing_when_sure() -> None:
    assert margins([[0.5, 0.5], [1.0, 0.0], [0.8, 0.2]]) == [1.0, 0.0, pytest.approx(0.25)]


def test_absent_without_probabilities_and_where_none_is_above_zero() -> None:
    assert np.isnan(margins([[ABSENT, ABSENT], [0.0, 0.0], [0.0, -0.001]])).all()


def test_a_line_search_stays_closer_to_the_boundary_than_natural_queries() -> None:
    rng = np.random.default_rng(0)
    natural = margins([[p, 1 - p] for p in 1 / (1 + np.exp(-np.abs(rng.normal(0, 4, 500))))])
    searched = margins([[p, 1 - p] for p in 1 / (1 + np.exp(-np.abs(rng.normal(0, 0.05, 500))))])
    assert np.quantile(searched, 0.1) > np.quantile(natural, 0.9)
