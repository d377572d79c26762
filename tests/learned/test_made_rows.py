"""Made rows: the same from the same seed, each kind what its name says."""

from __future__ import annotations

from typing import Any

import numpy as np

from detector.learned import made, made_rows

RNG = np.random.default_rng(3)
OWNER = np.repeat(np.arange(20), 15)
ROWS: list[Any] = [
    {
        "amount": 1000 * client + float(RNG.integers(100)),
        "rate": 1000 * client + float(RNG.random()),
        "land": f"land {client}",
        "paid": bool(RNG.integers(2)),
        "note": None if RNG.random() < 0.3 else "x",
    }
    for client in OWNER.tolist()
]


def kinds(seed: int = 7) -> dict[str, list[Any]]:
    return dict(made_rows.of_honest(ROWS, OWNER, 100, seed))


def test_the_same_seed_makes_the_same_rows() -> None:
    assert kinds() == kinds()
    assert kinds(8) != kinds()
    assert {kind: len(rows) for kind, rows in kinds().items()} == {
        made.BLEND: 100, "columns": 100, "corners": 100, "one column": 100,
    }  # fmt: skip


def test_a_blend_lies_between_two_rows_of_one_client_and_whole_numbers_stay_whole() -> None:
    for row in kinds()[made.BLEND]:
        client = int(row["land"].split()[1])
        assert 0 <= row["amount"] - 1000 * client < 100
        assert row["amount"] == int(row["amount"])
        assert 0 <= row["rate"] - 1000 * client < 1
        assert row["paid"] in (True, False)
        assert row["note"] in (None, "x")


def test_a_corner_has_the_least_or_the_largest_number_of_each_column() -> None:
    for name in ("amount", "rate"):
        ends = {min(row[name] for row in ROWS), max(row[name] for row in ROWS)}
        assert {row[name] for row in kinds()["corners"]} == ends


def test_of_one_column_the_value_is_anothers_and_all_else_is_one_row() -> None:
    for row in kinds()["one column"]:
        assert min(sum(row[name] != other[name] for name in row) for other in ROWS) <= 1
