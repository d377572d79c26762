"""Sends the audit where alerts go: each entry once into the outbox of the store, from which couriers carry it on.

The same way as an alert's, since it is the one that survives a crash, a sink that is away and a dashboard without a
running detector: entries wait in the outbox. How far it came is kept beside the audit; between the two a crash repeats
an entry, and the outbox knows its id.
"""

from __future__ import annotations

import threading
from pathlib import Path

from sqlalchemy import Connection, Engine, insert, select, update

from detector.alert import Alert, Audited, Entity, notice, stable_id
from detector.dashboard.keeping import audit
from detector.dashboard.keeping.opening import reading
from detector.dashboard.keeping.tables import MARKS
from detector.dashboard.shapes import AuditEntry
from detector.run.outbox import Outbox

TOLD = "told"
AT_ONCE = 500


class Telling:
    """outbox: the file; while there is none, nothing is told. model, profile: as the events name them."""

    def __init__(self, engine: Engine, outbox: Path, *, model: str, profile: str) -> None:
        self._engine = engine
        self._reading = reading(engine)
        self._outbox = outbox
        self._model = model
        self._profile = profile
        self._telling = threading.Lock()

    def tell(self) -> int:
        """Tells what was not told yet; returns how many entries. Raises StoreError."""
        if not self._outbox.exists():
            return 0
        with self._telling:
            told = 0
            while entries := self._next():
                outbox = Outbox(self._outbox)
                try:
                    outbox.put([self._event(entry) for entry in entries])
                finally:
                    outbox.close()
                with self._engine.begin() as db:
                    _set_mark(db, entries[-1].seq)
                told += len(entries)
            return told

    def _next(self) -> tuple[AuditEntry, ...]:
        with self._reading.begin() as db:
            mark = db.execute(select(MARKS.c.value).where(MARKS.c.name == TOLD)).scalar()
            return audit.after(db, mark or 0, AT_ONCE)

    def _event(self, entry: AuditEntry) -> Alert:
        words = f"{entry.who}: {entry.what} {entry.subject}".rstrip()
        return notice(
            "audit",
            id_=stable_id("audit", entry.hash),
            case_id=stable_id("audit", entry.what, entry.subject),
            at_s=entry.made_at,
            model=self._model,
            entity=Entity("person", entry.who),
            profile=self._profile,
            policy="",
            message=f"{words}: {entry.why}" if entry.why else words,
            audit=Audited(
                entry.seq, entry.who, entry.role, entry.what, entry.subject, entry.why, entry.before, entry.after,
                entry.hash,
            ),
        )  # fmt: skip


def _set_mark(db: Connection, seq: int) -> None:
    if not db.execute(update(MARKS).where(MARKS.c.name == TOLD).values(value=seq)).rowcount:
        db.execute(insert(MARKS).values(name=TOLD, value=seq))
