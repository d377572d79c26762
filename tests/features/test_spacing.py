"""Distance to one's own earlier queries: exact within the memory, and small for children of what was asked."""

from __future__ import annotations

import numpy as np
import pytest

from detector.profile.artefact import CLIENT_ROW
from detector.query import Batch
from features import spacing
from features.contract import STAGES, Rows


def batch_of(x: np.ndarray) -> Batch:
    n = len(x)
    return Batch(
        np.zeros(n, np.int64),
        np.arange(n),
        x.astype(np.int16),
        np.zeros(n),
        np.zeros(n, np.int32),
        np.full((n, 2), np.nan),
        np.zeros(n, np.uint64),
    )


def measured(x: np.ndarray, salt: int = 1) -> tuple[np.ndarray, np.ndarray, Rows]:
    rows = np.zeros(1, CLIENT_ROW)
    rows["salt"] = salt
    values, stages = np.empty((len(x), 1)), np.empty((len(x), 1), np.int8)
    spacing.FEATURE.measure(batch_of(x), rows, {}, values, stages)
    return values[:, 0], stages[:, 0], rows


def coarse(x: np.ndarray) -> np.ndarray:
    steps = np.floor_divide(x[:, : spacing.KEPT] + spacing.COARSE // 2, spacing.COARSE)
    return steps.clip(-127, 127).astype(np.int64)


def test_the_first_query_has_no_earlier_one() -> None:
    values, stages, _ = measured(np.zeros((1, 16)))
    assert np.isnan(values[0])
    assert stages[0] == 0


def test_nearest_is_exact_while_all_are_remembered() -> None:
    x = np.random.default_rng(0).integers(-8191, 8192, (spacing.MEMORY + 1, 16))
    points = coarse(x)
    expected = [spacing.COARSE * np.sqrt(((points[:i] - points[i]) ** 2).sum(1).min()) for i in range(1, len(x))]
    np.testing.assert_array_equal(measured(x)[0][1:], expected)


def test_the_last_ones_are_always_remembered() -> None:
    """Whoever varies one of his last queries is seen, however much he asked before."""
    rng = np.random.default_rng(1)
    x = rng.integers(-8191, 8192, (2_000, 16))
    for i in range(1_500, 2_000):
        x[i] = x[i - rng.integers(1, spacing.RECENT + 1)]
    assert not measured(x)[0][1_500:].any()


def test_the_sample_of_older_ones_is_uniform() -> None:
    """Numbered queries: which of 1,000 older ones are kept, over many entities."""
    n = 1_000 + spacing.RECENT
    x = np.zeros((n, 16), np.int64)
    x[:, 0], x[:, 1] = np.arange(n) // 100 * spacing.COARSE, np.arange(n) % 100 * spacing.COARSE
    kept = []
    for salt in range(200):
        memory = measured(x, salt)[2]["spacing_x"][0]
        kept.append(memory[0, spacing.RECENT :].astype(int) * 100 + memory[1, spacing.RECENT :])
        recent = memory[0, : spacing.RECENT].astype(int) * 100 + memory[1, : spacing.RECENT]
        assert sorted(recent) == list(range(1_000, n))
    numbers = np.concatenate(kept)
    assert numbers.max() < 1_000
    share = np.histogram(numbers, 10, (0, 1_000))[0] / len(numbers)
    # 44,800 draws; the standard error of a tenth is 0.13%
    np.testing.assert_allclose(share, 0.1, atol=0.006)


def test_entities_keep_samples_of_their_own() -> None:
    x = np.random.default_rng(2).integers(-8191, 8192, (600, 16))
    assert measured(x, 1)[2]["spacing_x"].tobytes() != measured(x, 2)[2]["spacing_x"].tobytes()


@pytest.mark.parametrize(("seen", "stage"), [(0, 0), (1, 0), (2, 1), (3, 1), (4, 2), (127, 6), (128, 7), (255, 7)])
def test_stages_double(seen: int, stage: int) -> None:
    assert spacing.stage_of(seen) == stage
    assert spacing.stage_of(spacing.MEMORY + seen) == STAGES - 1


def test_children_lie_nearer_than_fresh_natural_queries_do() -> None:
    rng = np.random.default_rng(3)
    natural = rng.normal(0, 1_500, (500, 16)).clip(-8191, 8191)
    children = natural[rng.integers(100, size=400)] + rng.normal(0, 60, (400, 16))
    attack = measured(np.concatenate([natural[:100], children]).astype(int))[0][100:]
    honest = measured(natural.astype(int))[0][100:]
    assert np.quantile(attack, 0.9) < np.quantile(honest, 0.01)
