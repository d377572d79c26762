"""Gaps, paces and bursts are those of a clock of milliseconds that wraps; scripts are seen."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from detector.profile.artefact import Profile
from features import timing
from features.contract import Rows
from tests import people
from tests.asked import asked
from tests.features.oddness import oddness, pool, share_odd, stream
from tests.layouts import CLIENT_ROW

TICK_US = 1 << timing.TICK_SHIFT
WRAP_US = 2**32 * TICK_US


def measured(at: list[int]) -> tuple[np.ndarray, Rows]:
    rows = np.zeros(1, CLIENT_ROW)
    values, stages = np.empty((len(at), 3)), np.full((len(at), 3), -1, np.int8)
    timing.FEATURE.measure(asked(len(at), at=at), rows, {}, values, stages)
    assert not stages.any()
    return values, rows


def expected(at: list[int]) -> np.ndarray:
    """In whole ticks and without a wrap."""
    ticks = [t // TICK_US for t in at]
    found = np.full((len(at), 3), np.nan)
    for i in range(1, len(at)):
        gap = max(ticks[i] - ticks[i - 1], 0)
        found[i, 0] = np.log2(1 + gap)
        if i > 1:
            found[i, 1] = abs(np.log2((1 + gap) / (1 + max(ticks[i - 1] - ticks[i - 2], 0))))
        if i >= timing.RING:
            found[i, 2] = np.log2(1 + max(ticks[i] - ticks[i - timing.RING], 0))
    return found


GAPS = st.lists(st.integers(-3_600_000_000, 86_400_000_000) | st.integers(0, 5_000), max_size=40)


@given(start=st.sampled_from([0, people.START_US, WRAP_US - 1, 7 * WRAP_US - 10_000_000]), gaps=GAPS)
def test_all_three_are_exact_also_where_the_clock_wraps_or_the_log_goes_back(start: int, gaps: list[int]) -> None:
    at = (start + np.cumsum([0, *gaps])).tolist()
    if min(at) < 0:
        at = [t - min(at) for t in at]
    np.testing.assert_allclose(measured(at)[0], expected(at), rtol=1e-12)


def test_time_that_goes_back_is_no_gap() -> None:
    values, _ = measured([10_000_000, 4_000_000, 4_000_000])
    assert values[1:, 0].tolist() == [0.0, 0.0]


def test_a_gap_of_up_to_25_days_is_told() -> None:
    values, _ = measured([0, 24 * people.DAY_US])
    assert values[1, 0] == pytest.approx(np.log2(1 + 24 * people.DAY_US // TICK_US))


def test_the_row_keeps_the_last_eight_whatever_is_asked() -> None:
    at = np.arange(1_000) * 7_000_000
    values, rows = measured(at.tolist())
    assert sorted(rows["timing_ring"][0].tolist()) == sorted((at[-timing.RING :] // TICK_US).tolist())
    assert rows["timing_seen"][0] == 1_000
    assert np.isfinite(values[timing.RING :]).all()


# -- under a profile


def test_scripts_are_caught_by_their_gaps_their_pace_and_their_bursts(profile: Profile) -> None:
    inputs = pool(150)
    found = oddness(profile, [*stream("script", inputs, gap_us=1_000_000), *stream("pace", inputs)])
    assert found["script"]["timing.gap"] > 1.5
    assert found["script"]["timing.burst"] > 1.2
    assert min(found[who]["timing.regularity"] for who in ("script", "pace")) > 3.0


@pytest.mark.parametrize("signal", [signal.name for signal in timing.SIGNALS])
def test_honest_clients_are_left_alone(profile: Profile, signal: str) -> None:
    assert share_odd(profile, signal) <= 0.1
