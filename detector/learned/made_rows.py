"""Rows of named values that nobody asked, made of honest ones: what `made` does for numbers.

Rows are blended value by value: numbers lie between those of two rows, whole where theirs are; of other values it is
one or the other's.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial

import numpy as np
from numpy.typing import NDArray

from detector.learned.made import BLEND, same_owner

Value = str | float | bool | None
Row = Mapping[str, Value]


def of_honest(rows: Sequence[Row], owner: NDArray[np.int64], n: int, seed: int) -> Iterator[tuple[str, list[Row]]]:
    """From rows of honest clients, owner (m,), so many made rows of each kind, with its name.

    blends    two rows of one client, a share u of the way from the one to the other
    columns   each value from another row
    corners   numbers at the ends of their ranges, other values as they come
    one column   a row with one value of another row
    """
    rng = np.random.default_rng(seed)
    columns = columns_of(rows)
    a, b = same_owner(owner, n, rng)
    yield BLEND, [blended(rows[i], rows[j], rng) for i, j in zip(a.tolist(), b.tolist(), strict=True)]
    ways: dict[str, Callable[[], Row]] = {
        "columns": partial(_drawn, columns, rng),
        "corners": partial(_corner, {name: ends_of(values) for name, values in columns.items()}, rng),
        "one column": partial(_nudged, rows, list(columns), rng),
    }
    for kind, make in ways.items():
        yield kind, [make() for _ in range(n)]


def blended(one: Row, other: Row, rng: np.random.Generator) -> Row:
    share = float(rng.random())
    turns = rng.random(len(one)).tolist()
    return {
        name: _between(value, other.get(name), share, turn)
        for (name, value), turn in zip(one.items(), turns, strict=True)
    }


def _between(one: Value, other: Value, share: float, turn: float) -> Value:
    if not (is_number(one) and is_number(other)):
        return other if turn < share else one
    between = float(one) + share * (float(other) - float(one))  # type: ignore[arg-type]  # both are numbers
    whole = float(one).is_integer() and float(other).is_integer()  # type: ignore[arg-type]
    return float(np.rint(between)) if whole else between


def _drawn(columns: Mapping[str, Sequence[Value]], rng: np.random.Generator) -> Row:
    return {name: values[int(rng.integers(len(values)))] for name, values in columns.items()}


def _corner(ends: Mapping[str, Sequence[Value]], rng: np.random.Generator) -> Row:
    return _drawn(ends, rng)


def columns_of(rows: Sequence[Row]) -> dict[str, list[Value]]:
    """By name, in the order of names, the values of all rows; None where one has none."""
    return {name: [row.get(name) for row in rows] for name in sorted(set().union(*rows))}


def ends_of(values: Sequence[Value]) -> Sequence[Value]:
    """The least and the largest number; all values where there is none."""
    numbers = [value for value in values if is_number(value)]
    return [min(numbers), max(numbers)] if numbers else values  # type: ignore[type-var]  # all are numbers


def _nudged(rows: Sequence[Row], names: Sequence[str], rng: np.random.Generator) -> Row:
    row, other = (rows[int(i)] for i in rng.integers(len(rows), size=2))
    name = names[int(rng.integers(len(names)))]
    return {**row, name: other.get(name)}


def is_number(value: Value) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)
