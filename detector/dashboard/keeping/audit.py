"""Who did what, when and why: entries that are only ever appended, each hashed together with the one before it.

The chain shows that an entry was changed, taken out or put in between. It cannot show that the end was cut off: the
entries that the SIEM was sent do, and the head that somebody wrote down.
"""

from __future__ import annotations

import hashlib
import threading
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


def state(db: Connection, known: AuditState | None = None) -> AuditState:
    """Follows the chain: all of it, or what came since it was `known` to hold."""
    begin = known if known is not None and known.broken_at is None and _stands(db, known) else NOTHING
    previous, count, broken = begin.head, begin.entries, None
    for row in _walked(db, begin.entries):
        count += 1
        follows = row["seq"] == count and row["hash"] == hashed(row, previous)
        if broken is None and not follows:
            broken = int(row["seq"])
        previous = row["hash"]
    if broken is None and known is not None and count < known.entries:
        broken = count + 1  # its end was cut off
    return AuditState(entries=count, head=previous, broken_at=broken, known=begin.entries)


def _stands(db: Connection, known: AuditState) -> bool:
    """Whether the last entry that is known is still what it was."""
    found = db.execute(select(*_ALL).where(AUDIT.c.seq == known.entries)).first()
    return found is not None and found.hash == known.head


NOTHING = AuditState(entries=0, head=GENESIS, broken_at=None)


class Chain:
    """Follows the chain on from where it last did; for many threads. What was changed in entries that it knows is found
    when all are followed again: by `whole`, by `querywarden dashboard --verify-audit`, and after a start.
    """

    def __init__(self) -> None:
        self._known: AuditState | None = None
        self._lock = threading.Lock()

    def state(self, db: Connection, *, whole: bool = False) -> AuditState:
        with self._lock:
            known = self._known
            found = state(db, known)
            if whole and found.known:
                found = state(db)
            if found.broken_at is None:
                self._known = found
            return found


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


def _walked(db: Connection, behind: int) -> Iterator[dict[str, Any]]:
    last = behind or None  # a number of zero or less would be a forged one
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
