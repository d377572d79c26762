"""What honest clients do: bins among their quantiles, and a law that finds again what clients were drawn from."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from detector.entities import BINS
from detector.profile import nulls
from detector.profile.nulls import Honest
from features.contract import STAGES
from tests.evidence.laws import HONEST, counts_of, polya_bins


def drawn(alpha: np.ndarray, clients: int, queries: int, seed: int) -> np.ndarray:
    rng = np.random.default_rng(seed)
    return np.array([counts_of(own) for own in polya_bins(rng, alpha, clients, queries)])


def spread_of(found: Honest) -> float:
    """alpha_0 of the Pólya law whose clients differ as much as the mixture's do."""
    total = found.alpha.sum(1)
    mean = found.alpha / total[:, None]
    within = (mean * (1 - mean)).sum(1) / (total + 1)
    overall = found.weight @ mean
    between = (found.weight[:, None] * (mean - overall) ** 2).sum()
    return float((overall * (1 - overall)).sum() / (found.weight @ within + between) - 1)


def log_likelihood(counts: np.ndarray, weight: np.ndarray, alpha: np.ndarray) -> float:
    parts = [np.log(w) + nulls.log_likelihood(counts, a) for w, a in zip(weight, alpha, strict=True)]
    return float(np.logaddexp.reduce(parts).mean())


@pytest.mark.parametrize("clients", [60, 300])
@pytest.mark.parametrize("concentration", [5.0, 40.0, 200.0])
def test_a_known_law_is_found_again(clients: int, concentration: float) -> None:
    alpha = HONEST * concentration / HONEST.sum()
    found = nulls.fit_honest(drawn(alpha, clients, 150, seed=int(concentration)))
    error = 4 / np.sqrt(clients * min(concentration, 150.0))
    np.testing.assert_allclose(found.shares, alpha / alpha.sum(), atol=error)
    assert concentration / 2 <= spread_of(found) <= 2 * concentration


def test_two_kinds_of_clients_are_told_apart() -> None:
    """Fresh clients are as likely under the fitted law as under the true one, and less so under a single Pólya."""
    kinds = [100.0 * HONEST / HONEST.sum(), 100.0 * np.roll(HONEST, 5) / HONEST.sum()]
    train = np.concatenate([drawn(a, 200, 100, seed=i) for i, a in enumerate(kinds)])
    fresh = np.concatenate([drawn(a, 200, 100, seed=9 + i) for i, a in enumerate(kinds)])
    found = nulls.fit_honest(train)
    truth = log_likelihood(fresh, np.full(2, 0.5), np.array(kinds))
    fitted = log_likelihood(fresh, found.weight, found.alpha)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(nulls, "CLIENTS_A_KIND", 10_000)
        single = nulls.fit_honest(train)
    assert fitted > truth - 1.5
    assert fitted > log_likelihood(fresh, single.weight, single.alpha) + 3.0


@settings(max_examples=15)
@given(st.lists(st.lists(st.integers(0, 30), min_size=BINS, max_size=BINS).filter(any), min_size=2, max_size=12))
def test_no_bin_is_ever_impossible(counts: list[list[int]]) -> None:
    counts[0][5:] = [0] * (BINS - 5)
    counts[0][0] += 1
    found = nulls.fit_honest(np.array(counts))
    assert (found.alpha > 0).all()
    assert (found.shares > 0).all()
    assert (found.weight > 0).all()
    assert found.shares.sum() == pytest.approx(1.0)
    assert found.weight.sum() == pytest.approx(1.0)
    assert np.isfinite(found.alpha).all()


def test_bins_where_nobody_went_have_half_a_clients_worth() -> None:
    counts = np.zeros((50, BINS), np.int64)
    counts[:, 7:9] = 100
    found = nulls.fit_honest(counts)
    assert (found.alpha >= 0.5 / 50).all()


def test_a_client_without_queries_says_nothing() -> None:
    counts = drawn(HONEST, 60, 80, seed=3)
    empty = np.zeros((20, BINS), np.int64)
    found, again = nulls.fit_honest(counts), nulls.fit_honest(np.concatenate([counts, empty]))
    assert found.alpha.tobytes() == again.alpha.tobytes()


def test_a_loud_client_counts_with_a_thousand_queries() -> None:
    counts = drawn(HONEST, 60, 80, seed=4)
    loud, louder = counts.copy(), counts.copy()
    loud[0] = np.eye(BINS, dtype=np.int64)[3] * 1_000
    louder[0] = np.eye(BINS, dtype=np.int64)[3] * 1_000_000
    np.testing.assert_allclose(nulls.fit_honest(loud).alpha, nulls.fit_honest(louder).alpha)


# -- edges


def test_edges_are_the_honest_quantiles_and_lie_beyond_the_extremes() -> None:
    values = np.random.default_rng(0).normal(0, 1, 40_000)
    owners = np.arange(40_000) % 400
    edges = nulls.edges(values, np.zeros(40_000, np.int8), owners)
    np.testing.assert_allclose(edges[0, 1:-1], np.quantile(values, nulls.CUTS), atol=0.02)
    assert edges[0, 0] < values.min()
    assert edges[0, -1] > values.max()
    assert (np.diff(edges, axis=1) >= 0).all()


def test_below_the_nearest_that_anybody_came_lies_what_is_nearer_by_a_factor() -> None:
    """A distance cannot fall below zero, so a bin that ended there would stay empty for ever."""
    values = np.random.default_rng(4).lognormal(7.0, 1.0, 4_000)
    edges = nulls.edges(values, np.zeros(4_000, np.int8), np.arange(4_000) % 40)
    assert 0.3 * values.min() < edges[0, 0] < values.min()


def test_each_client_weighs_alike() -> None:
    """One client with nine tenths of the queries does not move the median."""
    values = np.concatenate([np.full(9_000, 100.0), np.linspace(0, 1, 1_000)])
    owners = np.concatenate([np.zeros(9_000, int), 1 + np.arange(1_000) % 100])
    edges = nulls.edges(values, np.zeros(10_000, np.int8), owners)
    middle = edges[0, 1 + nulls.CUTS.tolist().index(0.5)]
    assert 0.4 < middle < 0.6


def test_a_stage_that_few_reached_borrows_the_nearest_fuller_ones() -> None:
    rng = np.random.default_rng(1)
    stages = np.array([0] * 200 + [2] * 200 + [8] * (nulls.FEW - 1), np.int8)
    values = rng.normal(0, 1, len(stages)) + stages
    edges = nulls.edges(values, stages, np.arange(len(stages)) % 50)
    assert edges.shape == (STAGES, BINS - 1)
    assert (edges[8] == edges[2]).all()
    assert (edges[2] != edges[0]).any()


def test_absent_values_are_left_out_and_no_values_give_no_bins() -> None:
    values = np.concatenate([np.linspace(0, 1, 100), np.full(100, np.nan)])
    stages, owners = np.zeros(200, np.int8), np.arange(200) % 10
    edges = nulls.edges(values, stages, owners)
    assert edges.tobytes() == nulls.edges(values[:100], stages[:100], owners[:100]).tobytes()
    assert np.isinf(nulls.edges(values[100:], stages[100:], owners[100:])).all()
