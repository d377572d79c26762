"""Copies of a store that are taken while it is written, and put back: in which order its two files may differ.

The state says how far the log was read; the outbox holds every alert that was decided up to there. From a restored pair
the log is read again behind the state's positions. So the outbox may know more than the state: what it knows already
is told to nobody twice. It must never know less: what was decided before the positions is decided by nobody again, and
would be lost. Hence the state is copied first and the outbox second, and both are put back in that order.

What is told twice: alerts that were delivered after the copy was made, since the copy does not know it. They come with
the ids that they had. The log must reach back to the positions of the copy.

What the dashboard keeps in a file of its own (drafts, audit, tokens) is copied last, where there is one: nothing that
decides depends on it.

Who was forgotten after the copy was made is in it. The journal of the store that it replaces tells (by key, the names
are gone), and the restored store is asked to forget them again.
"""

from __future__ import annotations

import hashlib
import os
import shutil
from contextlib import closing
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path

import msgspec

from detector.errors import StoreError
from detector.run import outbox, store
from detector.run.database import Database, Schema
from detector.run.lock import WriterLock

FORMAT = 1
MANIFEST = "manifest.json"
STATE, OUTBOX = "state.sqlite", "outbox.sqlite"
FILES: tuple[tuple[str, Schema], ...] = ((STATE, store.SCHEMA), (OUTBOX, outbox.SCHEMA))  # in this order, always
DASHBOARD = "dashboard.sqlite"  # made and migrated elsewhere: a file of SQLite to us
THEIRS = Schema("dashboard", ())
BESIDE = ("-wal", "-shm")  # SQLite's own files beside a database
BLOCK = 1 << 20


class Copied(msgspec.Struct, frozen=True):
    """A file of a backup: its part's schema (0: the dashboard's, which knows its own), its size, and the BLAKE2b of its
    bytes (32 bytes, hexadecimal).
    """

    schema: int
    bytes: int
    blake2b: str


class Manifest(msgspec.Struct, frozen=True):
    """What a backup says of itself. It is written last: a folder without it is no backup.

    made_at: RFC 3339. profile: the id of the profile that the rows belong to. positions: of the state, by stream.
    """

    format: int
    querywarden: str
    made_at: str
    profile: str
    positions: dict[str, int]
    files: dict[str, Copied]


class Restored(msgspec.Struct, frozen=True):
    """aside: where the files that were there before are now. forgotten: how many are to be forgotten again; None: the
    store that was there before could not be asked.
    """

    manifest: Manifest
    aside: Path | None
    forgotten: int | None


def backup(folder: Path, target: Path, at: datetime) -> Manifest:
    """Copies the store in `folder` into the new or empty folder `target`. Its runner may go on meanwhile.

    Raises StoreError when there is no store, `target` holds something, or a file is damaged.
    """
    if target.exists() and (not target.is_dir() or any(target.iterdir())):
        raise StoreError(f"{target} is there already and not empty: a backup gets a folder of its own")
    for name, schema in FILES:
        Database(folder / name, schema, must_exist=True).close()
    target.mkdir(mode=0o700, parents=True, exist_ok=True)
    for name, schema in FILES:
        with closing(Database(folder / name, schema, must_exist=True)) as db:
            db.copy_to(target / name)
    if (folder / DASHBOARD).exists():
        with closing(Database(folder / DASHBOARD, THEIRS, as_found=True)) as db:
            db.copy_to(target / DASHBOARD)
    manifest = _described(target, at)
    partial = target / f"{MANIFEST}.partial"
    partial.write_bytes(msgspec.json.format(msgspec.json.encode(manifest), indent=2) + b"\n")
    _sync(partial)
    os.replace(partial, target / MANIFEST)
    _sync(target)
    return manifest


def _described(target: Path, at: datetime) -> Manifest:
    with closing(Database(target / STATE, store.SCHEMA, as_found=True)) as db:
        profile = str(db.read("SELECT value FROM meta WHERE name = 'profile'")[0][0])
        positions = dict(db.read("SELECT stream, next_offset FROM positions"))
    files = (*FILES, (DASHBOARD, THEIRS)) if (target / DASHBOARD).exists() else FILES
    copied = {name: _checked(target / name, schema) for name, schema in files}
    return Manifest(FORMAT, version("querywarden"), at.astimezone(UTC).isoformat(), profile, positions, copied)


def _checked(path: Path, schema: Schema) -> Copied:
    """Raises StoreError when the file is damaged."""
    with closing(Database(path, schema, as_found=True)) as db:
        db.check()
        found = 0 if schema is THEIRS else db.version(schema.part)
        db.connection.execute("PRAGMA journal_mode=DELETE")  # one file again
    if found is None:
        raise StoreError(f"{path} is no {schema.part}")
    return Copied(found, path.stat().st_size, _digest(path))


def restore(source: Path, folder: Path, profile: str, *, force: bool, at: datetime) -> Restored:
    """Puts a backup back into `folder`, for the profile with the id `profile`.

    force: replaces a store that is there; its files are kept in a folder beside it. Interrupted, it can be run again.
    Raises StoreLocked while a runner writes there; StoreError for what is damaged, newer, or another profile's.
    """
    manifest = _verified(source, profile)
    folder.mkdir(parents=True, exist_ok=True)
    lock = WriterLock(folder / STATE)
    try:
        names = [name for name in (STATE, OUTBOX, DASHBOARD) if name in manifest.files]
        there = [name for name, _ in FILES if (folder / name).exists()]
        if there and not force:
            raise StoreError(f"{folder} holds a store already: --force replaces it, and keeps it in a folder beside")
        for name in names:
            _bring(source / name, folder / f"{name}.restoring")
        forgotten = _asked_again(folder, manifest) if STATE in there else 0
        before = there or any((folder / name).exists() for name in names)
        aside = folder / f"before-restore-{at.astimezone(UTC):%Y%m%dT%H%M%SZ}" if before else None
        for name in names:
            _replace(folder, name, aside)
        _sync(folder)
    finally:
        lock.release()
    return Restored(manifest, aside, forgotten)


def _verified(source: Path, profile: str) -> Manifest:
    manifest = manifest_of(source)
    if manifest.profile != profile:
        raise StoreError(f"the backup {source} holds rows of profile {manifest.profile}, the settings name {profile}")
    for name, schema in (*FILES, (DASHBOARD, THEIRS)):
        copied = manifest.files.get(name)
        if copied is None and schema is THEIRS:
            continue
        if copied is None or not (source / name).is_file():
            raise StoreError(f"the backup {source} lacks {name}")
        if (source / name).stat().st_size != copied.bytes or _digest(source / name) != copied.blake2b:
            raise StoreError(f"{source / name} is not the file that was backed up: its bytes do not fit the manifest")
        if copied.schema > schema.version:
            raise StoreError(
                f"the backup {source} was made by a newer querywarden ({schema.part} schema {copied.schema}; this one "
                f"knows up to {schema.version}): restore it with that version"
            )
    return manifest


def manifest_of(source: Path) -> Manifest:
    """Raises StoreError where there is none that this version reads."""
    try:
        manifest = msgspec.json.decode((source / MANIFEST).read_bytes(), type=Manifest)
    except OSError as error:
        raise StoreError(f"{source} is no backup: {source / MANIFEST}: {error.strerror}") from error
    except msgspec.MsgspecError as error:
        raise StoreError(f"{source / MANIFEST} cannot be read: {error}") from error
    if manifest.format != FORMAT:
        raise StoreError(f"the backup {source} has format {manifest.format}, this version reads {FORMAT}")
    return manifest


def _bring(source: Path, target: Path) -> None:
    """Byte by byte: opening the backup with SQLite would change it."""
    for suffix in BESIDE:
        target.with_name(target.name + suffix).unlink(missing_ok=True)
    shutil.copyfile(source, target)
    _sync(target)


def _asked_again(folder: Path, manifest: Manifest) -> int | None:
    """Asks the copy to forget whom the store that it replaces has forgotten since."""
    since = datetime.fromisoformat(manifest.made_at).timestamp()
    columns = "kind, entity, key, keep_alerts, asked_at, positions"
    try:
        with closing(Database(folder / STATE, store.SCHEMA, must_exist=True)) as old:
            rows = old.read(f"SELECT {columns} FROM forgettings WHERE asked_at >= ? OR state = 'waiting'", since)  # noqa: S608
    except StoreError:  # damaged, which may be why it is replaced, or of the first version
        return None
    copy = folder / f"{STATE}.restoring"
    with closing(Database(copy, store.SCHEMA, as_found=True)) as new:
        if manifest.files[STATE].schema < store.SCHEMA.version:
            return None if rows else 0
        with new.transaction("cannot be told whom to forget") as db:
            db.execute("DELETE FROM forgettings WHERE state = 'waiting'")  # they are among the rows
            db.executemany(f"INSERT INTO forgettings({columns}) VALUES (?, ?, ?, ?, ?, ?)", rows)  # noqa: S608
        new.connection.execute("PRAGMA journal_mode=DELETE")
    return len(rows)


def _replace(folder: Path, name: str, aside: Path | None) -> None:
    """Puts the new file in the old one's place; the old one, with what SQLite keeps beside it, goes aside first.

    A hard link, so that there is a file of this name at every moment; a log left beside a new database would be
    replayed into it.
    """
    if aside is not None and (folder / name).exists():
        aside.mkdir(exist_ok=True)
        (aside / name).unlink(missing_ok=True)
        os.link(folder / name, aside / name)
        for suffix in BESIDE:
            if (folder / f"{name}{suffix}").exists():
                os.replace(folder / f"{name}{suffix}", aside / f"{name}{suffix}")
    os.replace(folder / f"{name}.restoring", folder / name)


def _digest(path: Path) -> str:
    digest = hashlib.blake2b(digest_size=32)
    with path.open("rb") as file:
        while block := file.read(BLOCK):
            digest.update(block)
    return digest.hexdigest()


def _sync(path: Path) -> None:
    number = os.open(path, os.O_RDONLY)
    try:
        os.fsync(number)
    finally:
        os.close(number)
