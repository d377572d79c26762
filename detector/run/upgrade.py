"""Taking a store of an older version to this one's schema: tried on a copy, and a copy of what was is kept."""

from __future__ import annotations

from contextlib import closing
from pathlib import Path

from detector.errors import StoreError
from detector.run.backup import FILES, STATE
from detector.run.database import Database, Schema
from detector.run.lock import WriterLock


def upgrade(folder: Path) -> list[str]:
    """One line for each file. The copy that is kept stands beside it: `state.sqlite.schema-1`.

    Raises StoreLocked while a runner writes, StoreError for a newer or damaged file; the file is as it was then.
    """
    if not (folder / STATE).exists():
        raise StoreError(f"there is no store at {folder}")
    lock = WriterLock(folder / STATE)
    try:
        return [_upgraded(folder / name, schema) for name, schema in FILES]
    finally:
        lock.release()


def _upgraded(path: Path, schema: Schema) -> str:
    with closing(Database(path, schema, as_found=True)) as db:
        found = db.version(schema.part)
        if found is None:
            raise StoreError(f"{path} is no {schema.part}")
        if found > schema.version:
            Database(path, schema).close()  # says so, and why
        if found == schema.version:
            return f"{path}: {schema.part} schema {found}, nothing to do"
        kept = path.with_name(f"{path.name}.schema-{found}")
        db.copy_to(kept)
        _tried(db, schema, path.with_name(f"{path.name}.trial"))
        db.upgrade(schema)
    return f"{path}: {schema.part} schema {found} -> {schema.version}; as it was: {kept}"


def _tried(db: Database, schema: Schema, trial: Path) -> None:
    """Takes the steps on a copy. Raises StoreError when they fail there, or the file is damaged."""
    db.copy_to(trial)
    try:
        with closing(Database(trial, schema, as_found=True)) as copy:
            copy.upgrade(schema)
            copy.check()
            copy.connection.execute("PRAGMA journal_mode=DELETE")
        Database(trial, schema, must_exist=True).close()
    finally:
        for suffix in ("", "-wal", "-shm"):
            trial.with_name(trial.name + suffix).unlink(missing_ok=True)
