"""Erasing an entity: the requests and their journal in the store, and where in the files its name can stand.

A forgetting holds from the positions at which the runner first saw its request. They are journaled before anything is
erased, so that after a crash the log is first read to there again, and the entity goes as it would have gone then: what
comes later is a new client's. What is done is done in this order, each step harmless when repeated: memory, a snapshot,
the outbox, the store. The last one empties the name in the journal; its key stays, to tell that it was done.
"""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import msgspec

from detector.entities import Name, entity_key
from detector.pipeline import State
from detector.query import DeadLetter
from detector.rings.accounts import ACCOUNT
from detector.run.database import Database
from detector.run.outbox import Outbox
from detector.run.store import Reader, Store
from detector.storm import Sky, Waiting
from detector.tape import Point

CLIENT = "client"


class Forgetting(msgspec.Struct, frozen=True):
    """Who is to be forgotten. positions: where the log stood when the runner first saw it; None: it has not yet.

    keep_alerts: those that still wait for a sink are delivered first, and stay. entity: empty where only the `key` is
    known, since a restored store has to forget again whom it had forgotten.
    """

    id: int
    kind: str
    entity: str
    keep_alerts: bool
    positions: dict[str, int] | None
    key: bytes | None = None

    def due(self, positions: Mapping[str, int], streams: Collection[str]) -> bool:
        """Whether the log was read to where it stood. A stream that is no more among those that are read keeps nobody;
        while there are none, nobody knows which will come.
        """
        gone = {stream for stream in self.positions or {} if streams and stream not in streams}
        return all(
            positions.get(stream, 0) >= at for stream, at in (self.positions or {}).items() if stream not in gone
        )


class Forgettings:
    """The requests of a store, for its writer."""

    def __init__(self, db: Database) -> None:
        self._db = db
        self._seen_version = -1
        self._waiting: tuple[Forgetting, ...] = ()

    def waiting(self) -> tuple[Forgetting, ...]:
        """Oldest first. Costs 5 µs while nobody else wrote."""
        version = int(self._db.read("PRAGMA data_version")[0][0])
        if version != self._seen_version:
            rows = self._db.read(
                "SELECT id, kind, entity, keep_alerts, positions, key FROM forgettings WHERE state = 'waiting'"
                " ORDER BY id"
            )
            self._waiting = tuple(
                Forgetting(id_, kind, entity, bool(keep), _POSITIONS.decode(at) if at is not None else None, key)
                for id_, kind, entity, keep, at, key in rows
            )
            self._seen_version = version
        return self._waiting

    def noted(self, positions: Mapping[str, int]) -> tuple[Forgetting, ...]:
        """Those that wait, each with its positions journaled: `positions` for those that nobody saw before."""
        new = [one for one in self.waiting() if one.positions is None]
        if new:
            with self._db.transaction("could not journal a forgetting") as db:
                body = msgspec.msgpack.encode(dict(positions))
                db.executemany("UPDATE forgettings SET positions = ? WHERE id = ?", [(body, one.id) for one in new])
            self._seen_version = -1
        return self.waiting()

    def erase(self, one: Forgetting, keys: Sequence[bytes]) -> None:
        """Takes the entity (keys_of) out of the store's tables, and empties its name in the journal; durable when it
        returns.
        """
        with self._db.transaction("could not forget an entity") as db:
            for table in ("rows", "names", "cases", "tape", "verdicts"):
                db.executemany(
                    f"DELETE FROM {table} WHERE key = ?",  # noqa: S608  # a name from the line above
                    [(key,) for key in keys],
                )
            if one.kind == CLIENT and one.entity:
                _erase_letters(db, one.entity)
                _erase_member(db, one.entity)
            db.execute("UPDATE forgettings SET state = 'done', entity = '', key = ? WHERE id = ?", (keys[0], one.id))
        self._seen_version = -1
        self._db.read("PRAGMA wal_checkpoint(TRUNCATE)")  # or the name stays in the write-ahead log for a while


def tables_of(kind: str) -> tuple[str, ...]:
    """The kinds of the tables in which an entity of a kind has rows: a client is an account to rings, too."""
    return (CLIENT, ACCOUNT) if kind == CLIENT else (kind,)


def keys_of(one: Forgetting, model: str, secret: bytes) -> list[bytes]:
    """Of the entity's rows, its own first."""
    if one.key is not None and not one.entity:  # a crash repeats it, and the name is gone
        return [one.key]
    named = [entity_key(Name(model, kind, one.entity), secret) for kind in tables_of(one.kind)]
    return [one.key or named[0], *named[1:]]


def named(one: Forgetting, names: Iterable[tuple[bytes, str]]) -> Forgetting:
    """The same with the entity's id where only its key is known, if there is one among `names` (key, id)."""
    if one.entity:
        return one
    return msgspec.structs.replace(one, entity=next((id_ for key, id_ in names if key == one.key), ""))


def _erase_letters(db: sqlite3.Connection, client: str) -> None:
    for seq, body in _mentions(db, "SELECT seq, letter FROM dead_letters WHERE instr(letter, ?) > 0", client):
        if _LETTER.decode(body).client == client:
            db.execute("DELETE FROM dead_letters WHERE seq = ?", (seq,))


def _erase_member(db: sqlite3.Connection, client: str) -> None:
    """Points of groups name the clients that asked."""
    for rowid, body in _mentions(db, "SELECT rowid, point FROM tape WHERE instr(point, ?) > 0", client):
        point = _POINT.decode(body)
        if client in point.members:
            db.execute(
                "UPDATE tape SET point = ? WHERE rowid = ?", (_ENCODER.encode(without_member(point, client)), rowid)
            )


def _mentions(db: sqlite3.Connection, sql: str, text: str) -> list[tuple[int, bytes]]:
    """The rows in whose bytes the text stands: few, so that only those are decoded."""
    return db.execute(sql, (text.encode("utf-8", "surrogatepass"),)).fetchall()


def without_member(point: Point, client: str) -> Point:
    """The point of a group without the name of one of its members."""
    if client not in point.members:
        return point
    return msgspec.structs.replace(point, members=tuple(name for name in point.members if name != client))


def without(state: State, kind: str, entity: str) -> State:
    """The saved state without the entity: its queries in the open ticks, and what waits to be told of it.

    The columns of the ticks belong to the group level: here they are lists of equal length, and bytes of equal parts.
    """
    state = msgspec.structs.replace(state, sky=cleared(state.sky, kind, entity))
    ticks = {
        of: _without(waiting, "clients" if kind == CLIENT else "groups", entity) if kind in (CLIENT, of) else waiting
        for of, waiting in state.ticks.items()
    }
    return msgspec.structs.replace(state, ticks=ticks)


def _without(waiting: bytes, column: str, entity: str) -> bytes:
    columns: dict[str, Any] = msgspec.msgpack.decode(waiting)
    who = columns[column]
    kept = [i for i, name in enumerate(who) if name != entity]
    return msgspec.msgpack.encode({name: _taken(of, kept, len(who)) for name, of in columns.items()})


def cleared(sky: Sky, kind: str, entity: str) -> Sky:
    """What storms remember, without the entity."""
    recent = {signal: {who: tick for who, tick in of.items() if who != entity} for signal, of in sky.recent.items()}
    waiting = (one for one in sky.waiting if (one.alert.entity.kind, one.alert.entity.id) != (kind, entity))
    return msgspec.structs.replace(
        sky,
        recent=recent,
        openings=tuple(one for one in sky.openings if one.entity != entity),
        waiting=tuple(unnamed(one, entity) if kind == CLIENT else one for one in waiting),
    )


def unnamed(waiting: Waiting, client: str) -> Waiting:
    """An alert on a group names the clients that asked."""
    alert = waiting.alert
    if client not in (alert.entity.members or ()):
        return waiting
    members = tuple(name for name in alert.entity.members or () if name != client)
    entity = msgspec.structs.replace(alert.entity, members=members or None)
    return msgspec.structs.replace(waiting, alert=msgspec.structs.replace(alert, entity=entity))


def _taken(column: Any, kept: Sequence[int], length: int) -> Any:
    if isinstance(column, bytes):
        width = len(column) // max(length, 1)
        return b"".join(column[i * width : (i + 1) * width] for i in kept)
    return [column[i] for i in kept]


def without_letters(letters: Sequence[DeadLetter], kind: str, entity: str) -> Iterator[DeadLetter]:
    """The letters of everybody else."""
    return (letter for letter in letters if kind != CLIENT or letter.client != entity)


def ask(path: str | Path, kind: str, entity: str, *, keep_alerts: bool) -> int:
    """Asks the writer of the store at `path` to forget an entity; returns the number of the request."""
    reader = Reader(path)
    try:
        with reader.db.transaction("could not take a request to forget") as db:
            cursor = db.execute(
                "INSERT INTO forgettings(kind, entity, keep_alerts, asked_at) VALUES (?, ?, ?, ?)",
                (kind, entity, keep_alerts, time.time()),
            )
            assert cursor.lastrowid is not None
            return cursor.lastrowid
    finally:
        reader.close()


def forget_at_rest(store: Store, outbox: Outbox, model: str, secret: bytes) -> set[int]:
    """Does what was asked of a store that nobody runs; returns the requests that were done.

    Those that have to wait until the log was read again to where it stood are left to the runner.
    """
    forgettings, done = Forgettings(store.db), set()
    saved = store.load()
    names = [(key, id_) for key, _, _, id_ in saved.names]
    for one in (named(one, names) for one in forgettings.noted(saved.positions) if one.due(saved.positions, ())):
        if "state" in saved.extras:
            state = msgspec.msgpack.decode(saved.extras["state"], type=State)
            saved.extras["state"] = msgspec.msgpack.encode(without(state, one.kind, one.entity))
            store.save(positions={}, rows=[], extras={"state": saved.extras["state"]})
        if one.entity:
            outbox.erase(one.kind, one.entity, keep_waiting=one.keep_alerts)
        forgettings.erase(one, keys_of(one, model, secret))
        done.add(one.id)
    return done


_ENCODER = msgspec.msgpack.Encoder()
_POINT = msgspec.msgpack.Decoder(Point)
_LETTER = msgspec.msgpack.Decoder(DeadLetter)
_POSITIONS = msgspec.msgpack.Decoder(dict[str, int])
