"""From raw inputs to sixteen integers: the same bits whatever else is in the batch, and never beyond their range."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from detector.errors import ProfileError
from detector.profile import projection
from detector.profile.projection import FILL, LIMIT, Projection
from features.contract import DIMS


def sampled(n: int = 400, d: int = 40, seed: int = 0) -> np.ndarray:
    """A few directions carry most of it."""
    rng = np.random.default_rng(seed)
    return rng.normal(0, 1, (n, 6)) @ rng.normal(0, 1, (6, d)) + rng.normal(0, 0.1, (n, d))


INPUTS = sampled()
LEARNED = projection.learn(INPUTS, 0)
numbers = st.floats(allow_nan=False, allow_infinity=False)


@given(st.lists(st.integers(1, 60), min_size=1, max_size=10))
def test_the_size_of_the_batch_changes_no_bit(sizes: list[int]) -> None:
    x, residual, _ = LEARNED.apply(INPUTS)
    cut = np.cumsum(sizes).clip(max=len(INPUTS))
    pieces = [LEARNED.apply(part) for part in np.split(INPUTS, cut) if len(part)]
    assert np.concatenate([p[0] for p in pieces]).tobytes() == x.tobytes()
    assert np.concatenate([p[1] for p in pieces]).tobytes() == residual.tobytes()


def images(n: int, height: int, width: int, channels: int = 1) -> np.ndarray:
    """Smooth random images, flattened as logs hold them: channel last."""
    rng = np.random.default_rng(height)
    coarse = rng.normal(size=(n, height + 4, width + 4, channels))
    smooth = sum(coarse[:, i : i + height, j : j + width] for i in range(5) for j in range(5))
    return np.asarray(smooth).reshape(n, -1)


@pytest.mark.parametrize(("shape", "lags"), [((14, 14, 1), [1, 14]), ((8, 20, 1), [1, 20]), ((12, 12, 3), [3, 36])])
def test_images_are_known_by_their_smoothness(shape: tuple[int, int, int], lags: list[int]) -> None:
    assert projection.image_lags(images(300, *shape)).tolist() == lags


def test_what_is_no_image_has_no_roughness() -> None:
    rng = np.random.default_rng(0)
    for table in (rng.normal(size=(300, 60)), rng.normal(size=(300, 7)), rng.normal(size=(300, 40)) * np.arange(40)):
        assert not projection.image_lags(table).any()
        assert np.isnan(projection.learn(table, 0).apply(table).roughness).all()


def test_white_noise_has_a_roughness_of_1_and_a_child_is_rougher_than_its_parent() -> None:
    rng = np.random.default_rng(1)
    natural = images(300, 14, 14)
    learned = projection.learn(natural, 0)
    parents = learned.apply(natural).roughness
    children = learned.apply(natural + rng.choice((-1.0, 1.0), natural.shape)).roughness
    assert learned.apply(rng.normal(size=(200, 196))).roughness.mean() == pytest.approx(1.0, abs=0.05)
    assert (children > parents).all()
    assert learned.apply(np.full((1, 196), 7.0)).roughness[0] == 0


def test_it_is_the_linear_map_that_it_says_it_is() -> None:
    x, residual, _ = LEARNED.apply(INPUTS)
    centred = (INPUTS - LEARNED.mean) / LEARNED.scale
    exact = LEARNED.unit * centred @ LEARNED.directions.T
    np.testing.assert_allclose(x, exact.clip(-LIMIT, LIMIT), atol=0.5 + 1e-6)
    left = np.linalg.norm(centred - centred @ LEARNED.directions.T @ LEARNED.directions, axis=1)
    np.testing.assert_allclose(residual, LEARNED.unit * left, rtol=1e-3)
    assert np.quantile(np.abs(exact), 0.999, axis=0).max() == pytest.approx(FILL)
    np.testing.assert_allclose(LEARNED.directions @ LEARNED.directions.T, np.eye(DIMS), atol=1e-9)


@given(st.lists(numbers, min_size=40, max_size=40), st.sampled_from((1.0, 1e3, 1e150, 1e300)))
def test_any_finite_input_saturates_and_never_wraps(row: list[float], times: float) -> None:
    inputs = np.array([row]).clip(-1e7, 1e7) * times
    x, residual, _ = LEARNED.apply(inputs)
    assert (np.abs(x.astype(int)) <= LIMIT).all()
    assert residual[0] >= 0  # infinite it may be, not a number it may not: absent would be no evidence


def test_the_farther_the_larger() -> None:
    base = INPUTS[:1] - LEARNED.mean
    reach = [LEARNED.apply(LEARNED.mean + base * times) for times in (1.0, 10.0, 1e6, 1e200, 1e306)]
    residuals = [float(residual[0]) for _, residual, _ in reach]
    assert residuals == sorted(residuals)
    assert (reach[3][0] == reach[4][0]).all()


# -- what is learned


def test_columns_of_like_ranges_share_one_unit() -> None:
    """Pixels: a quiet corner is not blown up to the size of the middle."""
    inputs = sampled() * np.linspace(0.2, 1.0, 40)
    assert (projection.learn(inputs, 0).scale == 1.0).all()


def test_columns_of_unlike_ranges_have_their_own() -> None:
    """Amounts beside shares: the larger number does not drown the smaller."""
    inputs = sampled()
    inputs[:, 7] *= 10_000.0
    learned = projection.learn(inputs, 0)
    assert learned.scale[7] == pytest.approx(inputs[:, 7].std())
    spread = inputs / learned.scale
    np.testing.assert_allclose(spread.std(0), 1.0)


@pytest.mark.parametrize("d", [1, 3, 15, 16])
def test_few_columns_fill_few_directions_and_leave_no_residual(d: int) -> None:
    inputs = np.random.default_rng(1).normal(0, 1, (300, d))
    learned = projection.learn(inputs, 0)
    x, residual, _ = learned.apply(inputs)
    assert not x[:, d:].any()
    assert not learned.directions[d:].any()
    assert residual.max() <= 1e-3 * np.abs(x.astype(float)).max()


def test_few_rows_are_enough() -> None:
    x = projection.learn(sampled(n=5), 0).apply(INPUTS).x
    assert not x[:, 5:].any()


@pytest.mark.parametrize("value", [0.0, 0.1, 1 / 3, 1e9])
@pytest.mark.parametrize("n", [1, 3, 1_000])
def test_inputs_that_are_all_the_same_are_refused(value: float, n: int) -> None:
    """0.1 a thousand times has a mean that is not 0.1."""
    with pytest.raises(ProfileError, match="nothing to learn from"):
        projection.learn(np.full((n, 7), value), 0)


@pytest.mark.parametrize("value", [0.0, 0.1, 1 / 3])
@pytest.mark.parametrize("times", [1.0, 10_000.0])
def test_a_constant_column_counts_for_nothing_until_it_varies(value: float, times: float) -> None:
    inputs = sampled(n=1_000)
    inputs[:, 3] = value
    inputs[:, 7] *= times
    learned = projection.learn(inputs, 0)
    assert np.isfinite(learned.unit)
    assert learned.mean[3] == value
    apart = inputs[:1].copy()
    apart[:, 3] += 10.0 * learned.scale[3]
    before, after = learned.apply(inputs[:1]).residual, learned.apply(apart).residual
    assert after > before


def test_the_same_inputs_and_seed_give_the_same_projection() -> None:
    again = projection.learn(INPUTS.copy(), 0)
    assert all(np.asarray(a).tobytes() == np.asarray(b).tobytes() for a, b in zip(LEARNED, again, strict=True))
    assert isinstance(again, Projection)
