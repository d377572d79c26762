"""Sweeps of a model of tables that nobody made, of honest people's rows: what `sweeps` does for text.

A row that was never asked got no answer, and `fit` cannot ask the model: the answer to what it was made of stands in.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import cast

import msgspec
import numpy as np
from numpy.typing import NDArray

from detector.learned.made_rows import Row, Value, blended, columns_of, ends_of, is_number
from detector.learned.sweeps import LENGTH, Rng, Sweeps, of_kinds
from detector.query import Query

SEEDS = 4, 24  # natural rows that neighbours are made of
RUN = 6, 24  # rows of a run through one column
HIDING = ("columns", "blends", "corners", "one column")


def of_rows(queries: Sequence[Query], owner: NDArray[np.int64], each: int, seed: int) -> Sweeps:
    """`each` sweeps of every kind, and half as many of the HIDING kinds hidden, of queries of named values, owner (n,)
    of each in the order in which each client asked.

    shuffled    rows of many people
    columns     each value from another row
    blends      rows between two of any people
    corners     numbers at the ends of their ranges, other values as they come
    one column  a row with one value through what others have there, then another row
    neighbours  a few rows, and rows that differ from them in a value or two
    even        numbers evenly over their ranges, each other value as likely
    """
    rng = np.random.default_rng(seed)
    maker = _Maker(queries, rng)
    kinds: dict[str, Callable[[], NDArray[np.int64]]] = {
        "shuffled": maker.shuffled,
        "columns": maker.columns,
        "blends": maker.blends,
        "corners": maker.corners,
        "one column": maker.one_column,
        "neighbours": maker.neighbours,
        "even": maker.even,
    }
    return Sweeps(*of_kinds(kinds, HIDING, owner, each, rng), maker.queries)


class _Maker:
    """Sweeps as places among `queries`: the people's own, and behind them what is made."""

    def __init__(self, queries: Sequence[Query], rng: Rng) -> None:
        self._rng, self._own = rng, len(queries)
        self.queries = list(queries)
        self._values = columns_of([cast(Row, query.input) for query in queries])
        self._ends = {name: ends_of(values) for name, values in self._values.items()}
        self._known = {name: sorted({*values} - {None}, key=str) or [None] for name, values in self._values.items()}

    def shuffled(self) -> NDArray[np.int64]:
        return self._rng.choice(self._own, LENGTH, replace=self._own < LENGTH)

    def columns(self) -> NDArray[np.int64]:
        return self._made(lambda row: {name: self._one_of(values) for name, values in self._values.items()})

    def blends(self) -> NDArray[np.int64]:
        return self._made(lambda row: blended(row, self._row(int(self._rng.integers(self._own))), self._rng))

    def corners(self) -> NDArray[np.int64]:
        return self._made(lambda row: {name: self._one_of(values) for name, values in self._ends.items()})

    def even(self) -> NDArray[np.int64]:
        return self._made(lambda row: {name: self._evenly(name) for name in self._values})

    def one_column(self) -> NDArray[np.int64]:
        found: list[int] = []
        while len(found) < LENGTH:
            place, name = int(self._rng.integers(self._own)), self._name()
            draw = self._evenly if self._rng.random() < 0.5 else lambda name: self._one_of(self._values[name])
            run = [{**self._row(place), name: draw(name)} for _ in range(int(self._rng.integers(*RUN)))]
            found += [self._told(place, row) for row in run]
        return np.array(found[:LENGTH], np.int64)

    def neighbours(self) -> NDArray[np.int64]:
        seeds = self._rng.integers(self._own, size=int(self._rng.integers(*SEEDS))).tolist()
        found = list(seeds)
        while len(found) < LENGTH:
            place = int(self._rng.choice(seeds))
            some = {name: self._one_of(self._values[name]) for name in (self._name(), self._name())}
            found.append(self._told(place, {**self._row(place), **some}))
        return np.array(found[:LENGTH], np.int64)

    def _made(self, make: Callable[[Row], Row]) -> NDArray[np.int64]:
        return np.array([self._told(place, make(self._row(place))) for place in self.shuffled().tolist()], np.int64)

    def _told(self, place: int, row: Row) -> int:
        self.queries.append(msgspec.structs.replace(self.queries[place], input=dict(row)))
        return len(self.queries) - 1

    def _row(self, place: int) -> Row:
        return cast(Row, self.queries[place].input)

    def _name(self) -> str:
        return str(self._rng.choice(list(self._values)))

    def _one_of(self, values: Sequence[Value]) -> Value:
        return values[int(self._rng.integers(len(values)))]

    def _evenly(self, name: str) -> Value:
        low, high = self._ends[name][0], self._ends[name][-1]
        if not (is_number(low) and is_number(high)):
            return self._one_of(self._known[name])
        whole = float(cast(float, low)).is_integer() and float(cast(float, high)).is_integer()
        value = float(self._rng.uniform(cast(float, low), cast(float, high)))
        return float(np.rint(value)) if whole else value
