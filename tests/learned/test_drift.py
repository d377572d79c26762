"""A signal that moved is named soon, one that did not seldom, and a snapshot changes nothing."""

from __future__ import annotations

import msgspec
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from detector.learned.drift import FEWEST, WARM_UP, Charts, Moved, drifted, place

SIGNALS = ("distance", "spacing", "margin")
CLIENTS = 60


def day(rng: np.random.Generator, moved: float = 0.0) -> list[np.ndarray]:
    """Places of clients in one tick; the second signal moves."""
    return list(np.clip(rng.beta(2, 2, (CLIENTS, 3)) + np.array([0.0, moved, 0.0]), 0, 1))


def watched(rng: np.random.Generator, quiet: int, moved: int = 0, by: float = 0.0) -> list[Moved]:
    state, found = Charts(), []
    for t in range(quiet + moved):
        found += drifted(state, SIGNALS, day(rng, by if t >= quiet else 0.0), t)
    return found


@pytest.mark.parametrize(("by", "days"), [(0.1, 12), (0.2, 5), (-0.1, 12)])
def test_the_signal_that_moved_is_named_within_days(by: float, days: int) -> None:
    for seed in range(10):
        found = watched(np.random.default_rng(seed), 200, 30, by)
        assert [one.signal for one in found] == ["spacing"]
        assert found[0].at < 200 + days
        assert 185 <= found[0].since <= 201
        assert np.sign(found[0].size) == np.sign(by)


def test_quiet_years_are_quiet() -> None:
    """Twenty years of three signals; the bench measures it at length."""
    found = [watched(np.random.default_rng(100 + year), WARM_UP + 365) for year in range(20)]
    assert sum(map(len, found)) <= 1


def test_who_asks_much_says_no_more_than_others() -> None:
    shares = np.array([0.25, 0.5, 0.25])
    assert place(np.array([0, 0, 4_000]), shares) == place(np.array([0, 0, 1]), shares) == 0.875
    assert place(np.array([1, 2, 1]), shares) == 0.5
    assert np.isnan(place(np.zeros(3, np.int64), shares))


def test_a_tick_with_few_entities_says_nothing() -> None:
    state = Charts()
    drifted(state, SIGNALS, day(np.random.default_rng(1))[: FEWEST - 1], 0)
    assert state == Charts()


def test_a_signal_that_is_absent_has_no_chart() -> None:
    state = Charts()
    rows = day(np.random.default_rng(1))
    for row in rows:
        row[2] = np.nan
    drifted(state, SIGNALS, rows, 0)
    assert set(state.of) == {"distance", "spacing"}


@given(seed=st.integers(0, 9), cut=st.integers(0, WARM_UP + 20), data=st.data())
def test_a_snapshot_brings_it_back_and_arrival_is_of_no_account(seed: int, cut: int, data: st.DataObject) -> None:
    rng = np.random.default_rng(seed)
    straight, broken = Charts(), Charts()
    for t in range(WARM_UP + 20):
        rows = day(rng, 0.3 if t > WARM_UP + 5 else 0.0)
        mixed = data.draw(st.permutations(rows)) if t == cut else rows
        assert drifted(straight, SIGNALS, rows, t) == drifted(broken, SIGNALS, mixed, t)
        if t == cut:
            broken = msgspec.json.decode(msgspec.json.encode(broken), type=Charts)
    assert broken == straight
    assert len(msgspec.msgpack.encode(straight)) < 2_000
