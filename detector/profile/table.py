"""Rows of named values, learned column by column: how they become numbers, and how usual they are together.

A value is known by its *code*: which part of a numeric column's range, which category, missing, or new. Two numbers of
a row come from codes alone (`FORM`): how rare its values are, each by itself, and whether they go together, along the
tree of columns that tells most of each other (Chow and Liu 1968). Rows drawn column by column, blends of rows and
corners of the ranges have usual values that do not go together.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from math import isfinite
from typing import Any, NamedTuple

import numba
import numpy as np
from numpy.typing import NDArray
from scipy.sparse.csgraph import breadth_first_order, minimum_spanning_tree

from detector.columns import NUMBERS, TEXT, WIDTH, Read, Unfit
from detector.errors import ProfileError
from detector.query import Query

FORM = ("rarity", "together")  # columns of Batch.form
CODES = 16
MISSING, NEW, FIRST = 0, 1, 2  # codes; from FIRST on: parts of a range, or categories
PARTS = 10  # of a numeric column's range
OWN = CODES - FIRST - 1  # categories with a code of their own; all others share the last
GRID = 65  # quantiles by which a number becomes a place in its column
FAR = 3.0  # ranges of a column, beyond which a number is as far out as can be
UNIFORM = np.sqrt(12.0)  # brings places between 0 and 1 to unit variance
MOST_NAMES = 256  # columns
PRIOR = 0.5  # counts that every code begins with
PAIR_PRIOR = 20.0  # rows that a pair of columns must have been seen in to be told apart from independent ones

_REAL = {int, float, type(None)}

Row = Mapping[str, str | float | bool | None]


class Table(NamedTuple):
    """What was learned of C columns, arrays alone, so that it can be kept in a profile.

    names (C,) text; numeric, whole (C,) bool: holds numbers, and only whole ones
    grid (C, GRID)       quantiles of a numeric column; cuts (C, PARTS - 1): where its parts end, infinite where equal
    category (K,) text, of (K,): the categories with a code of their own, and their column; weight (K,): their unit
    rare (C, CODES)      -log2 of each code's share
    parent (C,)          the column before it in the tree, -1 at a root
    lift (C, CODES, CODES)  log2 of how much likelier a code is beside its parent's code than by itself
    """

    names: NDArray[np.str_]
    numeric: NDArray[np.bool_]
    whole: NDArray[np.bool_]
    grid: NDArray[np.float64]
    cuts: NDArray[np.float64]
    category: NDArray[np.str_]
    of: NDArray[np.int64]
    weight: NDArray[np.float64]
    rare: NDArray[np.float64]
    parent: NDArray[np.int64]
    lift: NDArray[np.float64]

    @property
    def width(self) -> int:
        """Numbers that a row becomes."""
        return int(self.numeric.sum()) + len(self.category)

    def read(self, rows: Sequence[Row]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Places of numbers and flags of categories (n, width), and FORM (n, 2). Unknown names are left out."""
        codes = np.empty((len(rows), len(self.names)), np.int64)
        numbers = np.zeros((len(rows), self.width))
        every = np.arange(len(rows))
        at = 0
        for c, name in enumerate(self.names.tolist()):
            values = [row.get(name) for row in rows]
            if self.numeric[c]:
                found = _numbers(values)
                codes[:, c] = _parts(found, self.grid[c], self.cuts[c], bool(self.whole[c]))
                numbers[:, at] = _place(found, self.grid[c])
                at += 1
                continue
            mine = np.flatnonzero(self.of == c)
            codes[:, c] = _categories(values, self.category[mine].tolist())
            own = codes[:, c] - FIRST
            has = (own >= 0) & (own < len(mine))
            numbers[every[has], at + own[has]] = self.weight[mine[0]]
            at += len(mine)
        form = np.empty((len(rows), len(FORM)))
        _look_up(codes, self.rare, self.parent, self.lift, form)
        return numbers, form


class Named:
    """Reads queries whose inputs are rows of a table."""

    def __init__(self, table: Table) -> None:
        self.table = table
        self._names = table.names.tolist()

    def read(self, queries: Sequence[Query], width: int | None) -> Read:
        """The width is the table's own."""
        unfit = [Unfit(i, *why) for i, query in enumerate(queries) if (why := self._misfit(query.input))]
        gone = {one.place for one in unfit}
        rows = [{} if i in gone else query.input for i, query in enumerate(queries)]
        inputs, form = self.table.read(rows)  # type: ignore[arg-type]  # those that are no rows are gone
        inputs[sorted(gone)], form[sorted(gone)] = 0.0, 0.0
        return Read(inputs, form, unfit)

    def _misfit(self, asked: Any) -> tuple[str, str] | None:
        """Reason and message where an input is no row of this table."""
        if isinstance(asked, str):
            return TEXT, f"the input is text of {len(asked)} characters, this profile reads named values"
        if not isinstance(asked, dict):
            return NUMBERS, f"the input is {len(asked)} numbers without names, this profile reads named values"
        known = sum(name in asked for name in self._names)
        if 2 * known < len(self._names):
            return WIDTH, f"the input names {known} of the {len(self._names)} columns that this profile reads"
        return None


def learn(rows: Sequence[Row]) -> Table:
    """From rows of training data or of honest clients. Raises ProfileError when no column varies."""
    seen: dict[str, int] = {}
    for row in rows:
        for name in row:
            seen[name] = seen.get(name, 0) + 1
    names = [name for name in sorted(seen) if 2 * seen[name] >= len(rows)]
    columns = {name: [_finite(row.get(name)) for row in rows] for name in names}
    names = [name for name in names if len(set(columns[name])) > 1][:MOST_NAMES]
    if not names:
        raise ProfileError(f"the {len(rows)} rows have no column in common that varies: there is nothing to learn from")
    numeric = [_is_numeric(columns[name]) for name in names]
    grid, cuts = np.full((len(names), GRID), np.nan), np.full((len(names), PARTS - 1), np.inf)
    whole = np.zeros(len(names), np.bool_)
    category: list[str] = []
    of: list[int] = []
    weight: list[float] = []
    codes = np.empty((len(rows), len(names)), np.int64)
    for c, name in enumerate(names):
        if numeric[c]:
            numbers = _numbers(columns[name])
            there = numbers[~np.isnan(numbers)]
            whole[c] = bool((there == np.floor(there)).all())
            grid[c] = np.quantile(there, np.linspace(0, 1, GRID))
            ends = np.unique(np.quantile(there, np.linspace(0, 1, PARTS + 1)[1:-1]))
            cuts[c, : len(ends)] = ends
            codes[:, c] = _parts(numbers, grid[c], cuts[c], bool(whole[c]))
            continue
        told = [_told(value) for value in columns[name] if value is not None]
        values, counts = np.unique(told, return_counts=True)
        own = values[np.argsort(-counts, kind="stable")][:OWN].tolist()
        share = {value: count / len(rows) for value, count in zip(values.tolist(), counts.tolist(), strict=True)}
        unit = 1.0 / np.sqrt(sum(share[value] * (1 - share[value]) for value in own))
        category, of, weight = category + own, of + [c] * len(own), weight + [unit] * len(own)
        codes[:, c] = _categories(columns[name], own)
    rare, parent, lift = _usual(codes)
    arrays = np.array(names), np.array(numeric), whole, grid, cuts
    kinds = np.array(category, np.str_), np.array(of, np.int64), np.array(weight, np.float64)
    return Table(*arrays, *kinds, rare, parent, lift)


def _finite(value: Any) -> Any:
    return None if isinstance(value, float) and not isfinite(value) else value


def _is_numeric(values: Sequence[Any]) -> bool:
    return all(value is None or (isinstance(value, int | float) and not isinstance(value, bool)) for value in values)


def _numbers(values: Sequence[Any]) -> NDArray[np.float64]:
    """NaN where there is no finite number. A text that looks like one is none: numpy would read it in some batches."""
    if not {type(value) for value in values} <= _REAL:
        values = [value if type(value) in _REAL else None for value in values]
    numbers = np.array(values, np.float64)
    return np.where(np.isfinite(numbers), numbers, np.nan)


def _told(value: Any) -> str:
    """A category's name: 1, 1.0 and true are what the log wrote, and told apart from "1" by nobody."""
    if isinstance(value, float) and value.is_integer():
        return str(int(value))
    return str(value)


def _parts(
    numbers: NDArray[np.float64], grid: NDArray[np.float64], cuts: NDArray[np.float64], whole: bool
) -> NDArray[np.int64]:
    """The codes of a numeric column. New is what lies beyond all that was seen, or between its whole numbers."""
    codes = FIRST + np.searchsorted(cuts, numbers, side="left")
    new = (numbers < grid[0]) | (numbers > grid[-1])
    if whole:
        new |= numbers != np.floor(numbers)
    codes[new] = NEW
    codes[np.isnan(numbers)] = MISSING
    return codes


def _categories(values: Sequence[Any], own: list[str]) -> NDArray[np.int64]:
    """The codes of a column of categories. Those without one share the last; where none of them was seen, it is new."""
    other = CODES - 1 if len(own) == OWN else NEW
    codes: dict[Any, int] = {value: FIRST + i for i, value in enumerate(own)} | {None: MISSING}
    found = [codes.get(value, -1) if type(value) is str or value is None else -1 for value in values]
    return np.array([codes.get(_told(v), other) if f < 0 else f for f, v in zip(found, values, strict=True)], np.int64)


@numba.njit(cache=True)
def _place(numbers, grid):  # type: ignore[no-untyped-def]
    """Where in its column a number lies, 0 the least and 1 the largest that was seen, and on in a straight line. Of a
    number that many have, the middle of its places. np.interp gives other bits for batches of other sizes.
    """
    places = np.empty(numbers.size)
    span, last = max(grid[-1] - grid[0], 1e-300), grid.size - 1
    for i in range(numbers.size):
        number = numbers[i]
        if np.isnan(number):
            places[i] = 0.5
        elif number < grid[0]:
            places[i] = max((number - grid[0]) / span, -FAR)
        elif number > grid[last]:
            places[i] = 1.0 + min((number - grid[last]) / span, FAR)
        else:
            low, high = np.searchsorted(grid, number), np.searchsorted(grid, number, side="right") - 1
            step = 0.0 if low <= high else (number - grid[high]) / (grid[low] - grid[high])
            places[i] = (0.5 * (low + high) if low <= high else high + step) / last
    return UNIFORM * (places - 0.5)


def _usual(codes: NDArray[np.int64]) -> tuple[NDArray[np.float64], NDArray[np.int64], NDArray[np.float64]]:
    """rare, parent and lift of a table, from the codes of its rows (n, C)."""
    n, width = codes.shape
    flags = codes[:, :, None] == np.arange(CODES)
    shares = (flags.sum(0) + PRIOR) / (n + PRIOR * CODES)
    flat = flags.reshape(n, -1).astype(np.float32)
    pairs = (flat.T @ flat).reshape(width, CODES, width, CODES).transpose(0, 2, 1, 3).astype(np.float64)
    alone = shares[:, None, :, None] * shares[None, :, None, :]
    together = (pairs + PAIR_PRIOR * alone) / (n + PAIR_PRIOR)
    lift = np.log2(together / alone)
    information = (together * lift).sum((2, 3))
    parent = _tree(information)
    chosen = np.zeros((width, CODES, CODES))
    for c in np.flatnonzero(parent >= 0):
        chosen[c] = lift[c, parent[c]]
    return -np.log2(shares), parent, chosen


def _tree(information: NDArray[np.float64]) -> NDArray[np.int64]:
    """The columns' parents in the spanning tree of most mutual information."""
    if len(information) == 1:
        return np.array([-1], np.int64)
    edges = minimum_spanning_tree(-np.triu(information, 1) - 1e-9 * np.triu(np.ones_like(information), 1))
    before = breadth_first_order(edges, 0, directed=False)[1].astype(np.int64)
    return np.asarray(np.where(before < 0, -1, before), np.int64)


@numba.njit(cache=True)
def _look_up(codes, rare, parent, lift, form):  # type: ignore[no-untyped-def]
    for i in range(codes.shape[0]):
        rarity, together = 0.0, 0.0
        for c in range(codes.shape[1]):
            rarity += rare[c, codes[i, c]]
            if parent[c] >= 0:
                together += lift[c, codes[i, c], codes[i, parent[c]]]
        form[i, 0] = rarity
        form[i, 1] = together
