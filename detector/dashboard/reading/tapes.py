"""Where the points of a tape are read from: the store's own file here; a database that keeps them longer says the same
(keeping/history.py).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import closing
from pathlib import Path
from typing import NamedTuple, Protocol

from detector.run.database import Database
from detector.run.store import Reader
from detector.tape import Point

PAGE = 20_000


class Row(NamedTuple):
    """A point as it was saved. tick: in which it was decided; None where that is the one of its `at`."""

    tick: int | None
    point: bytes


class Mark(NamedTuple):
    """How far a tape was read: to which row, and to which snapshot. epoch: of what was not taken away since."""

    epoch: tuple[object, ...]
    row: int
    saved: int


class Read(NamedTuple):
    """A part of what is new, with how far it goes. asked: queries by tick, each as it stands now."""

    mark: Mark
    rows: Sequence[Row]
    asked: Mapping[int, int]


class Tape(Protocol):
    """Called from several threads. days: of log time for which points are kept. Raises StoreError."""

    @property
    def days(self) -> int: ...

    def new(self, mark: Mark | None) -> Iterator[Read]:
        """What was kept since `mark`, in parts; from the beginning where it is None."""
        ...

    def goes_on(self, mark: Mark) -> bool:
        """Whether what was read up to `mark` is all there still: pruning aside, which is by age."""
        ...

    def scored(self, key: bytes) -> list[Point]:
        """The points of an entity's score, in order."""
        ...

    def latest(self, keys: Iterable[bytes]) -> dict[bytes, bytes]:
        """The newest points of entities' scores, as they were saved."""
        ...

    def close(self) -> None: ...


class StoreTape:
    """The tape of the store's file."""

    def __init__(self, folder: Path, days: int) -> None:
        self._path = folder / "state.sqlite"
        self.days = days

    def new(self, mark: Mark | None) -> Iterator[Read]:
        with closing(Reader(self._path)) as reader:
            yield from news(reader.db, mark)

    def goes_on(self, mark: Mark) -> bool:
        with closing(Reader(self._path)) as reader:
            return goes_on(reader.db, mark)

    def scored(self, key: bytes) -> list[Point]:
        with closing(Reader(self._path)) as reader:
            return [point for point in reader.tape(key=key) if not point.budget]

    def latest(self, keys: Iterable[bytes]) -> dict[bytes, bytes]:
        sql = "SELECT point FROM tape WHERE key = ? AND budget = 0 ORDER BY n DESC LIMIT 1"
        with closing(Reader(self._path)) as reader:
            found = ((key, reader.db.read(sql, key)) for key in keys)
            return {key: rows[0][0] for key, rows in found if rows}

    def close(self) -> None:
        pass


def news(db: Database, mark: Mark | None) -> Iterator[Read]:
    """See Tape.new."""
    row, saved = (mark.row, mark.saved) if mark else (0, 0)
    while True:
        (forgotten,) = db.read("SELECT count(*) FROM forgettings WHERE state = 'done'")[0]
        asked = db.read("SELECT tick, queries, saved FROM asked WHERE saved > ? ORDER BY saved", saved)
        rows = db.read(
            "SELECT rowid, key, n, budget, tick, point FROM tape WHERE rowid > ? ORDER BY rowid LIMIT ?", row, PAGE
        )
        if not rows and not asked:
            return
        row, saved = (rows[-1][0] if rows else row), (asked[-1][2] if asked else saved)
        epoch = (forgotten, *(rows[-1][1:4] if rows else _identity(db, row)))
        yield Read(Mark(epoch, row, saved), [Row(*one[4:6]) for one in rows], {tick: count for tick, count, _ in asked})


def goes_on(db: Database, mark: Mark) -> bool:
    """See Tape.goes_on. Numbers of rows are given anew when the last rows were pruned or forgotten: then the last one
    that was read is another.
    """
    (forgotten,) = db.read("SELECT count(*) FROM forgettings WHERE state = 'done'")[0]
    (saved,) = db.read("SELECT COALESCE(max(saved), 0) FROM asked")[0]
    return bool(mark.epoch == (forgotten, *_identity(db, mark.row)) and mark.saved <= saved)


def _identity(db: Database, row: int) -> tuple[object, ...]:
    found = db.read("SELECT key, n, budget FROM tape WHERE rowid = ?", row)
    return found[0] if found else ()
