"""The grid of scores: the same in Python and in the kernel, and no step is lost on the way there and back."""

from __future__ import annotations

import math

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from detector.evidence.kernels import grid_level
from detector.tape import FALL, FLOOR, LINEAR, LINEAR_LEVELS, LOG_LEVELS, STEP, TOP_LEVEL, level_of, score_of

LOWEST = int(FLOOR / STEP)  # the lowest level above the floor


@given(st.floats(allow_nan=True, allow_infinity=True))
@example(math.inf)
@example(LINEAR)
@example(math.nextafter(LINEAR, 0))
@example(FLOOR)
def test_the_kernel_and_python_name_the_same_level(score: float) -> None:
    assert grid_level(score) == level_of(score)


def test_a_levels_score_is_of_that_level() -> None:
    levels = range(LOWEST, TOP_LEVEL + 1)
    assert [level_of(score_of(level)) for level in levels] == list(levels)
    assert [grid_level(score_of(level)) for level in levels] == list(levels)


@given(st.floats(-1e3, 1e3), st.floats(-1e3, 1e3))
def test_a_higher_score_has_no_lower_level(a: float, b: float) -> None:
    assert level_of(min(a, b)) <= level_of(max(a, b))


@given(st.floats(FLOOR, 1e6))
def test_a_score_is_at_most_a_step_above_its_level(score: float) -> None:
    level = level_of(score)
    step = STEP if level < LINEAR_LEVELS else score * math.expm1(1 / LOG_LEVELS)
    assert score_of(level) <= score * (1 + 1e-9)
    assert score - score_of(level) <= step * (1 + 1e-6)


@pytest.mark.parametrize("score", [-math.inf, -1.0, 0.0, math.nextafter(FLOOR, 0), math.nan])
def test_all_below_the_floor_is_one(score: float) -> None:
    assert level_of(score) == 0
    assert score_of(0) == -math.inf


def test_the_highest_level_holds_everything_above_it() -> None:
    assert level_of(score_of(TOP_LEVEL)) == level_of(1e300) == level_of(math.inf) == TOP_LEVEL


def test_levels_below_the_floor_are_thresholds_that_no_score_can_have() -> None:
    assert {level_of(score_of(level)) for level in range(LOWEST)} == {0}


def test_a_fall_of_half_a_unit_is_a_point() -> None:
    assert FALL * STEP == 0.5
