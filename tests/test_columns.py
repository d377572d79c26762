"""From queries to numbers: what cannot become numbers is named, and the others are as if it were not there."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from detector import columns
from detector.query import NO_LABEL, Query

SECRET = columns.secret_word(b"12345678")
good = st.lists(st.floats(-1e9, 1e9), min_size=3, max_size=3)
ODD: list[tuple[Any, str]] = [
    ("some words", columns.TEXT),
    ("1", columns.TEXT),
    ([1.0, 2.0], columns.WIDTH),
    ([1.0, 2.0, 3.0, 4.0], columns.WIDTH),
    ([[1.0, 2.0], [3.0, 4.0]], columns.WIDTH),
    ([[1.0, 2.0], [3.0]], columns.NUMBERS),
    ([1.0, [2.0], 3.0], columns.NUMBERS),
    ([1.0, float("nan"), 3.0], columns.NUMBERS),
    ([1.0, float("inf"), 3.0], columns.NUMBERS),
    ([1.0, None, 3.0], columns.NUMBERS),
    ([1.0, "two", 3.0], columns.NUMBERS),
    ([1.0, {}, 3.0], columns.NUMBERS),
    ([1, 2, 10**400], columns.NUMBERS),
]


def query(asked: Any = (), **fields: Any) -> Query:
    return Query(at=0, client="c", model="m", input=asked, **fields)


@pytest.mark.parametrize(("asked", "reason"), ODD)
@settings(max_examples=15)
@given(before=st.lists(good, max_size=3), after=st.lists(good, max_size=3))
def test_an_odd_input_is_named_and_the_others_are_as_without_it(
    asked: Any, reason: str, before: list[list[float]], after: list[list[float]]
) -> None:
    inputs, unfit = columns.inputs_of([query(row) for row in (*before, asked, *after)], 3)
    assert [(one.place, one.reason) for one in unfit] == [(len(before), reason)]
    assert unfit[0].message
    alone, none = columns.inputs_of([query(row) for row in before + after], 3)
    assert not none
    assert np.delete(inputs, len(before), 0).tobytes() == alone.tobytes()


@pytest.mark.parametrize(
    ("asked", "read"),
    [
        ([1, 2, 3], [1.0, 2.0, 3.0]),
        ([True, False, True], [1.0, 0.0, 1.0]),
        ([2**80, -(2**70), 0], [2.0**80, -(2.0**70), 0.0]),
        ([[1.0], [2.0], [3.0]], [1.0, 2.0, 3.0]),
        ([[[1.0, 2.0, 3.0]]], [1.0, 2.0, 3.0]),
    ],
)
def test_numbers_of_all_kinds_are_read_row_by_row(asked: list[Any], read: list[float]) -> None:
    for queries in ([query(asked)], [query(asked), query(asked)], [query(asked), query([9.0, 9.0, 9.0])]):
        inputs, unfit = columns.inputs_of(queries, 3)
        assert not unfit
        assert inputs[0].tolist() == read


def test_images_are_read_in_the_order_of_their_rows() -> None:
    image = np.arange(24.0).reshape(2, 4, 3)
    inputs, unfit = columns.inputs_of([query(image.tolist())], 24)
    assert not unfit
    assert inputs[0].tolist() == list(range(24))


def test_without_a_width_the_first_readable_query_gives_it() -> None:
    inputs, unfit = columns.inputs_of([query("text"), query([1.0, 2.0]), query([1.0])], None)
    assert inputs.shape == (3, 2)
    assert [(one.place, one.reason) for one in unfit] == [(0, columns.TEXT), (2, columns.WIDTH)]


def test_no_queries_are_no_rows() -> None:
    assert columns.inputs_of([], 7)[0].shape == (0, 7)


# -- probabilities

answer = st.none() | st.lists(st.floats(-0.001, 1.001), min_size=1, max_size=10)


def slow_top(probabilities: list[float] | None) -> list[float]:
    if not probabilities:
        return [np.nan, np.nan]
    pair = probabilities if len(probabilities) > 1 else [probabilities[0], 1.0 - probabilities[0]]
    return sorted(pair, reverse=True)[:2]


@given(st.lists(answer, max_size=8))
def test_the_two_largest_of_answers_of_any_lengths(answers: list[list[float] | None]) -> None:
    top = columns.top_of([query(probabilities=p) for p in answers])
    np.testing.assert_array_equal(top, np.array([slow_top(p) for p in answers]).reshape(len(answers), 2))


@given(st.integers(1, 10).flatmap(lambda n: st.lists(st.lists(st.floats(0, 1), min_size=n, max_size=n), min_size=1)))
def test_the_two_largest_of_answers_of_one_length(answers: list[list[float]]) -> None:
    top = columns.top_of([query(probabilities=p) for p in answers])
    assert top.tolist() == [slow_top(p) for p in answers]


@pytest.mark.parametrize(
    ("probabilities", "top"),
    [([0.9], [0.9, 0.1]), ([0.2], [0.8, 0.2]), ([0.2, 0.8], [0.8, 0.2]), ([0.4, 0.4, 0.2], [0.4, 0.4])],
)
def test_a_single_number_is_one_of_two(probabilities: list[float], top: list[float]) -> None:
    assert columns.top_of([query(probabilities=probabilities)])[0] == pytest.approx(top)


# -- labels and ids


@given(st.none() | st.integers(-(2**63), 2**63 - 1) | st.text())
def test_a_label_is_31_bits_or_absent(label: str | int | None) -> None:
    code = int(columns.label_codes([label])[0])
    if label is None:
        assert code == NO_LABEL
    elif isinstance(label, int) and 0 <= label < 2**31:
        assert code == label
    else:
        assert 0 <= code < 2**31


@given(st.lists(st.none() | st.text(max_size=8), max_size=10))
def test_an_ids_hash_depends_on_the_id_alone(ids: list[str | None]) -> None:
    together = columns.id_hashes([query(id=one) for one in ids], SECRET)
    for one, found in zip(ids, together, strict=True):
        assert found == columns.id_hashes([query(id=one)], SECRET)[0]
        assert (found == 0) == (one in (None, ""))


def test_hashes_differ_between_ids_and_between_secrets() -> None:
    queries = [query(id=str(number)) for number in range(20_000)]
    found = columns.id_hashes(queries, SECRET)
    assert len(np.unique(found)) == len(queries)
    assert not np.isin(found, columns.id_hashes(queries, columns.secret_word(b"another"))).any()
