"""Made sweeps of numbers: the same from the same seed, each kind what its name says."""

from __future__ import annotations

import numpy as np
import pytest

from detector.learned import number_sweeps
from detector.learned.number_sweeps import LENGTH, Asked, of_numbers
from detector.learned.sweeps import SHARES, Places
from tests import people

RNG = np.random.default_rng(6)
OWNER = np.repeat(np.arange(20), 40)
INPUTS = people.natural(RNG, np.full(people.KINDS, 1 / people.KINDS), np.zeros(6), 0.02, len(OWNER))
TOP = np.sort(RNG.dirichlet([1.0, 1.0, 1.0], len(OWNER)), axis=1)[:, :-3:-1].copy()
NATURAL = Asked(INPUTS, (INPUTS[:, 0] > np.median(INPUTS[:, 0])).astype(np.int32), TOP)


def answers(inputs: np.ndarray, of: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The label says on which side of the natural median the first column lies."""
    return (inputs[:, 0] > np.median(INPUTS[:, 0])).astype(np.int32), np.tile([0.9, 0.1], (len(inputs), 1))


def made(seed: int = 1) -> tuple[Places, Asked]:
    return of_numbers(NATURAL, OWNER, answers, 4, seed)


@pytest.fixture(scope="module")
def found() -> tuple[Places, Asked]:
    return made()


def of_kind(found: tuple[Places, Asked], kind: str) -> list[np.ndarray]:
    places, _ = found
    told = zip(places.kinds, places.shares, places.places, strict=True)
    return [rows for name, share, rows in told if (name, share) == (kind, 1.0)]


def test_the_same_seed_makes_the_same_sweeps(found: tuple[Places, Asked]) -> None:
    again, other = made(), made(2)
    assert all((a == b).all() for a, b in zip(found[0].places, again[0].places, strict=True))
    assert found[1].inputs.tobytes() == again[1].inputs.tobytes()
    assert found[1].inputs.tobytes() != other[1].inputs.tobytes()


def test_every_kind_is_made_whole_and_hidden(found: tuple[Places, Asked]) -> None:
    places, asked = found
    kinds = {"unsure", "blends", "children", "walks"}
    assert set(zip(places.kinds, places.shares, strict=True)) == {(k, s) for k in kinds for s in (1.0, *SHARES)}
    assert all(len(rows) == LENGTH and rows.max() < len(asked.inputs) for rows in places.places)
    assert len(asked.inputs) == len(asked.labels) == len(asked.top)
    assert asked.inputs[: len(INPUTS)].tobytes() == INPUTS.tobytes()


def test_the_unsure_are_natural_and_less_sure_than_most(found: tuple[Places, Asked]) -> None:
    margin = TOP[:, 1] / TOP[:, 0]
    for rows in of_kind(found, "unsure"):
        assert rows.max() < len(INPUTS)
        assert margin[rows].mean() >= margin.mean() - 1e-9  # at the worst all there are


def test_children_lie_by_natural_inputs_of_the_sweep(found: tuple[Places, Asked]) -> None:
    for rows in of_kind(found, "children"):
        seeds, children = rows[rows < len(INPUTS)], rows[rows >= len(INPUTS)]
        low, high = number_sweeps.SEEDS
        assert low * LENGTH - 1 <= len(seeds) <= high * LENGTH
        apart = np.linalg.norm(found[1].inputs[children][:, None] - INPUTS[seeds][None], axis=2).min(1)
        usual = np.linalg.norm(INPUTS[seeds][1:] - INPUTS[seeds][:-1], axis=1)
        assert np.median(apart) < np.median(usual)


def test_blends_and_walks_lie_between_natural_inputs(found: tuple[Places, Asked]) -> None:
    for kind in ("blends", "walks"):
        inputs = found[1].inputs[np.concatenate(of_kind(found, kind))]
        assert (inputs >= INPUTS.min(0) - 1e-9).all()
        assert (inputs <= INPUTS.max(0) + 1e-9).all()


def test_without_probabilities_sweeps_are_made_all_the_same() -> None:
    blind = NATURAL._replace(top=np.full((len(INPUTS), 2), np.nan))
    places, asked = of_numbers(blind, OWNER, lambda inputs, of: (blind.labels[of], np.full((len(of), 2), np.nan)), 1, 1)
    assert len(places.kinds) == 4
    assert np.isnan(asked.top).all()
