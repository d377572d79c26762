"""Rows of named values: what a row becomes does not depend on the others, and rows made column by column stand out."""

from __future__ import annotations

from math import isfinite
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from detector.errors import ProfileError
from detector.profile import table
from detector.profile.table import Named, Table, learn
from detector.query import Query
from tests import rows as made

VALUES = st.none() | st.booleans() | st.integers(-(10**6), 10**6) | st.floats(allow_nan=False) | st.text(max_size=4)
ANY_ROWS = st.lists(
    st.dictionaries(st.sampled_from(["age", "job", "income", "town", "x"]), VALUES), min_size=1, max_size=8
)


@pytest.fixture(scope="module")
def known() -> Table:
    return learn(made.natural(np.random.default_rng(1), 2_000))


@given(asked=ANY_ROWS, cut=st.integers(0, 8))
def test_a_row_becomes_the_same_bits_whatever_stands_beside_it(known: Table, asked: list[Any], cut: int) -> None:
    numbers, form = known.read(asked)
    first, second = known.read(asked[:cut]), known.read(asked[cut:])
    assert np.concatenate([first[0], second[0]]).tobytes() == numbers.tobytes()
    assert np.concatenate([first[1], second[1]]).tobytes() == form.tobytes()
    assert np.isfinite(numbers).all()
    assert np.isfinite(form).all()


@given(asked=ANY_ROWS)
def test_the_order_of_names_means_nothing(known: Table, asked: list[Any]) -> None:
    turned = [dict(reversed(row.items())) for row in asked]
    assert known.read(turned)[0].tobytes() == known.read(asked)[0].tobytes()


@given(rows=st.lists(st.dictionaries(st.sampled_from("abc"), VALUES, min_size=1), min_size=1, max_size=20))
def test_whatever_rows_teach_either_a_table_or_a_clear_refusal_comes(rows: list[Any]) -> None:
    if not _varies(rows):
        with pytest.raises(ProfileError, match="nothing to learn from"):
            learn(rows)
        return
    found = learn(rows)
    numbers, form = found.read(rows)
    assert numbers.shape == (len(rows), found.width)
    assert np.isfinite(numbers).all()
    assert np.isfinite(form).all()


def _varies(rows: list[Any]) -> bool:
    def values(name: str) -> set[Any]:
        told = [row.get(name) for row in rows]
        return {None if isinstance(value, float) and not isfinite(value) else value for value in told}

    return any(2 * sum(name in row for row in rows) >= len(rows) and len(values(name)) > 1 for name in "abc")


def test_numbers_and_categories_are_told_apart_by_their_values(known: Table) -> None:
    numeric = dict(zip(known.names.tolist(), known.numeric.tolist(), strict=True))
    assert {name for name, is_number in numeric.items() if is_number} == {"age", "hours", "income"}
    assert dict(zip(known.names.tolist(), known.whole.tolist(), strict=True))["age"]


def test_the_tree_joins_columns_that_depend_on_each_other(known: Table) -> None:
    names = known.names.tolist()
    joined = {frozenset((name, names[p])) for name, p in zip(names, known.parent.tolist(), strict=True) if p >= 0}
    assert len(joined) == len(names) - 1
    assert frozenset(("job", "hours")) in joined


@pytest.mark.parametrize(
    ("kind", "column", "share"), [("resampled", 1, 0.5), ("blends", 1, 0.4), ("uniform", 1, 0.6), ("uniform", 0, 0.5)]
)
def test_rows_made_column_by_column_stand_out(known: Table, kind: str, column: int, share: float) -> None:
    """So many lie beyond what one honest row in a hundred shows."""
    rng = np.random.default_rng(7)
    honest = made.natural(rng, 2_000)
    asked = {
        "resampled": made.resampled(rng, honest, 500),
        "blends": made.blends(rng, honest, 500),
        "uniform": made.uniform(rng, 500),
    }[kind]
    usual, found = known.read(honest)[1][:, column], known.read(asked)[1][:, column]
    odd = found > np.quantile(usual, 0.99) if column == 0 else found < np.quantile(usual, 0.01)
    assert odd.mean() > share


def test_what_lies_beyond_the_range_goes_on_growing_to_an_end(known: Table) -> None:
    row = made.natural(np.random.default_rng(2), 1)[0]
    places = known.read([row | {"income": income} for income in (10.0, 2e3, 4e3, 1e9, 1e300)])[0]
    reach = np.ptp(places, axis=1)
    assert (np.diff(reach[1:3]) > 0).all()
    assert reach[3] == reach[4]


def test_what_is_no_row_of_the_table_is_named_and_the_others_are_read(known: Table) -> None:
    row = made.natural(np.random.default_rng(2), 1)[0]
    asked = [Query(0, "c", "m", one) for one in ({"age": 3, "colour": "red"}, row, "text", [1.0, 2.0])]
    inputs, form, unfit = Named(known).read(asked, None)
    assert [(one.place, one.reason, one.message) for one in unfit] == [
        (0, "width", "the input names 1 of the 7 columns that this profile reads"),
        (2, "text", "the input is text of 4 characters, this profile reads named values"),
        (3, "numbers", "the input is 2 numbers without names, this profile reads named values"),
    ]
    assert inputs[1].tobytes() == known.read([row])[0].tobytes()
    assert not inputs[[0, 2, 3]].any()
    assert not form[[0, 2, 3]].any()


def test_a_number_among_the_whole_ones_that_is_none_is_new(known: Table) -> None:
    row = made.natural(np.random.default_rng(2), 1)[0]
    usual, between = known.read([row, row | {"age": row["age"] + 0.5}])[1][:, 0]
    assert between > usual + 3


def test_no_more_columns_than_can_be_kept() -> None:
    wide = [{f"c{i}": float(i * j % 7) for i in range(table.MOST_NAMES + 50)} for j in range(40)]
    assert len(learn(wide).names) == table.MOST_NAMES
