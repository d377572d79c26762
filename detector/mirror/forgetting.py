"""Whom workers have forgotten: whose row is taken away from their topics is erased here, wherever its name can stand.

Scores and alerts come by other topics, which may be behind that of rows. They were written before the row was taken
away, so what was there then is read within LATE_S, and erased once more.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable

import msgspec
import structlog

from detector.run.forgetting import CLIENT, erase_mentions
from detector.run.outbox import Outbox
from detector.run.store import Store

PENDING = "forgotten "  # before an entity's key, of the extra that says what is to be erased once more
LATE_S = 120.0
NEVER = 2**63 - 1
# By its key, as one process notes it: whoever keeps the tape in memory reads it again.
DONE = "INSERT INTO forgettings(kind, entity, key, keep_alerts, asked_at, state) VALUES (?, '', ?, 0, ?, 'done')"

log = structlog.get_logger(__name__)


class Gone(msgspec.Struct, frozen=True, array_like=True):
    """newest: log time, microseconds, of its last point that was kept; at: wall clock."""

    kind: str
    entity: str
    newest: int
    at: float


class Forgotten:
    """For the writer of a mirror. What it does is durable, and harmless when it is repeated."""

    def __init__(self, store: Store, outbox: Outbox, *, wall: Callable[[], float] = time.time) -> None:
        self._store, self._outbox, self._wall = store, outbox, wall

    def erase(self, keys: Iterable[bytes]) -> None:
        """Erases entities of which the rows are taken away. Before the place behind that is kept."""
        for key in keys:
            named = self._store.db.read("SELECT kind, id FROM names WHERE key = ?", key)
            if not named:
                continue  # done before a crash, or never seen
            (newest,) = self._store.db.read("SELECT COALESCE(max(at), 0) FROM tape WHERE key = ?", key)[0]
            ((kind, entity),) = named
            gone = Gone(kind, entity, newest, self._wall())
            self._outbox.erase(gone.kind, gone.entity)
            with self._store.db.transaction("could not forget an entity") as db:
                for table in ("rows", "names", "cases", "tape", "verdicts"):
                    db.execute(f"DELETE FROM {table} WHERE key = ?", (key,))  # noqa: S608  # a name from the line above
                if gone.kind == CLIENT:
                    erase_mentions(db, gone.entity)
                db.execute(DONE, (gone.kind, key, gone.at))
                db.execute(
                    "INSERT OR REPLACE INTO extras VALUES (?, ?)",
                    (f"{PENDING}{key.hex()}", msgspec.msgpack.encode(gone)),
                )
            log.info("An entity was forgotten", kind=gone.kind)

    def look(self) -> None:
        """Erases once more what came late. Who has taken the name since keeps what is his."""
        for name, body in self._store.db.read("SELECT name, body FROM extras WHERE name GLOB ?", f"{PENDING}*"):
            gone = _GONE.decode(body)
            if self._wall() - gone.at < LATE_S:
                continue
            key = bytes.fromhex(name.removeprefix(PENDING))
            if not self._store.db.read("SELECT 1 FROM rows WHERE key = ?", key):
                self._outbox.erase(gone.kind, gone.entity)
            with self._store.db.transaction("could not forget an entity") as db:
                again = db.execute("SELECT 1 FROM rows WHERE key = ?", (key,)).fetchone() is not None
                upto = gone.newest if again else NEVER
                db.execute("DELETE FROM tape WHERE key = ? AND at <= ?", (key, upto))
                if gone.kind == CLIENT and not again:
                    erase_mentions(db, gone.entity)
                db.execute(DONE, (gone.kind, key, gone.at))
                db.execute("DELETE FROM extras WHERE name = ?", (name,))
            self._store.db.read("PRAGMA wal_checkpoint(TRUNCATE)")  # or the name stays in the write-ahead log


_GONE = msgspec.msgpack.Decoder(Gone)
