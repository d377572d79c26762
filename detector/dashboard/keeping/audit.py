"""Who did what, when and why: entries that are only ever appended, each hashed together with the one before it.

The chain shows that an entry was changed, taken out or put in between. It cannot show that the end was cut off: the
entries that the SIEM was sent do, and the head that somebody wrote down.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from typing import Any

import msgspec
from sqlalchemy import Connection, func, insert, select

from detector.dashboard.keeping.opening import alone
from detector.dashboard.keeping.tables import AUDIT, storable
from detector.dashboard.shapes import AuditEntry, AuditState

GENESIS = "0" * 64  # stands before the first entry
PAGE = 5_000
_COLUMNS = (AUDIT.c.seq, AUDIT.c.made_ms, AUDIT.c.who, AUDIT.c.role, AUDIT.c.what, AUDIT.c.subject, AUDIT.c.why)
_ALL = (*_COLUMNS, AUDIT.c.before, AUDIT.c.after, AUDIT.c.hash)


class Deed(msgspec.Struct, frozen=True, kw_only=True):
    """What is to be written down. before, after: JSON text, "" where there is none."""

    who: str
    role: str
    what: str
    subject: str = ""
    why: str = ""
    before: str = ""
    after: str = ""


def append(db: Connection, deed: Deed, now: float) -> AuditEntry:
    """Adds an entry in the transaction of `db`; `now`: wall clock, seconds. One writer at a time."""
    alone(db, AUDIT)
    last = db.execute(select(AUDIT.c.seq, AUDIT.c.hash).order_by(AUDIT.c.seq.desc()).limit(1)).first()
    seq, previous = (last.seq + 1, last.hash) if last else (1, GENESIS)
    words = {name: storable(value) for name, value in msgspec.structs.asdict(deed).items()}
    row: dict[str, Any] = {"seq": seq, "made_ms": round(now * 1000), **words}
    row["hash"] = hashed(row, previous)
    db.execute(insert(AUDIT).values(row))
    return _entry(row)


def hashed(row: dict[str, Any], previous: str) -> str:
    """SHA-256 over the canonical JSON (keys sorted, no spaces) of all fields but the hash, and the hash before it."""
    content = {**{name: value for name, value in row.items() if name != "hash"}, "previous": previous}
    return hashlib.sha256(msgspec.json.encode(content, order="sorted")).hexdigest()


def state(db: Connection) -> AuditState:
    """Follows the whole chain."""
    previous, count, broken = GENESIS, 0, None
    for row in _walked(db):
        count += 1
        follows = row["seq"] == count and row["hash"] == hashed(row, previous)
        if broken is None and not follows:
            broken = int(row["seq"])
        previous = row["hash"]
    return AuditState(entries=count, head=previous, broken_at=broken)


def after(db: Connection, seq: int, limit: int) -> tuple[AuditEntry, ...]:
    """The next entries behind `seq`, oldest first."""
    rows = db.execute(select(*_ALL).where(AUDIT.c.seq > seq).order_by(AUDIT.c.seq).limit(limit))
    return tuple(_entry(dict(row._mapping)) for row in rows)


def newest(db: Connection, before: int | None, limit: int) -> tuple[tuple[AuditEntry, ...], int]:
    """At most `limit` entries with a number below `before`, the newest first; and how many there are in all."""
    wanted = select(*_ALL).order_by(AUDIT.c.seq.desc()).limit(limit)
    if before is not None:
        wanted = wanted.where(AUDIT.c.seq < before)
    rows = tuple(_entry(dict(row._mapping)) for row in db.execute(wanted))
    return rows, db.execute(select(func.count()).select_from(AUDIT)).scalar_one()


def _walked(db: Connection) -> Iterator[dict[str, Any]]:
    last = None
    while True:
        wanted = select(*_ALL).order_by(AUDIT.c.seq).limit(PAGE)
        page = db.execute(wanted if last is None else wanted.where(AUDIT.c.seq > last)).all()
        if not page:
            return
        yield from (dict(row._mapping) for row in page)
        last = page[-1].seq


def _entry(row: dict[str, Any]) -> AuditEntry:
    fields = {name: value for name, value in row.items() if name != "made_ms"}
    return AuditEntry(made_at=row["made_ms"] / 1000, **fields)
