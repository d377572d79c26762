"""The promise: what a threshold lets pass, what the data cannot carry, and no ratchet when the odd are left out."""

from __future__ import annotations

from math import comb

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import beta, kstest

from detector.errors import PromiseRefused
from detector.evidence import polya
from detector.profile import calibration
from detector.profile.calibration import Scale, entities_needed, rank_of, smallest_share, standard, threshold
from detector.tape import FLOOR, TOP_LEVEL, score_of

shares = st.sampled_from((0.002, 0.01, 0.05, 0.2, 1 / 3))
confidences = st.none() | st.sampled_from((0.5, 0.9, 0.99))
suprema = st.lists(st.integers(0, TOP_LEVEL - 1), min_size=1, max_size=150).map(lambda found: np.array(sorted(found)))


def slow_rank(share: float, m: int, excluded: int, confidence: float | None) -> int | None:
    """The first rank that keeps the promise, by its definition."""
    total = m + excluded
    for k in range(1, m + 1):
        if confidence is None:
            kept = (total + 1 - k) / (total + 1) <= share + 1e-12
        else:  # P(Beta(total + 1 - k, k) <= share) = P(Binomial(total, share) > total - k)
            few = sum(comb(total, i) * share**i * (1 - share) ** (total - i) for i in range(total - k + 1))
            kept = 1 - few >= confidence
        if kept:
            return k
    return None


@given(share=shares, m=st.integers(1, 250), excluded=st.integers(0, 5), confidence=confidences)
def test_the_rank_is_the_first_that_keeps_the_promise(
    share: float, m: int, excluded: int, confidence: float | None
) -> None:
    assert rank_of(share, m, excluded, confidence) == slow_rank(share, m, excluded, confidence)


@given(share=shares, excluded=st.integers(0, 6), confidence=confidences)
def test_the_entities_needed_are_just_enough(share: float, excluded: int, confidence: float | None) -> None:
    need = entities_needed(share, confidence, excluded)
    assert rank_of(share, need, excluded, confidence) == need
    assert rank_of(share, need - 1, excluded, confidence) is None


@given(m=st.integers(1, 400), excluded=st.integers(0, 6), confidence=confidences)
def test_the_smallest_share_is_just_carried(m: int, excluded: int, confidence: float | None) -> None:
    least = smallest_share(m, excluded, confidence)
    assert rank_of(least + 1e-6, m, excluded, confidence) is not None
    assert rank_of(least - 1e-6, m, excluded, confidence) is None


@pytest.mark.parametrize(
    ("share", "confidence", "need"),
    [(0.01, None, 99), (0.01, 0.9, 230), (0.002, 0.9, 1_151), (0.002, None, 499), (0.05, None, 19)],
)
def test_a_promise_is_refused_below_what_it_takes_and_the_message_says_how_many(
    share: float, confidence: float | None, need: int
) -> None:
    assert threshold(np.arange(need), share, confidence=confidence).rank == need
    with pytest.raises(PromiseRefused, match=rf"{need - 1} calibration clients cannot promise .* takes {need};"):
        threshold(np.arange(need - 1), share, confidence=confidence)


def test_the_message_counts_those_that_were_taken_out() -> None:
    with pytest.raises(PromiseRefused, match=r"150 calibration clients \(1 taken out\) .* that takes 198;"):
        threshold(np.arange(150), 0.01, excluded=1)
    assert threshold(np.arange(198), 0.01, excluded=1).rank == 198


# -- what passes


@pytest.mark.parametrize(("m", "share", "confidence"), [(99, 0.01, None), (300, 0.05, None), (230, 0.01, 0.9)])
def test_the_share_that_passes_follows_the_beta_law(m: int, share: float, confidence: float | None) -> None:
    """Suprema and fresh entities drawn alike, uniform over the grid; what passes is known exactly."""
    rng = np.random.default_rng(m)
    levels = np.arange(16, TOP_LEVEL - 1)
    scores = np.array([score_of(int(level)) for level in levels])
    passed = []
    for _ in range(800):
        found = threshold(np.sort(rng.choice(levels, m)), share, confidence=confidence)
        passed.append(np.mean(scores >= found.score))
    law = beta(m + 1 - found.rank, found.rank)
    assert kstest(passed, law.cdf).pvalue > 0.001
    assert np.mean((found.low <= np.array(passed)) & (np.array(passed) <= found.high)) == pytest.approx(0.9, abs=0.04)
    if confidence is None:
        assert np.mean(passed) <= share + 3 * np.std(passed) / np.sqrt(len(passed))
    else:
        assert np.mean(np.array(passed) <= share) >= confidence - 0.03


@given(suprema, shares)
def test_at_most_the_promised_number_of_calibration_entities_pass(found: np.ndarray, share: float) -> None:
    try:
        fired = threshold(found, share)
    except PromiseRefused:
        return
    passed = sum(score_of(int(level)) >= fired.score for level in found)
    assert passed <= len(found) - fired.rank
    assert fired.score >= FLOOR


# -- those that were left out


@given(found=suprema, share=shares, confidence=confidences, left_out=st.integers(0, 10))
def test_leaving_out_the_highest_never_lowers_the_threshold(
    found: np.ndarray, share: float, confidence: float | None, left_out: int
) -> None:
    if rank_of(share, len(found), 0, confidence) is None or left_out >= len(found):
        return
    before = threshold(found, share, confidence=confidence)
    rest = found[: len(found) - left_out]
    if rank_of(share, len(rest), left_out, confidence) is None:
        return  # refused: that is no lower threshold either
    assert threshold(rest, share, excluded=left_out, confidence=confidence).score == before.score


def flagged_after(rounds: int, *, count_them: bool) -> float:
    """The honest share that passes after rounds in each of which those who passed are left out of the next
    calibration; counted as never passed, or forgotten.
    """
    rng = np.random.default_rng(1)
    share, m = 0.01, 1_500
    population = np.sort(rng.exponential(40.0, 200_000).astype(np.int64) + 16)
    kept = np.sort(rng.choice(population, m))
    fired = threshold(kept, share)
    for _ in range(rounds):
        kept = kept[[score_of(int(level)) < fired.score for level in kept]]
        fired = threshold(kept, share, excluded=m - len(kept) if count_them else 0)
    return float(np.mean([score_of(int(level)) >= fired.score for level in population[::50]]))


def test_ten_rounds_of_leaving_out_keep_the_promise_only_when_they_are_counted() -> None:
    assert flagged_after(10, count_them=True) <= beta(1_501 - 1_486, 1_486).ppf(0.999)
    assert flagged_after(10, count_them=False) > 0.05


# -- one scale


def score(nats: float, scale: Scale) -> float:
    return float(polya.standard(nats, *scale))


def pareto(rng: np.random.Generator, shape: float, size: int) -> np.ndarray:
    """Median far below, and a generalised Pareto tail of this shape and scale 2 beyond the 90th percentile."""
    body = rng.uniform(0, 3, size)
    tail = 3 + 2 / shape * (rng.uniform(size=size) ** -shape - 1)
    return np.where(rng.random(size) < 0.1, tail, body)


def scored(shape: float) -> dict[float, float]:
    """Of tails of this shape, as 200 scale sets of 300 find them: rarity (0 at the median, 1/2 at the 90th percentile,
    1 at the 99th, 3/2 at the 99.9th) -> the median score of so rare a supremum.
    """
    rng = np.random.default_rng(1)
    scales = [standard(pareto(rng, shape, 300)) for _ in range(200)]
    truth = {0.0: 1.667, 0.5: 3.0} | {
        0.5 + 0.5 * tens: 3 + 2 / shape * (0.1**-tens) ** shape - 2 / shape for tens in (1, 2)
    }
    return {rarity: float(np.median([score(nats, scale) for scale in scales])) for rarity, nats in truth.items()}


@pytest.mark.parametrize("shape", [0.3, 0.4])  # about what is believed beforehand
def test_the_score_of_a_supremum_is_its_rarity_whatever_the_tail(shape: float) -> None:
    for rarity, found in scored(shape).items():
        assert found == pytest.approx(rarity, abs=0.15)


@pytest.mark.parametrize("shape", [0.05, 0.1, 0.2])
def test_a_light_tail_is_taken_for_a_usual_one(shape: float) -> None:
    """So rare evidence counts for somewhat less than its rarity, and for no more."""
    for rarity, found in scored(shape).items():
        assert rarity - 0.35 <= found <= rarity + 0.1


def test_clients_whom_the_scale_set_did_not_see_do_not_tower_over_all() -> None:
    """A channel of which by chance no odd client set the scale: theirs would otherwise be the threshold."""
    usual = np.random.default_rng(5).uniform(0, 3, 200)
    assert score(16.0, standard(usual)) < 2.5


def test_few_suprema_borrow_the_shape_of_the_tail() -> None:
    assert standard(np.arange(20.0)).shape == calibration.SHAPE


def test_one_heavy_tail_does_not_set_the_threshold_of_all() -> None:
    """What one client in a hundred shows is 1 in every channel, however far out it lies."""
    rng = np.random.default_rng(3)
    light, heavy = pareto(rng, 0.05, 2_000), pareto(rng, 0.9, 2_000)
    for found in (light, heavy):
        assert score(float(np.quantile(found, 0.99)), standard(found)) == pytest.approx(1.0, abs=0.25)


@pytest.mark.parametrize("found", [[], [2.0], [2.0] * 50])
def test_what_does_not_vary_still_has_a_scale(found: list[float]) -> None:
    scale = standard(np.array(found))
    assert scale.centre == (found[0] if found else 0.0)
    assert scale.centre < scale.knee
    assert scale.spread > 0
