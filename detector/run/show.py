"""A store in words: what it holds, how large it is, how far it has read; beside its runner, in any schema version."""

from __future__ import annotations

from contextlib import closing
from pathlib import Path

from detector.run.backup import FILES, STATE
from detector.run.database import Database, Schema

COUNTS = (
    ("entities", "SELECT count(*) FROM names"),
    ("cases", "SELECT count(*) FROM cases"),
    ("points of the tape", "SELECT count(*) FROM tape"),
    ("dead letters", "SELECT count(*) FROM dead_letters"),
    ("policies", "SELECT count(*) FROM policies"),
)


def show(folder: Path) -> list[str]:
    """The lines of `querywarden store show`. Raises StoreError when there is no store."""
    lines = []
    for name, schema in FILES:
        with closing(Database(folder / name, schema, as_found=True)) as db:
            lines.append(_file(db, schema))
            lines += _state(db) if name == STATE else _outbox(db)
    return lines


def _file(db: Database, schema: Schema) -> str:
    found = db.version(schema.part)
    log = db.path.with_name(f"{db.path.name}-wal")
    size = db.path.stat().st_size + (log.stat().st_size if log.exists() else 0)
    hint = "" if found == schema.version else f" (this version needs {schema.version}: `querywarden store upgrade`)"
    return f"{db.path}: {size / 2**20:,.1f} MiB, {schema.part} schema {found}{hint}"


def _state(db: Database) -> list[str]:
    profile = db.read("SELECT value FROM meta WHERE name = 'profile'")[0][0]
    counts = ", ".join(f"{db.read(sql)[0][0]:,} {what}" for what, sql in COUNTS)
    lines = [f"  profile {profile}", f"  {counts}"]
    if db.read("SELECT 1 FROM sqlite_master WHERE name = 'forgettings'"):
        by_state = dict(db.read("SELECT state, count(*) FROM forgettings GROUP BY state"))
        lines.append(f"  forgotten: {by_state.get('done', 0):,}; asked for: {by_state.get('waiting', 0):,}")
    if db.read("SELECT 1 FROM sqlite_master WHERE name = 'verdicts'"):
        (given,) = db.read("SELECT count(*) FROM verdicts")[0]
        lines.append(f"  verdicts: {given:,}")
    positions = db.read("SELECT stream, next_offset FROM positions ORDER BY stream")
    return lines + [f"  read to {offset:,} of {stream}" for stream, offset in positions]


def _outbox(db: Database) -> list[str]:
    kept, known = db.read("SELECT count(payload), count(*) FROM outbox")[0]
    lines = [f"  {kept:,} alerts, {known:,} ids"]
    waiting = "(SELECT count(*) FROM outbox o WHERE o.seq > s.seq AND payload IS NOT NULL)"
    sinks = db.read(f"SELECT sink, {waiting} FROM sink_positions s ORDER BY sink")  # noqa: S608  # the line above
    return lines + [f"  sink {sink}: {count:,} wait" for sink, count in sinks]
