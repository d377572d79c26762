"""How SQLite is opened here: what survives a crash, which schema a file has, and what SQLite's errors mean to a person.

Write-ahead log, `synchronous=FULL`. A killed process alone would allow less: what it wrote stays in the system's page
cache. After a power cut `NORMAL` keeps a file whole but may lose its last commits, and two promises do not bear that.
An alert must be in the outbox before the snapshot that stands behind it is (they are two files: losing the first and
keeping the second is an alert that no replay repeats), and a policy must be in the journal before it is used. FULL
costs one fsync a transaction, and there are few transactions.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any, NamedTuple

from detector.errors import StoreError

BUSY_S = 60.0  # longer than any snapshot holds the file
CACHE_KIB = 65_536
SYNCHRONOUS = "FULL"
WAL_LIMIT = 64 * 2**20  # bytes that the log keeps after a large snapshot was moved into the file

MEANINGS = {
    sqlite3.SQLITE_FULL: "the disk is full. Nothing of this step was kept, everything before it is whole; free space",
    sqlite3.SQLITE_IOERR: "the disk failed. Nothing of this step was kept",
    sqlite3.SQLITE_BUSY: f"another process kept the file locked for more than {BUSY_S:.0f} s",
    sqlite3.SQLITE_LOCKED: "the file is locked by another reader of this process",
    sqlite3.SQLITE_CORRUPT: "the file is damaged. Put it aside and replay the log into a new one",
    sqlite3.SQLITE_NOTADB: "this is not an SQLite file",
    sqlite3.SQLITE_READONLY: "the file or its folder may not be written",
    sqlite3.SQLITE_CANTOPEN: "the file cannot be opened: does its folder exist, and may it be written?",
}


class Schema(NamedTuple):
    """`part` names who owns the tables; `steps[n]` are the statements that lead from version n to n + 1.

    Every change that an older program would misread is a step. One that was ever released is never changed.
    """

    part: str
    steps: tuple[tuple[str, ...], ...]

    @property
    def version(self) -> int:
        return len(self.steps)


class Database:
    """One connection to one file, for the thread that opened it.

    as_found: takes the file in whatever version it is, to look at it or to upgrade it; makes none.
    """

    def __init__(
        self,
        path: str | Path,
        schema: Schema,
        *,
        page_size: int = 4096,
        must_exist: bool = False,
        as_found: bool = False,
    ) -> None:
        self.path = Path(path)
        if (must_exist or as_found) and not self.path.exists():
            raise StoreError(f"there is no {schema.part} at {self.path}")
        with self.explained("cannot be opened"):
            self.connection = sqlite3.connect(self.path, timeout=BUSY_S, isolation_level=None)
        try:
            self._prepare(page_size)
            if not as_found:
                self._fit(schema)
        except StoreError:
            self.connection.close()
            raise

    def _prepare(self, page_size: int) -> None:
        with self.explained("cannot be opened"):
            self.connection.execute(f"PRAGMA page_size={page_size}")  # holds for a new file only
            self.connection.execute("PRAGMA journal_mode=WAL")
            self.connection.execute(f"PRAGMA synchronous={SYNCHRONOUS}")
            self.connection.execute("PRAGMA fullfsync=1")  # macOS: fsync alone stops at the drive's own cache
            self.connection.execute(f"PRAGMA cache_size=-{CACHE_KIB}")
            self.connection.execute(f"PRAGMA journal_size_limit={WAL_LIMIT}")
            self.connection.execute("PRAGMA secure_delete=1")  # what is forgotten is overwritten, not only unlinked

    def _fit(self, schema: Schema) -> None:
        found = self.version(schema.part)
        if found is None:
            found = self._create(schema)
        if found > schema.version:
            raise StoreError(
                f"{self.path} was written by a newer querywarden ({schema.part} schema {found}; this one knows up to "
                f"{schema.version}): run that version, or start with another file"
            )
        if found < schema.version:
            raise StoreError(
                f"{self.path} has {schema.part} schema {found}, this querywarden needs {schema.version}: "
                "run `querywarden store upgrade`, which tries it on a copy first and keeps one"
            )

    def version(self, part: str) -> int | None:
        """The version of a part's tables; None where the file has none of them."""
        if not self.read("SELECT 1 FROM sqlite_master WHERE type = 'table' AND name = 'schema_version'"):
            return None
        rows = self.read("SELECT version FROM schema_version WHERE part = ?", part)
        return int(rows[0][0]) if rows else None

    def _create(self, schema: Schema) -> int:
        with self.transaction("its tables cannot be made") as db:
            db.execute("CREATE TABLE IF NOT EXISTS schema_version(part TEXT PRIMARY KEY, version INTEGER NOT NULL)")
            known = db.execute("SELECT version FROM schema_version WHERE part = ?", (schema.part,)).fetchone()
            if known:  # another thread was first
                return int(known[0])
            db.execute("INSERT INTO schema_version VALUES (?, 0)", (schema.part,))
            _step(db, schema, 0)
        return schema.version

    def upgrade(self, schema: Schema) -> None:
        """Takes the steps that the file has not taken, all or none of them."""
        with self.transaction("cannot be upgraded") as db:
            found = self.version(schema.part)
            if found is not None:
                _step(db, schema, found)

    def read(self, sql: str, *values: Any) -> list[tuple[Any, ...]]:
        """All rows at once, so that no read stays open and keeps the write-ahead log from being moved."""
        with self.explained("cannot be read"):
            return self.connection.execute(sql, values).fetchall()

    def stream(self, sql: str, *values: Any) -> Iterator[tuple[Any, ...]]:
        """Row by row: only where the reader is done before the next write (loading)."""
        with self.explained("cannot be read"):
            yield from self.connection.execute(sql, values)

    def copy_to(self, target: Path) -> None:
        """Writes the file as it is at this moment to `target`: one file, durable, while others read and write this one.

        All pages in one step: SQLite begins a copy in several steps anew whenever somebody writes meanwhile.
        """
        target.unlink(missing_ok=True)
        with self.explained(f"cannot be copied to {target}"), closing(sqlite3.connect(target)) as copy:
            self.connection.backup(copy, pages=-1)
            copy.execute("PRAGMA journal_mode=DELETE")

    def check(self) -> None:
        """Raises StoreError when the file is damaged."""
        with self.explained("cannot be read"):
            found = self.connection.execute("PRAGMA quick_check(1)").fetchone()[0]
        if found != "ok":
            raise StoreError(f"{self.path} is damaged: {found}")

    @contextmanager
    def transaction(self, failed: str) -> Iterator[sqlite3.Connection]:
        """All or nothing, and durable once the block was left. `failed` starts the sentence of a StoreError."""
        with self.explained(failed):
            self.connection.execute("BEGIN IMMEDIATE")
            try:
                yield self.connection
                self.connection.execute("COMMIT")
            finally:
                if self.connection.in_transaction:  # the block or the COMMIT raised; some errors roll back themselves
                    self.connection.execute("ROLLBACK")

    @contextmanager
    def explained(self, failed: str) -> Iterator[None]:
        try:
            yield
        except sqlite3.ProgrammingError:  # a wrong statement or a closed connection is our mistake, not the disk's
            raise
        except sqlite3.Error as error:
            primary = getattr(error, "sqlite_errorcode", 0) & 0xFF
            raise StoreError(f"{self.path} {failed}: {MEANINGS.get(primary, str(error))} ({error})") from error

    def close(self) -> None:
        self.connection.close()


def _step(db: sqlite3.Connection, schema: Schema, found: int) -> None:
    for step in schema.steps[found:]:
        for statement in step:
            db.execute(statement)
    db.execute("UPDATE schema_version SET version = ? WHERE part = ?", (schema.version, schema.part))
