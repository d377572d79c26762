"""Who has a row: all entities of a store as columns, to be searched, sorted and listed by the hundred thousand."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from detector.dashboard.reading import cursors
from detector.dashboard.shapes import Sort
from detector.profile.artefact import Profile
from detector.rings.accounts import ACCOUNT
from detector.run.database import Database

PAGE = 2_000  # rows read at once
NUMBERS = ("level", "peak", "queries", "last_at", "clone")
SORTS: Mapping[Sort, str] = {"score": "level", "exposure": "clone", "queries": "queries", "last": "last_at"}


class Someone(NamedTuple):
    """An entity of a list. level, peak: of the grid; clone: share of what a clone knows, -1 where nothing is known."""

    key: bytes
    kind: str
    id: str
    level: int
    peak: int
    queries: int
    last_at: int
    clone: float


@dataclass(frozen=True)
class People:
    """Sorted by (kind, id). numbers: a column each, of NUMBERS. orders: places from the highest number down."""

    names: Sequence[tuple[str, str]]
    keys: Sequence[bytes]
    folded: Sequence[str]
    kind: NDArray[np.uint8]
    kinds: tuple[str, ...]
    numbers: Mapping[str, NDArray[Any]]
    orders: Mapping[str, NDArray[np.int64]]

    def __len__(self) -> int:
        return len(self.names)

    def counts(self) -> dict[str, int]:
        """Entities by kind."""
        return dict(zip(self.kinds, np.bincount(self.kind, minlength=len(self.kinds)).tolist(), strict=True))

    def of_kind(self, kind: str) -> NDArray[np.bool_]:
        return self.kind == self.kinds.index(kind) if kind in self.kinds else np.zeros(len(self), np.bool_)

    def someone(self, place: int) -> Someone:
        numbers = (self.numbers[name][place].item() for name in NUMBERS)
        return Someone(self.keys[place], *self.names[place], *numbers)

    def find(self, kind: str, id_: str) -> Someone | None:
        place = bisect_right(self.names, (kind, id_)) - 1
        return self.someone(place) if place >= 0 and self.names[place] == (kind, id_) else None

    def listed(
        self, mask: NDArray[np.bool_] | None, search: str, sort: Sort, cursor: str | None, limit: int
    ) -> tuple[list[Someone], int, str | None]:
        """A part of the list, how many match, and the cursor of what follows. mask: who may be in it; None: all.

        Raises SettingsError for a cursor of another list.
        """
        column = SORTS[sort]
        wanted = self._matching(mask, search)
        order = self.orders[column]
        if wanted is not None:
            order = order[wanted[order]]
        start = 0
        if cursor is not None:
            value, kind, id_ = cursors.key_of(cursor, (float, str, str))
            last = bisect_right(self.names, (kind, id_)) - 1
            values = self.numbers[column][order]
            # Descending in the number, then ascending in the place: count those up to and with (value, last).
            above = int(np.searchsorted(-values, -value, side="left"))
            equal = int(np.searchsorted(-values, -value, side="right"))
            start = above + int(np.searchsorted(order[above:equal], last, side="right"))
        found = [self.someone(place) for place in order[start : start + limit].tolist()]
        following = None
        if start + limit < len(order):
            at = int(order[start + limit - 1])
            following = cursors.after((float(self.numbers[column][at]), *self.names[at]))
        return found, len(order), following

    def _matching(self, mask: NDArray[np.bool_] | None, search: str) -> NDArray[np.bool_] | None:
        if not search:
            return mask
        needle = search.casefold()
        found = np.fromiter((needle in id_ for id_ in self.folded), np.bool_, len(self.folded))
        return found if mask is None else found & mask


def people_of(db: Database, profile: Profile) -> People:
    """Reads the rows of all entities, in their own order: a part of each is looked at, all of it passes by."""
    named = {key: (kind, id_) for key, kind, id_ in db.stream("SELECT key, kind, id FROM names")}
    dtypes = {kind: profile.entities(kind).dtype for kind in {kind for kind, _ in named.values()} if kind != ACCOUNT}
    found: list[tuple[Any, ...]] = []
    for batch in _rows(db):
        for kind, dtype in dtypes.items():
            mine = [(key, row) for key, row in batch if key in named and named[key][0] == kind]
            rows = np.frombuffer(b"".join(row for _, row in mine), dtype)
            keys = [key for key, _ in mine]
            found += zip([named[key] for key in keys], keys, *(of(rows).tolist() for of in _READ), strict=True)
    found.sort(key=lambda row: row[0])
    return _people(found)


def _people(found: Sequence[tuple[Any, ...]]) -> People:
    names = [row[0] for row in found]
    kinds = tuple(dict.fromkeys(kind for kind, _ in names))
    columns = {name: np.array([row[2 + at] for row in found]) for at, name in enumerate(NUMBERS)}
    place = np.arange(len(found))
    return People(
        names=names,
        keys=[row[1] for row in found],
        folded=[id_.casefold() for _, id_ in names],
        kind=np.array([kinds.index(kind) for kind, _ in names], np.uint8),
        kinds=kinds,
        numbers=columns,
        orders={name: np.lexsort((place, -columns[name])) for name in SORTS.values()},
    )


def _rows(db: Database) -> Iterator[list[tuple[bytes, bytes]]]:
    """In parts, so that no read stays open and keeps the write-ahead log from being moved."""
    last = 0
    while rows := db.read("SELECT rowid, key, row FROM rows WHERE rowid > ? ORDER BY rowid LIMIT ?", last, PAGE):
        last = rows[-1][0]
        yield [(key, row) for _, key, row in rows]


def _field(name: str, otherwise: float = 0) -> Callable[[NDArray[Any]], NDArray[Any]]:
    def read(rows: NDArray[Any]) -> NDArray[Any]:
        return np.asarray(rows[name]) if name in (rows.dtype.names or ()) else np.full(len(rows), otherwise)

    return read


def _clone(rows: NDArray[Any]) -> NDArray[np.float64]:
    if "exposure_clone" not in (rows.dtype.names or ()):
        return np.full(len(rows), -1.0)
    return np.where(rows["exposure_look"] > 0, rows["exposure_clone"].astype(np.float64), -1.0)


_READ = (_field("tape_level"), _field("peak"), _field("n"), _field("clock"), _clone)
