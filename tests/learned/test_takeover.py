"""Nobody has two chances to be named within the first horizon."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from detector.learned.takeover import governing, needed, spent

H = 100
takeovers = st.lists(st.integers(0, 1_000), max_size=8, unique=True).map(sorted)


@given(takeovers, st.integers(0, 900), st.integers(0, H - 1))
def test_one_model_governs_the_first_horizon(taken_over: list[int], first_at: int, later: int) -> None:
    at_first = governing(first_at, first_at, taken_over, H)
    assert governing(first_at, first_at + later, taken_over, H) == at_first
    assert at_first in needed(first_at, taken_over)


@given(takeovers, st.integers(0, 900))
def test_afterwards_the_newest_does(taken_over: list[int], first_at: int) -> None:
    clock = first_at + H
    assert governing(first_at, clock, taken_over, H) == sum(at <= clock for at in taken_over)


def test_a_takeover_of_everybody_spends_what_time_gave() -> None:
    assert sum(spent(0.01, since, H) for since in (H // 4, H // 4, H // 2)) == 0.01
    assert spent(0.01, 5 * H, H) == 0.01
