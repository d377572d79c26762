"""L is a likelihood: normalised, a function of counts alone, and what it says of one hand is symmetric."""

from __future__ import annotations

from itertools import product

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from detector.entities import BINS
from detector.evidence.law import GRAIN
from detector.rings.likelihood import gains, likelihoods
from tests.rings.accounts import Counts, drawn, ring_law


def test_the_likelihoods_of_all_sequences_of_three_sum_to_one() -> None:
    law = ring_law()
    sequences = np.zeros((BINS**3, len(law.active), BINS), np.int64)
    for place, bins in enumerate(product(range(BINS), repeat=3)):
        np.add.at(sequences[place, 0], list(bins), 1)
    assert np.exp(likelihoods(sequences, law)).sum() == pytest.approx(1.0, abs=1e-3)


@given(st.lists(drawn(), min_size=2, max_size=6), st.randoms(use_true_random=False))
def test_sums_over_members_do_not_depend_on_their_order(counts: list[Counts], chance: object) -> None:
    law = ring_law()
    each = likelihoods(np.stack(counts), law)
    assert np.array_equal(np.rint(each / GRAIN) * GRAIN, each)
    assert sum(each.tolist()) == sum(reversed(each.tolist()))


@given(drawn(), drawn())
def test_what_two_gain_as_one_hand_is_the_same_both_ways(one: Counts, other: Counts) -> None:
    law = ring_law()
    of_one, of_other = likelihoods(np.stack([one, other]), law)
    forth = gains(one, of_one, other[None], np.array([of_other]), law)
    back = gains(other, of_other, one[None], np.array([of_one]), law)
    assert forth == pytest.approx(back, abs=1e-9)


def test_two_who_share_a_rare_habit_gain_and_two_with_opposite_ones_lose() -> None:
    law = ring_law()
    counts = np.zeros((2, len(law.active), BINS), np.int64)
    counts[0, :, 1] = counts[1, :, BINS - 2] = 20
    own = likelihoods(counts, law)
    alike, opposite = gains(counts[0], own[0], counts, own, law)
    assert alike > 0 > opposite
