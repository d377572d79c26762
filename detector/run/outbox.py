"""What is still to be told to whom: every alert once, in order, and how far each sink has taken them.

A file of its own beside the store, so that no courier waits while a large snapshot is written. Order between the two:
`put`, then `save`. A crash between them repeats the put, and a known id adds nothing.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import Literal, NamedTuple

import msgspec

from detector.alert import Alert
from detector.errors import StoreError
from detector.run.database import Database, Schema
from sinks.contract import Refusal

DAY_S = 86_400.0
HELD = "(held)"  # in the place of a sink: dead letters that no sink was given
MOST_HELD = 100_000

# Step 1 of the schema: the tables of the first version. It never changes.
FIRST = (
    "CREATE TABLE outbox(seq INTEGER PRIMARY KEY AUTOINCREMENT, id TEXT NOT NULL UNIQUE, kind TEXT NOT NULL,"
    " at REAL NOT NULL, payload BLOB)",  # NULL: the alert was pruned, its id is remembered
    "CREATE INDEX outbox_at ON outbox(at)",
    "CREATE TABLE sink_positions(sink TEXT PRIMARY KEY, seq INTEGER NOT NULL, last_ack REAL)",
    "CREATE TABLE sink_dead_letters(sink TEXT NOT NULL, alert_id TEXT NOT NULL, reason TEXT NOT NULL,"
    " at REAL NOT NULL, payload BLOB NOT NULL, PRIMARY KEY (sink, alert_id))",
)

# What was erased behind a sink's position is no backlog of his.
ERASED = ("CREATE INDEX outbox_erased ON outbox(seq) WHERE payload IS NULL",)

SCHEMA = Schema("outbox", (FIRST, ERASED))


class Waiting(NamedTuple):
    seq: int
    alert: Alert


class SinkDeadLetter(NamedTuple):
    """An alert that a sink will never take, when it said so (wall clock, seconds), and why."""

    sink: str
    at: float
    reason: str
    alert: Alert


class Outbox:
    """One thread's connection to the outbox; open one in each thread. `wall` is the wall clock in seconds."""

    def __init__(self, path: str | Path, *, wall: Callable[[], float] = time.time) -> None:
        self.db = Database(path, SCHEMA)
        self._wall = wall

    def put(self, alerts: Iterable[Alert]) -> int:
        """Adds those whose id is not known yet, in order; durable when it returns. Returns how many were new."""
        rows = [(alert.id, alert.kind, self._wall(), _ENCODER.encode(alert), alert.id) for alert in alerts]
        if not rows:
            return 0
        with self.db.transaction("could not take alerts") as db:
            # Not OR IGNORE: an ignored row uses up a number, and numbers without holes are what `backlog` counts.
            return db.executemany(
                "INSERT INTO outbox(id, kind, at, payload) SELECT ?, ?, ?, ?"
                " WHERE NOT EXISTS (SELECT 1 FROM outbox WHERE id = ?)",
                rows,
            ).rowcount

    def hold(self, alerts: Iterable[Alert]) -> None:
        """Keeps alerts that nobody is told, since the population moved: the newest MOST_HELD, each once."""
        now = self._wall()
        rows = [(HELD, alert.id, "the population moved", now, _ENCODER.encode(alert)) for alert in alerts]
        with self.db.transaction("could not keep held alerts") as db:
            db.executemany("INSERT OR IGNORE INTO sink_dead_letters VALUES (?, ?, ?, ?, ?)", rows)
            db.execute(
                "DELETE FROM sink_dead_letters WHERE sink = ? AND rowid <= (SELECT rowid FROM sink_dead_letters"
                " WHERE sink = ? ORDER BY rowid DESC LIMIT 1 OFFSET ?)",
                (HELD, HELD, MOST_HELD),
            )

    def held(self, limit: int = 100) -> tuple[Alert, ...]:
        """The alerts that were held, newest first."""
        rows = self.db.read(
            "SELECT alert_id, payload FROM sink_dead_letters WHERE sink = ? ORDER BY rowid DESC LIMIT ?", HELD, limit
        )
        return tuple(self._alert(id_, payload) for id_, payload in rows)

    def join(self, sink: str, start: Literal["newest", "oldest"] = "newest") -> None:
        """Makes a sink known. A new one starts behind the newest alert or at the oldest kept; a known one stays."""
        oldest = (
            "COALESCE((SELECT min(seq) FROM outbox WHERE payload IS NOT NULL) - 1, (SELECT max(seq) FROM outbox), 0)"
        )
        newest = "COALESCE((SELECT max(seq) FROM outbox), 0)"
        with self.db.transaction("could not take in a sink") as db:
            db.execute(
                "INSERT OR IGNORE INTO sink_positions(sink, seq) "  # noqa: S608  # one of the two lines above
                f"VALUES (?, {oldest if start == 'oldest' else newest})",
                (sink,),
            )

    def leave(self, sink: str) -> None:
        """Forgets how far a sink came. Its dead letters stay."""
        with self.db.transaction("could not let a sink go") as db:
            db.execute("DELETE FROM sink_positions WHERE sink = ?", (sink,))

    def position(self, sink: str) -> int:
        """The last alert that the sink has taken. Raises StoreError for a sink that never joined."""
        return self._standing(sink)[0]

    def last_ack(self, sink: str) -> float | None:
        """When the sink last took something, wall clock in seconds."""
        return self._standing(sink)[1]

    def _standing(self, sink: str) -> tuple[int, float | None]:
        rows = self.db.read("SELECT seq, last_ack FROM sink_positions WHERE sink = ?", sink)
        if not rows:
            raise StoreError(f"the outbox {self.db.path} knows no sink {sink}: it has to join first")
        return rows[0][0], rows[0][1]

    def undelivered(self, sink: str, *, after: int | None = None, limit: int = 100) -> tuple[Waiting, ...]:
        """The next alerts behind the sink's position, or behind `after`, oldest first."""
        start = self.position(sink) if after is None else after
        rows = self.db.read(
            "SELECT seq, payload FROM outbox WHERE seq > ? AND payload IS NOT NULL ORDER BY seq LIMIT ?", start, limit
        )
        return tuple(Waiting(seq, self._alert(seq, payload)) for seq, payload in rows)

    def advance(self, sink: str, seq: int, refused: Sequence[Refusal] = ()) -> None:
        """The sink is done with everything up to `seq`, and will never take `refused`: those become dead letters.

        One transaction: an alert is behind the position only when it was taken or its dead letter is kept.
        """
        now = self._wall()
        with self.db.transaction("could not move a sink's position") as db:
            db.executemany(
                "INSERT OR REPLACE INTO sink_dead_letters SELECT ?, id, ?, ?, payload FROM outbox WHERE id = ?"
                " AND payload IS NOT NULL",  # or it was erased while the sink had it in its hands
                [(sink, refusal.reason, now, refusal.alert_id) for refusal in refused],
            )
            moved = db.execute(
                "UPDATE sink_positions SET seq = max(seq, ?), last_ack = ? WHERE sink = ?", (seq, now, sink)
            ).rowcount
        if not moved:
            raise StoreError(f"the outbox {self.db.path} knows no sink {sink}: it has to join first")

    def kept(self) -> Iterator[Alert]:
        """The alerts that were not pruned, oldest first; not what people did, which has no place in log time."""
        rows = self.db.stream(
            "SELECT seq, payload FROM outbox WHERE payload IS NOT NULL AND kind <> 'audit' ORDER BY seq"
        )
        return (self._alert(seq, payload) for seq, payload in rows)

    def latest(self) -> str:
        """The latest log time of the alerts that are kept, as they write it; empty when there are none."""
        return max((alert.at for alert in self.kept()), default="")

    def backlog(self, sink: str) -> int:
        """How many alerts wait for the sink. Known ids use up no number, so the difference is the count."""
        rows = self.db.read(
            "SELECT COALESCE((SELECT max(seq) FROM outbox), 0) - seq"
            " - (SELECT count(*) FROM outbox WHERE seq > sink_positions.seq AND payload IS NULL)"
            " FROM sink_positions WHERE sink = ?",
            sink,
        )
        return max(0, rows[0][0]) if rows else 0

    def refused(self, sink: str, limit: int = 100) -> tuple[SinkDeadLetter, ...]:
        """The sink's dead letters, newest first."""
        rows = self.db.read(
            "SELECT at, reason, alert_id, payload FROM sink_dead_letters WHERE sink = ? ORDER BY at DESC LIMIT ?",
            *(sink, limit),
        )
        return tuple(SinkDeadLetter(sink, at, reason, self._alert(id_, payload)) for at, reason, id_, payload in rows)

    def erase(self, kind: str, entity: str, *, keep_waiting: bool = False) -> int:
        """Drops the payloads of alerts on an entity, and its name from those that list it as a member.

        The ids stay, so that nothing is told again. keep_waiting: leaves those that some sink has not taken. Returns
        how many alerts were touched.
        """
        taken = "SELECT COALESCE(min(seq), 0) FROM sink_positions" if keep_waiting else "SELECT max(seq) FROM outbox"
        name = entity.encode("utf-8", "surrogatepass")
        with self.db.transaction("could not erase alerts") as db:
            mine = db.execute(
                f"SELECT seq, payload FROM outbox WHERE seq <= ({taken}) AND instr(payload, ?) > 0",  # noqa: S608
                (name,),
            ).fetchall()
            left = [(_left(self._alert(seq, body), kind, entity), body, seq) for seq, body in mine]
            touched = [(new, seq) for new, old, seq in left if new != old]
            db.executemany("UPDATE outbox SET payload = ? WHERE seq = ?", touched)
            refused = db.execute(
                "SELECT rowid, payload FROM sink_dead_letters WHERE instr(payload, ?) > 0", (name,)
            ).fetchall()
            for rowid, body in refused:
                new = _left(self._alert(rowid, body), kind, entity)
                if new is None:
                    db.execute("DELETE FROM sink_dead_letters WHERE rowid = ?", (rowid,))
                else:
                    db.execute("UPDATE sink_dead_letters SET payload = ? WHERE rowid = ?", (new, rowid))
        self.db.read("PRAGMA wal_checkpoint(TRUNCATE)")  # or the name stays in the write-ahead log for a while
        return len(touched)

    def prune(self, sinks: Iterable[str], *, payloads_s: float = 30 * DAY_S, ids_s: float = 400 * DAY_S) -> int:
        """Drops what all of `sinks` have taken: payloads after `payloads_s`, ids after `ids_s` (wall clock).

        An id must outlive every replay that could repeat its alert: keep `ids_s` above the age of the oldest record
        that the log still holds. Returns how many alerts lost their payload.
        """
        taken = min((self.position(sink) for sink in sinks), default=0)
        now = self._wall()
        with self.db.transaction("could not prune the outbox") as db:
            dropped = db.execute(
                "UPDATE outbox SET payload = NULL WHERE at < ? AND seq <= ? AND payload IS NOT NULL",
                (now - payloads_s, taken),
            ).rowcount
            # The newest stays: its number tells a new sink where to start.
            db.execute(
                "DELETE FROM outbox WHERE at < ? AND seq <= ? AND payload IS NULL"
                " AND seq < (SELECT max(seq) FROM outbox)",
                (now - ids_s, taken),
            )
        return dropped

    def close(self) -> None:
        self.db.close()

    def _alert(self, which: int | str, payload: bytes) -> Alert:
        try:
            return _DECODER.decode(payload)
        except msgspec.DecodeError as error:
            raise StoreError(f"{self.db.path}: alert {which} cannot be read: {error}") from error


def _left(alert: Alert, kind: str, entity: str) -> bytes | None:
    """What is left of an alert when an entity is forgotten: nothing when it was about it."""
    about = alert.entity
    if (about.kind, about.id) == (kind, entity):
        return None
    if kind == "client" and about.members and entity in about.members:
        members = tuple(name for name in about.members if name != entity)
        alert = msgspec.structs.replace(alert, entity=msgspec.structs.replace(about, members=members or None))
    return _ENCODER.encode(alert)


_ENCODER = msgspec.msgpack.Encoder()
_DECODER = msgspec.msgpack.Decoder(Alert)
