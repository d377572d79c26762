"""Novelty, rarity and mass are those of the set of visited cells; sweeps and drills are seen."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from detector.profile.artefact import Profile
from features import cells, coverage
from features.cells import cells_of
from features.contract import DIMS, Reference, Rows, stage_of
from tests.asked import asked
from tests.features.oddness import cells_in, oddness, pool, share_odd, stream
from tests.layouts import CLIENT_ROW

Learned = dict[str, np.ndarray]


def measured(learned: Learned, x: np.ndarray, salt: int = 1) -> tuple[np.ndarray, np.ndarray, Rows]:
    rows = np.zeros(1, CLIENT_ROW)
    rows["salt"] = salt
    values, stages = np.empty((len(x), 3)), np.empty((len(x), 3), np.int8)
    coverage.FEATURE.measure(asked(len(x), x=x), rows, learned, values, stages)
    return values, stages, rows


@given(which=st.lists(st.integers(0, 63), min_size=1, max_size=80))
def test_all_three_are_those_of_the_set_of_visited_cells(learned: Learned, which: list[int]) -> None:
    """A query at the centre of a cell lies in it."""
    mass, x = learned["mass"], learned["cells"].T[which]
    values, stages, rows = measured(learned, x)
    visited: set[int] = set()
    for i, cell in enumerate(which):
        new = cell not in visited
        visited.add(cell)
        assert np.isnan(values[i, 0]) if i == 0 else int(values[i, 0]) == new
        assert values[i, 1] == pytest.approx(-np.log2(mass[cell]))
        assert values[i, 2] == pytest.approx(sum(mass[c] for c in visited), rel=1e-5)
        assert stages[i].tolist() == [stage_of(i), 0, stage_of(i)]
    assert rows["coverage_visited"][0] == sum(1 << c for c in visited)
    assert rows["coverage_seen"][0] == len(which)


def test_the_share_of_chance_is_even_and_the_entitys_own(learned: Learned) -> None:
    x = np.repeat(learned["cells"].T[:1], 2_000, axis=0)
    one, again, other = (measured(learned, x, salt)[0][1:, 0] for salt in (5, 5, 6))
    assert one.tobytes() == again.tobytes()
    assert (one != other).mean() > 0.99
    assert np.histogram(one, 10, (0, 1))[0].min() > 150


def test_mass_ends_at_all_there_is(learned: Learned) -> None:
    values, _, _ = measured(learned, np.tile(learned["cells"].T, (3, 1)))
    assert values[-1, 2] == pytest.approx(1.0, abs=1e-5)


def test_the_nearest_centre_is_exact_and_of_equals_the_first() -> None:
    rng = np.random.default_rng(0)
    x = rng.integers(-8191, 8192, (200, DIMS)).astype(np.int16)
    centres = np.ascontiguousarray(rng.integers(-8191, 8192, (DIMS, 64)).astype(np.int16))
    apart = ((x[:, :, None].astype(np.int64) - centres[None]) ** 2).sum(1)
    assert cells_of(x, centres).tolist() == apart.argmin(1).tolist()
    assert cells_of(x[:1], np.repeat(x[:1].T, 3, axis=1)).tolist() == [0]


def test_shares_of_the_training_data_are_never_nothing() -> None:
    rng = np.random.default_rng(1)
    few = np.repeat(rng.integers(-100, 100, (5, DIMS)), [1, 1, 2, 4, 92], axis=0).astype(np.int16)
    learned = cells.learn(Reference(few, np.zeros(100, np.int32), 0))
    assert learned["cells"].shape == (DIMS, 5)
    assert sorted(learned["mass"]) == pytest.approx(np.array([1.5, 1.5, 2.5, 4.5, 92.5]) / 102.5)
    many = Reference(rng.integers(-4_000, 4_000, (900, DIMS)).astype(np.int16), np.zeros(900, np.int32), 0)
    assert cells.learn(many)["cells"].shape[1] <= cells.CELLS
    assert cells.learn(many)["mass"].sum() == pytest.approx(1.0)


# -- under a profile


def test_sweeps_and_drills_and_rare_corners_are_caught(profile: Profile) -> None:
    inputs = pool()
    cell = cells_in(profile, inputs)
    mass = profile.learned["mass"]
    first_of_each = [int(np.flatnonzero(cell == c)[0]) for c in np.unique(cell)]
    usual = inputs[cell == np.bincount(cell).argmax()][:60]
    found = oddness(
        profile,
        [
            *stream("sweep", inputs[first_of_each]),
            *stream("drill", usual),
            *stream("rare", inputs[np.argsort(mass[cell])[:100]]),
        ],
    )
    assert len(first_of_each) > 50
    assert found["sweep"]["coverage.new"] > 1.5
    assert found["drill"]["coverage.mass"] > 1.2
    assert found["rare"]["coverage.rarity"] > 3.0


@pytest.mark.parametrize("signal", [signal.name for signal in coverage.SIGNALS])
def test_honest_clients_are_left_alone(profile: Profile, signal: str) -> None:
    assert share_odd(profile, signal) <= 0.1
