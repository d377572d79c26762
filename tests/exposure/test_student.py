"""Exposure: cuts change no bit, a saved row goes on as it was, harvesters stand out, and honest clients do not."""

from __future__ import annotations

from typing import Any

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from detector.exposure import student
from detector.exposure.exposed import Exposing, exposed, standing
from detector.exposure.known import AGREEMENT, ANSWERS, CELLS, CLONE, LOOKS, MEASURES, Known, known_from
from detector.query import NO_LABEL, UNREAD, Batch
from tests import strategies
from tests.exposure.population import CLIENTS, QUERIES, harvesters, population
from tests.layouts import CLIENT_ROW

Row = NDArray[Any]


def fresh(entities: int) -> Row:
    return np.zeros(entities, CLIENT_ROW)


def in_parts(batch: Batch, known: Known, rows: Row, cuts: list[int]) -> Exposing:
    ends = [*cuts, len(batch)]
    parts = [standing(batch.part(a, b), known, rows) for a, b in zip([0, *cuts], ends, strict=True)]
    return Exposing(*(np.concatenate(columns) for columns in zip(*parts, strict=True)))


def highest(leaked: Exposing, slots: NDArray[np.int64]) -> NDArray[np.float64]:
    words = np.zeros(int(slots.max()) + 1)
    np.maximum.at(words, slots, leaked.told[:, : len(MEASURES)].max(1))
    return words


@settings(max_examples=25)
@given(cuts=st.lists(st.integers(0, 5 * 120), max_size=6).map(sorted), seed=st.integers(0, 99))
def test_cuts_of_the_stream_change_no_bit(cuts: list[int], seed: int, known: Known) -> None:
    batch = population(5, seed=seed, n=120)
    whole, parts = fresh(5), fresh(5)
    at_once, cut = standing(batch, known, whole), in_parts(batch, known, parts, cuts)
    assert at_once.told.tobytes() == cut.told.tobytes()
    assert at_once.stepped.tobytes() == cut.stepped.tobytes()
    assert whole.tobytes() == parts.tobytes()


@given(batch=strategies.batches())
def test_an_entity_depends_on_its_own_queries_alone(batch: Batch, known: Known) -> None:
    rows = fresh(3)
    together = standing(batch, known, rows).told
    for slot in range(3):
        mine, alone = np.flatnonzero(batch.slots == slot), fresh(3)
        assert standing(batch.taken(mine), known, alone).told.tobytes() == together[mine].tobytes()
        assert alone[slot].tobytes() == rows[slot].tobytes()


def test_a_saved_row_goes_on_as_if_nothing_had_happened(known: Known) -> None:
    batch = population(4, seed=8)
    through, before = fresh(4), fresh(4)
    standing(batch, known, through)
    standing(batch.part(0, 301), known, before)
    after = np.frombuffer(before.tobytes(), CLIENT_ROW).copy()
    standing(batch.part(301, len(batch)), known, after)
    assert after.tobytes() == through.tobytes()


def test_what_is_known_travels_bit_for_bit(known: Known) -> None:
    again = known_from(known.arrays())
    assert all(np.asarray(a).tobytes() == np.asarray(b).tobytes() for a, b in zip(known, again, strict=True))


def test_harvesters_stand_out_and_honest_clients_do_not(known: Known) -> None:
    honest, thieves = population(CLIENTS, seed=21), harvesters(40, seed=22)
    usual = highest(standing(honest, known, fresh(CLIENTS)), honest.slots)
    odd = highest(standing(thieves, known, fresh(40)), thieves.slots)
    threshold = np.quantile(usual, 0.99)
    assert (odd > threshold).mean() >= 0.95


def test_honest_clients_are_as_odd_as_the_scale_says_whatever_their_volume(known: Known) -> None:
    """A word of 1 is passed by one honest client in a hundred for each measure; a head start adds to it."""
    for n, seed in ((40, 31), (400, 32)):
        batch = population(300, seed=seed, n=n)
        words = highest(standing(batch, known, fresh(300)), batch.slots)
        assert (words > 1.0).mean() < 0.10


def test_a_student_learns_what_a_clone_knows(known: Known) -> None:
    assert known.chance < 0.2 < 0.6 < known.clone <= 1.0
    thieves = harvesters(5, seed=5, n=CLONE)
    rows = fresh(5)
    standing(thieves, known, rows)
    assert np.all(np.abs(rows["exposure_clone"] - 1.0) < 0.1)
    assert np.all(rows["exposure_seen"] == CLONE)


def test_an_honest_client_who_knows_a_corner_knows_less(known: Known) -> None:
    corner = np.array([[0.9, 0.1, 0, 0, 0, 0, 0, 0]])
    rows = fresh(1)
    standing(population(1, seed=1, mixes=corner), known, rows)
    assert rows["exposure_clone"][0] < 0.5


def test_without_labels_only_the_input_space_is_judged(silent: Known) -> None:
    assert not silent.labelled
    batch = harvesters(3, seed=9)
    told = standing(batch, silent, fresh(3)).told
    assert not told[:, [AGREEMENT, ANSWERS, student.CLONE]].any()
    assert told[:, student.SEEN].any()
    assert np.isfinite(told[:, CELLS]).all()


def test_queries_that_could_not_be_read_teach_nothing(known: Known) -> None:
    batch = population(1, seed=4)
    batch.odd[:] = UNREAD
    rows = fresh(1)
    told = standing(batch, known, rows).told
    assert not told.any()
    assert rows.tobytes() == fresh(1).tobytes()


def test_counts_stay_in_their_bounds_and_the_lifetime_counter_goes_on(known: Known) -> None:
    rows = fresh(1)
    rows["exposure_answers"][0, 0] = student.HELD - 1
    rows["exposure_sums"][0, 0] = 8191 * (student.HELD - 1)
    rows["exposure_cells"][0] = student.FULL - 1
    rows["exposure_seen"] = 10 * student.HELD
    batch = population(1, seed=6, mixes=np.eye(8)[:1], n=50)
    standing(batch, known, rows)
    assert rows["exposure_seen"][0] == 10 * student.HELD + 50
    assert rows["exposure_answers"][0, 0] < student.HELD
    assert rows["exposure_cells"][0].max() < student.FULL
    assert np.abs(rows["exposure_sums"][0].astype(np.int64)).max() <= 8191 * student.HELD < 2**31


def test_a_point_tells_what_the_last_look_found(known: Known) -> None:
    rows = fresh(1)
    told = standing(harvesters(1, seed=2), known, rows).told
    first, last = exposed(told[[0, -1]])
    assert first is None
    assert last is not None
    assert last.queries == LOOKS[LOOKS <= QUERIES][-1]
    assert last.clone > 700
    assert last.equals == 0 or last.equals > last.queries


def test_an_answer_without_a_label_only_tells_where_it_was(known: Known) -> None:
    batch = population(1, seed=3, n=60)
    batch.labels[:] = NO_LABEL
    rows = fresh(1)
    standing(batch, known, rows)
    assert rows["exposure_seen"][0] == 60
    assert rows["exposure_cells"][0].sum() == 60
    assert not rows["exposure_answers"].any()
