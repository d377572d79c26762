"""Made queries: the same from the same seed, each kind what its name says; imagined answers resemble real ones."""

from __future__ import annotations

import numpy as np

from detector.learned import made
from detector.learned.imagined import Imagined
from tests import people

RNG = np.random.default_rng(5)
OWNER = np.repeat(np.arange(30), 20)
INPUTS = people.natural(RNG, np.full(people.KINDS, 1 / people.KINDS), np.zeros(6), 0.02, len(OWNER)) + OWNER[:, None]


def kinds(seed: int = 7) -> dict[str, np.ndarray]:
    return dict(made.of_honest(INPUTS, OWNER, 200, seed))


def test_the_same_seed_makes_the_same_queries() -> None:
    for (name, one), (other_name, other) in zip(kinds().items(), kinds().items(), strict=True):
        assert name == other_name
        assert one.shape == (200, people.WIDTH)
        assert one.tobytes() == other.tobytes()
    assert kinds(8)[made.BLEND].tobytes() != kinds()[made.BLEND].tobytes()


def test_a_blend_lies_between_two_inputs_of_one_client() -> None:
    """Clients lie one unit apart in every column here, much farther than their inputs are wide."""
    for blend in kinds()[made.BLEND]:
        own = INPUTS[round(blend.mean()) == OWNER]
        assert (blend >= own.min(0)).all()
        assert (blend <= own.max(0)).all()


def test_made_queries_stay_in_the_range_of_honest_columns_where_their_kind_says_so() -> None:
    for name in ("children", "columns"):
        assert (kinds()[name] >= INPUTS.min(0)).all()
        assert (kinds()[name] <= INPUTS.max(0)).all()


def test_the_copy_is_sure_where_the_model_is() -> None:
    inputs = people.training(4_000)
    copy = Imagined(inputs[:3_000], people.answers(inputs[:3_000]), 0)
    real = np.sort(people.answers(inputs[3_000:]), axis=1)[:, ::-1]
    imagined = copy.top(inputs[3_000:])
    assert imagined.shape == (1_000, 2)
    assert np.corrcoef(real[:, 1] / real[:, 0], imagined[:, 1] / imagined[:, 0])[0, 1] > 0.7
