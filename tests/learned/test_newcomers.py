"""The promise is found void when newcomers are others than those that calibrated, and seldom otherwise."""

from __future__ import annotations

import msgspec
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import binom, kstest

from detector.learned.newcomers import Newcomer, Watch, newcomers, p_value, watch
from detector.tape import level_of

CALIBRATED = 300


def suprema(rng: np.random.Generator, count: int, times: float = 1.0) -> np.ndarray:
    """Honest ones: two thirds below the tape's floor."""
    return np.array([level_of(times * (0.525 + 0.27 * x)) for x in rng.gumbel(size=count)])


def came(levels: np.ndarray, start: int = 0) -> list[Newcomer]:
    return [Newcomer((start + i).to_bytes(16, "big"), start + i, int(level)) for i, level in enumerate(levels)]


def watched(seed: int, *parts: np.ndarray) -> Watch:
    state = watch(suprema(np.random.default_rng(seed), CALIBRATED))
    newcomers(state, came(np.concatenate(parts)), b"secret%d" % seed)
    return state


def test_p_values_of_the_exchangeable_are_uniform_and_independent() -> None:
    rng = np.random.default_rng(1)
    found = []
    for seed in range(40):
        state = watch(suprema(rng, CALIBRATED))
        for one in came(suprema(rng, 50)):
            if one.supremum < state.below:
                found.append(p_value(state, one, b"secret%d" % seed))
                newcomers(state, [one], b"secret%d" % seed)
    assert kstest(found, "uniform").pvalue > 0.001
    assert abs(np.corrcoef(found[:-1], found[1:])[0, 1]) < 4 / np.sqrt(len(found))


def test_an_unchanged_population_voids_at_most_one_in_a_hundred_however_often_one_looks() -> None:
    runs = 150
    void = sum(
        watched(seed, suprema(np.random.default_rng([seed, 1]), 1_500)).void_since is not None for seed in range(runs)
    )
    assert void <= binom(runs, 0.01).ppf(0.999)


@pytest.mark.parametrize("quiet", [0, 1_500])
def test_a_moved_population_voids_the_promise_also_after_long_quiet(quiet: int) -> None:
    found = []
    for seed in range(12):
        rng = np.random.default_rng([seed, 2])
        state = watched(seed, suprema(rng, quiet), suprema(rng, 1_500, times=1.5))
        found.append(np.inf if state.void_since is None else state.void_since - quiet)
        assert state.void_since is None or state.higher
    assert np.median(found) < 500


def test_attackers_among_newcomers_are_no_change_of_the_honest() -> None:
    void = 0
    for seed in range(20):
        rng = np.random.default_rng([seed, 3])
        mixed = suprema(rng, 1_000)
        mixed[rng.random(1_000) < 0.2] = level_of(5.0)
        void += watched(seed, mixed).void_since is not None
    assert void <= 1


@given(st.lists(st.integers(0, 60), max_size=30), st.data())
def test_the_order_within_a_tick_is_of_no_account_and_a_snapshot_brings_it_back(
    levels: list[int], data: st.DataObject
) -> None:
    calibrated = suprema(np.random.default_rng(1), 120)
    tick = [Newcomer(i.to_bytes(16, "big"), 5, level) for i, level in enumerate(levels)]
    first, second = watch(calibrated), watch(calibrated)
    newcomers(first, tick, b"secret")
    newcomers(second, data.draw(st.permutations(tick)), b"secret")
    assert first == second
    again = msgspec.json.decode(msgspec.json.encode(first), type=Watch)
    for state in (first, again):
        newcomers(state, came(np.array([3, 20, 0]), 100), b"secret")
    assert again == first


def test_what_it_remembers_is_bounded() -> None:
    state = watched(1, suprema(np.random.default_rng(2), 3_000))
    assert len(msgspec.msgpack.encode(state)) < 5_000


@pytest.mark.parametrize("calibrated", [[], [0] * 50, [4]])
def test_little_to_compare_with_is_no_error(calibrated: list[int]) -> None:
    state = watch(np.array(calibrated, np.int64))
    newcomers(state, came(np.array([0, 4, 90])), b"secret")
    assert state.void_since is None
