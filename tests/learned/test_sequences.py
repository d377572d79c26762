"""The sequence model: what is taught is what the kernel says, and volume by itself says nothing."""

from __future__ import annotations

import numpy as np
import pytest

from detector.entities import BINS
from detector.evidence.law import GRAIN
from detector.learned import sequences

SHARES = np.full((3, BINS), 1.0 / BINS)
RNG = np.random.default_rng(8)


def queries(entities: int, each: int, tilt: float) -> tuple[np.ndarray, np.ndarray]:
    """Owners and bins of entities whose first signal leans to high bins; the second is absent, the third even."""
    owner = np.repeat(np.arange(entities), each)
    odds = np.exp(tilt * np.arange(BINS))
    bins = RNG.integers(BINS, size=(len(owner), 3)).astype(np.uint8)
    bins[:, 0] = RNG.choice(BINS, len(owner), p=odds / odds.sum())
    bins[:, 1] = 255
    return owner, bins


@pytest.fixture(scope="module")
def model() -> sequences.Taught:
    honest, made = (sequences.at_looks(*queries(60, 64, tilt)) for tilt in (0.0, 0.3))
    found = sequences.taught(honest, made, SHARES)
    assert found is not None
    return found


def test_counts_at_a_look_are_those_of_the_first_queries() -> None:
    owner, bins = queries(3, 20, 0.0)
    mixed = RNG.permutation(len(owner))
    mixed = mixed[np.argsort(mixed % 20, kind="stable")]  # clients take turns
    stood = sequences.at_looks(owner[mixed], bins[mixed])
    for n, who, counts in zip(stood.n, stood.owner, stood.counts, strict=True):
        first = bins[mixed][owner[mixed] == who][:n]
        assert counts[0].tolist() == np.bincount(first[:, 0], minlength=BINS).tolist()
        assert not counts[1].any()
    assert set(stood.n.tolist()) == {8, 12, 16}


def test_the_kernel_says_the_sum_over_what_the_model_sees(model: sequences.Taught) -> None:
    owner, bins = queries(2, 40, 0.1)
    said, ordinals = sequences.paths(owner, bins, model, SHARES)
    stood = sequences.at_looks(owner, bins)
    for n, who, counts in zip(stood.n, stood.owner, stood.counts, strict=True):
        expected = model.bias + float(sequences.ratios(counts[None], SHARES)[0] @ model.sequence.ravel())
        assert said[owner == who][n - 1] == pytest.approx(expected, abs=50 * GRAIN)  # each term to half a grain
    assert ordinals[owner == 1].tolist() == list(range(1, 41))


def test_what_is_absent_says_nothing(model: sequences.Taught) -> None:
    assert not model.sequence[1].any()
    none = np.full((30, 3), 255, np.uint8)
    said, _ = sequences.paths(np.zeros(30, np.int64), none, model, SHARES)
    assert said == pytest.approx(model.bias)


def test_it_tells_what_it_was_taught_and_volume_alone_does_not(model: sequences.Taught) -> None:
    last = [sequences.paths(*queries(40, 200, tilt), model, SHARES)[0].reshape(40, 200)[:, -1] for tilt in (0.0, 0.3)]
    assert last[1].min() > last[0].max()
    honest = sequences.paths(*queries(200, 128, 0.0), model, SHARES)[0].reshape(200, 128)
    assert abs(honest[:, 127].mean() - honest[:, 31].mean()) < honest[:, 31].std()


def test_too_few_teach_nothing() -> None:
    few = sequences.at_looks(*queries(sequences.FEWEST - 1, 20, 0.0))
    many = sequences.at_looks(*queries(30, 20, 0.3))
    assert sequences.taught(few, many, SHARES) is None
    assert sequences.taught(many, few, SHARES) is None
