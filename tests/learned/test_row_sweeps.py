"""Made sweeps of rows: the same from the same seed, each kind what its name says."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import numpy as np

from detector.learned import row_sweeps
from detector.learned.sweeps import LENGTH, Sweeps
from detector.query import Query

RNG = np.random.default_rng(4)
OWNER = np.repeat(np.arange(20), 12)
ROWS: list[dict[str, Any]] = [
    {"age": float(18 + i % 60), "share": float(RNG.random()), "kind": "abc"[i % 3], "odd": None if i % 9 == 0 else True}
    for i in range(len(OWNER))
]
QUERIES = [Query(0, f"c{who}", "m", row, label=1) for who, row in zip(OWNER.tolist(), ROWS, strict=True)]


def made(seed: int = 1) -> Sweeps:
    return row_sweeps.of_rows(QUERIES, OWNER, 4, seed)


def of_kind(kind: str) -> list[list[dict[str, Any]]]:
    found = made()
    kinds = zip(found.kinds, found.shares, found.places, strict=True)
    return [
        [dict(found.queries[i].input) for i in places] for name, share, places in kinds if (name, share) == (kind, 1.0)
    ]  # type: ignore[arg-type]


def test_the_same_seed_makes_the_same_sweeps() -> None:
    one, other, third = made(), made(), made(2)
    assert [query.input for query in one.queries] == [query.input for query in other.queries]
    assert all((a == b).all() for a, b in zip(one.places, other.places, strict=True))
    assert [query.input for query in one.queries] != [query.input for query in third.queries]
    assert all(len(places) == LENGTH for places in one.places)
    assert {kind for kind, share in zip(one.kinds, one.shares, strict=True) if share < 1} == set(row_sweeps.HIDING)


def test_what_is_made_keeps_the_columns_and_the_answer() -> None:
    found = made()
    assert all(set(query.input) == set(ROWS[0]) and query.label == 1 for query in found.queries)  # type: ignore[arg-type]


def test_values_by_column_are_somebodys_and_rows_nobodys() -> None:
    rows = [row for sweep in of_kind("columns") for row in sweep]
    assert {row["share"] for row in rows} <= {row["share"] for row in ROWS}
    assert sum(row in ROWS for row in rows) < 0.05 * len(rows)


def test_corners_lie_at_the_ends() -> None:
    assert {row["age"] for sweep in of_kind("corners") for row in sweep} == {18.0, 77.0}


def test_even_values_are_in_range_and_whole_where_theirs_are() -> None:
    for row in (row for sweep in of_kind("even") for row in sweep):
        assert 18 <= row["age"] <= 77
        assert row["age"].is_integer()
        assert row["kind"] in "abc"


def test_a_run_through_a_column_leaves_the_others() -> None:
    for sweep in of_kind("one column"):
        differ = [sum(a[name] != b[name] for name in a) for a, b in pairwise(sweep)]
        assert np.mean(np.array(differ) <= 1) > 0.7


def test_neighbours_share_most_values_with_a_seed() -> None:
    for sweep in of_kind("neighbours"):
        shared = [max(sum(row[name] == one[name] for name in row) for one in sweep if one is not row) for row in sweep]
        assert min(shared) >= 2
