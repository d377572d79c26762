"""The loop over queries: counts in two epochs, who is admitted, and when the tape gets a point."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from detector import tape
from detector.entities import BINS, RETRIES
from detector.evidence import kernels, sums
from detector.exposure.exposed import unexposed
from detector.levels import Weights, admitted, weighed
from detector.query import Batch
from features.contract import Rows
from tests.asked import asked
from tests.evidence.laws import HONEST, F, blank, made

EPOCH_US = 1_000
SECRET = np.uint64(7)
LAW = made([HONEST])


def weigh(rows: Rows, clocks: list[int], values: list[float]) -> Weights:
    n = len(clocks)
    table = np.full((n, F), np.nan)
    table[:, 0] = values
    clock = np.array(clocks, np.int64)
    stages = np.zeros((n, F), np.int8)
    return weighed(np.zeros(n, np.int64), clock, table, stages, unexposed(n), LAW, EPOCH_US, rows, sums.lines(F), None)


def batch_of(at: list[int], ids: list[int], which: list[int]) -> Batch:
    n = len(at)
    x = np.zeros((n, 16), np.int16)
    x[:, 0] = which
    return asked(n, at=at, x=x, ids=ids)


# -- epochs


@given(gaps=st.lists(st.tuples(st.integers(0, 1_500), st.integers(0, BINS - 1)), min_size=1, max_size=40))
def test_counts_are_those_of_the_current_and_the_previous_epoch(gaps: list[tuple[int, int]]) -> None:
    start = 10_000_000
    clocks = (start + np.cumsum([0] + [gap for gap, _ in gaps[1:]])).tolist()
    bins = [b for _, b in gaps]
    rows = blank()
    rows["first_at"] = start
    for n, (clock, b) in enumerate(zip(clocks, bins, strict=True)):
        weigh(rows, [clock], [b - 0.5])
        epoch = (clock - start) // EPOCH_US
        for age in (0, 1):
            alive = [
                c for t, c in zip(clocks[: n + 1], bins[: n + 1], strict=True) if (t - start) // EPOCH_US == epoch - age
            ]
            assert rows["counts"][0, age, 0].tolist() == np.bincount(alive, minlength=BINS).tolist()
        assert (rows["before"][0, 0] <= rows["counts"][0, :, 0].sum(0)).all()


@pytest.mark.parametrize(("later", "remembered"), [(999, 20), (1_000, 20), (1_999, 20), (2_000, 0), (50_000, 0)])
def test_what_was_counted_is_dropped_exactly_after_two_epochs(later: int, remembered: int) -> None:
    rows = blank()
    weigh(rows, [0] * 20, [3.5] * 20)
    weigh(rows, [later], [9.5])
    assert rows["counts"].sum() == remembered + 1


def test_within_the_horizon_an_epochs_end_is_no_event() -> None:
    """Nothing is dropped yet, so the score is what it was when it was calibrated without epochs."""
    rng = np.random.default_rng(0)
    values = rng.integers(0, BINS, 200) - 0.5
    spread = np.sort(rng.integers(0, 2 * EPOCH_US, 200)).tolist()
    with_epochs, without = blank(), blank()
    levels = weigh(with_epochs, spread, values.tolist()).levels
    assert with_epochs["epoch"][0] == 1
    assert levels.tobytes() == weigh(without, [0] * 200, values.tolist()).levels.tobytes()
    assert with_epochs["before"].tobytes() == without["before"].tobytes()


def test_absent_values_are_not_counted() -> None:
    rows = blank()
    bins, levels, moved, *_ = weigh(rows, [0] * 5, [np.nan] * 5)
    assert (bins == kernels.NO_BIN).all()
    assert not rows["counts"].any()
    assert not levels.any()
    assert not moved.any()


# -- the tape


@given(levels=st.lists(st.tuples(st.integers(0, 300), st.integers(0, 400_000_000)), min_size=1, max_size=60))
def test_the_tape_misses_no_rise_and_no_fall_by_half_a_unit(levels: list[tuple[int, int]]) -> None:
    row = blank()[0]
    clock, last, last_at = 0, 0, 0
    for level, gap in levels:
        clock += gap
        due = kernels.point_is_due(row, level, clock)
        rose = level > last
        fell = level <= last - tape.FALL or (level == 0 and last > 0)
        stale = level > 0 and clock - last_at >= tape.REFRESH_US
        assert due == (rose or fell or stale)
        if due:
            last, last_at = level, clock
        assert last >= level  # so the highest point of the tape is the supremum
        assert last - level < tape.FALL


def test_a_point_is_due_where_the_score_rises_above_the_floor() -> None:
    rows = blank()
    _, levels, moved, nats, told, _ = weigh(rows, list(range(12)), [BINS - 1.5] * 12)
    assert levels[-1] > 0
    rises = np.flatnonzero(np.diff(levels, prepend=0) > 0)
    assert np.flatnonzero(moved).tolist() == rises.tolist()
    assert (nats[moved, 0, 0] > 0).all()
    assert told[moved, 0, BINS - 1].tolist() == (rises + 1).tolist()


# -- admission


def test_queries_are_numbered_and_the_clock_never_runs_backwards() -> None:
    rows = blank()
    found = admitted(batch_of([5_000, 4_500, 5_200], [1, 2, 3], [1, 2, 3]), rows, EPOCH_US, SECRET)
    assert found.ordinal.tolist() == [1, 2, 3]
    assert found.clock.tolist() == [5_000, 5_000, 5_200]
    assert (rows["n"][0], rows["first_at"][0], rows["clock"][0]) == (3, 5_000, 5_200)


@pytest.mark.parametrize(("at", "status"), [(4_000, kernels.ADMITTED), (3_999, kernels.LATE)])
def test_more_than_an_epoch_late_is_too_late(at: int, status: int) -> None:
    rows = blank()
    found = admitted(batch_of([5_000, at], [1, 2], [1, 2]), rows, EPOCH_US, SECRET)
    assert found.status.tolist() == [kernels.ADMITTED, status]
    assert rows["n"][0] == 2 - (status == kernels.LATE)


def test_a_record_from_the_past_does_not_hold_back_an_entitys_first() -> None:
    rows = blank()
    found = admitted(batch_of([1], [1], [1]), rows, EPOCH_US, SECRET)
    assert found.status[0] == kernels.ADMITTED


@pytest.mark.parametrize(
    ("between", "status"), [(0, kernels.RETRY), (RETRIES - 1, kernels.RETRY), (RETRIES, kernels.ADMITTED)]
)
def test_the_same_id_and_content_among_the_last_32_is_a_retry(between: int, status: int) -> None:
    ids = [1, *range(10, 10 + between), 1]
    which = [5, *range(10, 10 + between), 5]
    found = admitted(batch_of([0] * len(ids), ids, which), blank(), EPOCH_US, SECRET)
    assert found.status[-1] == status
    assert not found.status[:-1].any()


@pytest.mark.parametrize(("ids", "which"), [([1, 1], [5, 6]), ([1, 2], [5, 5]), ([0, 0], [5, 5])])
def test_another_content_another_id_or_none_is_no_retry(ids: list[int], which: list[int]) -> None:
    found = admitted(batch_of([0, 0], ids, which), blank(), EPOCH_US, SECRET)
    assert not found.status.any()


def test_the_days_count_starts_anew_with_the_day_and_marks_the_grid() -> None:
    n = 150
    at = [0] * n + [kernels.DAY_US] * n
    found = admitted(batch_of(at, list(range(1, 2 * n + 1)), [0] * 2 * n), blank(), 2**62, SECRET)
    assert found.asked.tolist() == [*range(1, n + 1), *range(1, n + 1)]
    assert found.asked[found.budget].tolist() == [64, 80, 96, 112, 128] * 2


def test_counts_are_marked_at_most_a_quarter_late() -> None:
    marks = [n for n in range(1, 5_000) if kernels._on_count_grid(n)]
    assert marks[0] == 64
    assert all(b <= 1.25 * a for a, b in itertools.pairwise(marks))
