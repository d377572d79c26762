"""Whom workers have forgotten: whose row is taken away from their topics is erased here, wherever its name can stand.

Scores and alerts come by other topics, which may be behind that of rows. They were written before the row was taken
away, so what was there then is read within LATE_S, and erased once more. Of whom no row was ever read the request tells
the name: it is kept until it is done.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Iterable

import msgspec
import structlog

from detector.cluster.forgetting import Forget
from detector.run.forgetting import CLIENT, erase_mentions, tables_of
from detector.run.outbox import Outbox
from detector.run.store import Store

PENDING = "forgotten "  # before an entity's key, of the extra that says what is to be erased once more
ASKED = "asked to forget "  # before a request's id, of the extra that says who is meant
OPEN = -1  # of a request that is not done
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

    def __init__(
        self,
        store: Store,
        outbox: Outbox,
        key_of: Callable[[str, str], bytes],
        *,
        wall: Callable[[], float] = time.time,
    ) -> None:
        """key_of: of an entity, by kind and id."""
        self._store, self._outbox, self._key_of, self._wall = store, outbox, key_of, wall

    def erase(self, keys: Iterable[bytes]) -> None:
        """Erases entities of which the rows are taken away. Before the place behind that is kept."""
        for key in keys:
            named = self._store.db.read("SELECT kind, id FROM names WHERE key = ?", key) or self._asked_of(key)
            if not named:
                continue  # done before a crash, or nothing was told of it
            (newest,) = self._store.db.read("SELECT COALESCE(max(at), 0) FROM tape WHERE key = ?", key)[0]
            kind, entity = named[0]
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

    def note(self, requests: Iterable[Forget]) -> None:
        """Keeps the names of requests (of all workers) for the time when rows are taken away."""
        for one in requests:
            asked = Gone(one.kind, one.entity, OPEN, self._wall())
            self._store.save(positions={}, rows=(), extras={f"{ASKED}{one.id}": msgspec.msgpack.encode(asked)})

    def follow(self, requests: Collection[str]) -> None:
        """Lets go of the names of requests that are done, when what they gave is read. requests: that are not."""
        for name, body in self._extras(ASKED):
            gone = _GONE.decode(body)
            if name.removeprefix(ASKED) in requests:
                continue
            with self._store.db.transaction("could not let go of a request to forget") as db:
                if gone.newest == OPEN:
                    done = msgspec.msgpack.encode(Gone(gone.kind, gone.entity, 0, self._wall()))
                    db.execute("UPDATE extras SET body = ? WHERE name = ?", (done, name))
                elif self._wall() - gone.at >= LATE_S:
                    db.execute("DELETE FROM extras WHERE name = ?", (name,))

    def _asked_of(self, key: bytes) -> list[tuple[str, str]]:
        asked = [_GONE.decode(body) for _, body in self._extras(ASKED)]
        named = [(kind, one.entity) for one in asked for kind in tables_of(one.kind)]
        return [(kind, entity) for kind, entity in named if self._key_of(kind, entity) == key]

    def _extras(self, before: str) -> list[tuple[str, bytes]]:
        rows = self._store.db.read("SELECT name, body FROM extras WHERE name GLOB ?", f"{before}*")
        return [(str(name), bytes(body)) for name, body in rows]

    def look(self) -> None:
        """Erases once more what came late. Who has taken the name since keeps what is his."""
        for name, body in self._extras(PENDING):
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
