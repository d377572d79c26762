"""Distance to one's own earlier queries: exact within the memory, and small for children of what was asked."""

from __future__ import annotations

import numpy as np
import pytest

from detector.query import NO_LABEL
from features import spacing
from features.contract import Rows, place_of, stage_of
from tests.asked import asked
from tests.layouts import CLIENT_ROW


def all_measured(x: np.ndarray, labels: np.ndarray | None = None, salt: int = 1) -> tuple[np.ndarray, np.ndarray, Rows]:
    """values (n, 4): nearest, class, other, step; stages (n, 4); the row."""
    rows = np.zeros(1, CLIENT_ROW)
    rows["salt"] = salt
    values, stages = np.empty((len(x), 4)), np.empty((len(x), 4), np.int8)
    batch = asked(len(x), x=x, labels=np.zeros(len(x)) if labels is None else labels)
    spacing.FEATURE.measure(batch, rows, {}, values, stages)
    return values, stages, rows


def measured(x: np.ndarray, salt: int = 1) -> tuple[np.ndarray, np.ndarray, Rows]:
    values, stages, rows = all_measured(x, salt=salt)
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
    # 35,200 draws; the standard error of a tenth is 0.16%
    np.testing.assert_allclose(share, 0.1, atol=0.007)


def test_entities_keep_samples_of_their_own() -> None:
    x = np.random.default_rng(2).integers(-8191, 8192, (600, 16))
    assert measured(x, 1)[2]["spacing_x"].tobytes() != measured(x, 2)[2]["spacing_x"].tobytes()


@pytest.mark.parametrize(
    ("seen", "stage"), [(0, 0), (1, 0), (2, 1), (3, 1), (4, 2), (127, 6), (128, 7), (255, 7), (256, 8), (99_999, 8)]
)
def test_stages_double(seen: int, stage: int) -> None:
    assert stage_of(seen) == stage


def test_children_lie_nearer_than_fresh_natural_queries_do() -> None:
    rng = np.random.default_rng(3)
    natural = rng.normal(0, 1_500, (500, 16)).clip(-8191, 8191)
    children = natural[rng.integers(100, size=400)] + rng.normal(0, 60, (400, 16))
    attack = measured(np.concatenate([natural[:100], children]).astype(int))[0][100:]
    honest = measured(natural.astype(int))[0][100:]
    assert np.quantile(attack, 0.9) < np.quantile(honest, 0.01)


def test_class_and_other_are_exact_within_the_memory() -> None:
    rng = np.random.default_rng(4)
    x, labels = rng.integers(-8191, 8192, (150, 16)), rng.integers(3, size=150)
    values, _, _ = all_measured(x, labels)
    points = coarse(x)
    for i in range(20, 150):
        squared = ((points[:i] - points[i]) ** 2).sum(1)
        same = labels[:i] == labels[i]
        assert values[i, 1] == spacing.COARSE * np.sqrt(squared[same].min())
        assert values[i, 2] == spacing.COARSE * np.sqrt(squared[~same].min())


def test_without_labels_there_is_no_class_and_no_other() -> None:
    x = np.random.default_rng(5).integers(-8191, 8192, (30, 16))
    values, _, _ = all_measured(x, np.full(30, NO_LABEL))
    assert np.isnan(values[:, 1:3]).all()
    assert not np.isnan(values[1:, [0, 3]]).any()


def test_a_query_without_a_label_is_no_other_answer() -> None:
    x = np.zeros((3, 16), np.int64)
    values, _, _ = all_measured(x, np.array([NO_LABEL, 1, 1]))
    assert np.isnan(values[1, 1:3]).all()
    assert values[2, 1] == 0
    assert np.isnan(values[2, 2])


def test_the_step_is_the_exact_distance_to_the_query_before() -> None:
    x = np.random.default_rng(6).integers(-8191, 8192, (40, 16))
    steps = np.sqrt((np.diff(x, axis=0).astype(float) ** 2).sum(1))
    np.testing.assert_allclose(all_measured(x)[0][1:, 3], steps, rtol=1e-12)


def test_a_line_search_comes_close_to_another_answer_with_every_halving() -> None:
    """Bisecting between two points of different labels; honest pairs stay apart."""
    a, b = np.full(16, -2_000), np.full(16, 2_000)
    x, labels = [a, b], [0, 1]
    while np.abs(a - b).max() > 64:
        middle = (a + b) // 2
        label = int(middle[0] > 300)
        x.append(middle)
        labels.append(label)
        a, b = (a, middle) if label else (middle, b)
    other = all_measured(np.array(x), np.array(labels))[0][2:, 2]
    assert other[-1] < other[0] / 8


@pytest.mark.parametrize(("code", "place"), [(NO_LABEL, -1), (0, 0), (9, 9), (15, 15)])
def test_small_labels_keep_their_own_place(code: int, place: int) -> None:
    assert place_of(np.int32(code)) == place


def test_large_labels_share_sixteen_places() -> None:
    assert {int(place_of(np.int32(code))) for code in [*range(1_000, 3_000), 2**31 - 1]} == set(range(16))
