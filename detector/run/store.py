"""The state on disk: rows, names, cases and the score tape, together with the positions in the log they include.

    Store            the one writer, bound to one profile
    Reader           tape, policies and dead letters for whoever else looks (dashboard, preview), lock or no lock
    request_policy   how another process asks the writer for a policy

What is saved is opaque here. One snapshot is one transaction, so after any crash the rows and the positions that they
include agree, and what came after is replayed.

Measured (2 cores, ext4 on a virtual disk; 100,000 random keys, rows of 4,096 bytes): new keys take 1.3 s in a table
with a rowid and 5.2 s WITHOUT ROWID, where each splits a page in the middle. Pages of 32 KiB hold seven rows, those of
4 KiB spill every row to an overflow page: changing all rows takes 1.1 s against 1.8 s.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

import msgspec

from detector.errors import StoreError
from detector.policy import Dated, Policy
from detector.query import DeadLetter
from detector.run.database import Database, Schema
from detector.run.lock import WriterLock
from detector.tape import Point, PointId

PAGE_SIZE = 32_768
KEEP_DEAD_LETTERS = 100_000
TAPE_PAGE = 20_000  # points read at once

# Step 1 of the schema: the tables of the first version. It never changes.
FIRST = (
    "CREATE TABLE meta(name TEXT PRIMARY KEY, value TEXT NOT NULL)",
    "CREATE TABLE positions(stream TEXT PRIMARY KEY, next_offset INTEGER NOT NULL)",
    "CREATE TABLE rows(key BLOB PRIMARY KEY CHECK (length(key) = 16), row BLOB NOT NULL)",
    "CREATE TABLE names(key BLOB PRIMARY KEY, model TEXT NOT NULL, kind TEXT NOT NULL, id TEXT NOT NULL)",
    "CREATE TABLE cases(key BLOB PRIMARY KEY, body BLOB NOT NULL)",
    "CREATE TABLE extras(name TEXT PRIMARY KEY, body BLOB NOT NULL)",
    # In order of arrival, which is nearly that of time: appending touches the end, reading a span is sequential.
    "CREATE TABLE tape(key BLOB NOT NULL, budget INTEGER NOT NULL, n INTEGER NOT NULL, at INTEGER NOT NULL,"
    " level INTEGER NOT NULL, point BLOB NOT NULL, PRIMARY KEY (key, n, budget))",
    "CREATE INDEX tape_at ON tape(at)",
    "CREATE TABLE policies(seq INTEGER PRIMARY KEY AUTOINCREMENT, since INTEGER NOT NULL, policy BLOB NOT NULL)",
    "CREATE TABLE requests(id INTEGER PRIMARY KEY AUTOINCREMENT, since INTEGER, policy BLOB NOT NULL,"
    " state TEXT NOT NULL DEFAULT 'waiting', reason TEXT NOT NULL DEFAULT '')",
    "CREATE INDEX requests_waiting ON requests(id) WHERE state = 'waiting'",
    "CREATE TABLE dead_letters(seq INTEGER PRIMARY KEY AUTOINCREMENT, stream TEXT NOT NULL,"
    " offset INTEGER NOT NULL, row INTEGER NOT NULL, letter BLOB NOT NULL, UNIQUE (stream, offset, row))",
)

# A row is a request while `state` is waiting, and the journal of what was forgotten from then on: `entity` is emptied
# then, and `key` tells nothing to who lacks the profile's secret. `positions` (MessagePack): see forgetting.py.
FORGETTINGS = (
    "CREATE TABLE forgettings(id INTEGER PRIMARY KEY AUTOINCREMENT, kind TEXT NOT NULL, entity TEXT NOT NULL,"
    " key BLOB, keep_alerts INTEGER NOT NULL, asked_at REAL NOT NULL, positions BLOB,"
    " state TEXT NOT NULL DEFAULT 'waiting')",
    "CREATE INDEX forgettings_waiting ON forgettings(id) WHERE state = 'waiting'",
)

# `key` is the entity's; what was said and on which evidence is in `body`: see verdicts.py.
VERDICTS = (
    "CREATE TABLE verdicts(seq INTEGER PRIMARY KEY AUTOINCREMENT, case_id TEXT NOT NULL, key BLOB NOT NULL,"
    " said_at REAL NOT NULL, body BLOB NOT NULL)",
    "CREATE INDEX verdicts_key ON verdicts(key)",
)

# `asked`: how many queries were judged in each tick, by which openings are expected; `saved`: the snapshot that changed
# it last. `tick`: in which a point was decided, NULL where that is the one of `at`.
ASKED = (
    "ALTER TABLE tape ADD COLUMN tick INTEGER",
    "CREATE TABLE asked(tick INTEGER PRIMARY KEY, queries INTEGER NOT NULL, saved INTEGER NOT NULL)",
    "CREATE INDEX asked_saved ON asked(saved)",
)

SCHEMA = Schema("store", (FIRST, FORGETTINGS, VERDICTS, ASKED))


class Saved(NamedTuple):
    """What a store holds. The iterators read as they are walked: walk them before the next `save`.

    positions: stream -> the next offset that the state does not yet include
    rows: 16-byte entity key -> row record;  names: key -> model, kind, id;  cases: key -> body;  extras: by name
    named_rows: kind, id, row record
    """

    positions: dict[str, int]
    rows: Iterator[tuple[bytes, bytes]]
    names: Iterator[tuple[bytes, str, str, str]]
    cases: Iterator[tuple[bytes, bytes]]
    extras: dict[str, bytes]
    named_rows: Iterator[tuple[str, str, bytes]]


class Request(msgspec.Struct, frozen=True):
    """A policy that another process asks for; `since` None leaves the log time to the runner."""

    id: int
    policy: Policy
    since: int | None


class Reader:
    """Reads a store beside its writer: for one thread, without a lock. Raises StoreError when there is none."""

    def __init__(self, path: str | Path) -> None:
        self.db = Database(path, SCHEMA, must_exist=True)

    def profile(self) -> str:
        """The id of the profile that the rows belong to."""
        return str(self.db.read("SELECT value FROM meta WHERE name = 'profile'")[0][0])

    def tape(self, *, key: bytes | None = None, since: int | None = None, until: int | None = None) -> Iterator[Point]:
        """Points with since <= at < until (microseconds), of one entity or of all, in order of (at, n, budget).

        An entity's clock never runs back, so each entity's points come in the order in which they were made. Reads
        page by page: a slow reader does not hold up the writer, and sees points that are saved meanwhile.
        """
        low, high = -(2**63) if since is None else since, 2**63 - 1 if until is None else until
        if key is not None:
            rows = self.db.read(
                "SELECT point FROM tape WHERE key = ? AND at >= ? AND at < ? ORDER BY n, budget", key, low, high
            )
            yield from (_POINT.decode(row[0]) for row in rows)
            return
        after: tuple[int, int, int, bytes] = (low, -1, -1, b"")
        while True:
            page = self.db.read(
                "SELECT point FROM tape WHERE at >= ? AND at < ? AND (at, n, budget, key) > (?, ?, ?, ?)"
                " ORDER BY at, n, budget, key LIMIT ?",
                *(after[0], high, *after, TAPE_PAGE),
            )
            if not page:
                return
            last: Point | None = None
            for row in page:
                last = _POINT.decode(row[0])
                yield last
            assert last is not None
            after = (last.at, last.n, int(last.budget), last.key)

    def policies(self) -> tuple[Dated, ...]:
        """The journal, ascending in `since`."""
        rows = self.db.read("SELECT since, policy FROM policies ORDER BY seq")
        return tuple(Dated(since, _POLICY.decode(policy)) for since, policy in rows)

    def saved_extra(self, name: str) -> bytes | None:
        """One of the extras of the last snapshot."""
        found = self.db.read("SELECT body FROM extras WHERE name = ?", name)
        return found[0][0] if found else None

    def request_state(self, request: int) -> tuple[str, str]:
        """What became of a requested policy: `waiting`, `taken` or `refused`, and the reason. StoreError if unknown."""
        rows = self.db.read("SELECT state, reason FROM requests WHERE id = ?", request)
        if not rows:
            raise StoreError(f"{self.db.path} knows no policy request {request}")
        return str(rows[0][0]), str(rows[0][1])

    def dead_letters(self, limit: int = 100) -> tuple[DeadLetter, ...]:
        """The newest first."""
        rows = self.db.read("SELECT letter FROM dead_letters ORDER BY seq DESC LIMIT ?", limit)
        return tuple(_LETTER.decode(row[0]) for row in rows)

    def close(self) -> None:
        self.db.close()


class Store(Reader):
    """The one writer. Used by the thread that opened it.

    Raises StoreLocked when another process writes, StoreError when the file belongs to another profile or schema.
    """

    def __init__(self, path: str | Path, *, profile: str, keep_dead_letters: int = KEEP_DEAD_LETTERS) -> None:
        self._lock = WriterLock(Path(path))
        try:
            self.db = Database(path, SCHEMA, page_size=PAGE_SIZE)
            try:
                self._bind(profile)
            except StoreError:
                self.db.close()
                raise
        except StoreError:
            self._lock.release()
            raise
        self._keep_dead_letters = keep_dead_letters
        self._seen_version = -1
        self._waiting: tuple[Request, ...] = ()

    def _bind(self, profile: str) -> None:
        with self.db.transaction("cannot be bound to a profile") as db:
            db.execute("INSERT OR IGNORE INTO meta VALUES ('profile', ?)", (profile,))
        bound = self.profile()
        if bound != profile:
            raise StoreError(
                f"{self.db.path} holds rows of profile {bound}, not of {profile}. Rows never migrate: give {profile} a "
                "store of its own, run it in shadow for a horizon or replay the log into it, then let it take over"
            )

    def bind_ids(self, mark: str) -> None:
        """Binds the store to how ids are kept: `mark` tells one key of pseudonyms from another, empty: without any.

        Raises StoreError when it holds ids that were kept otherwise: everybody would begin anew, and names would stay.
        """
        with self.db.transaction("cannot be bound to how ids are kept") as db:
            begun = db.execute("SELECT 1 FROM positions").fetchone() is not None
            db.execute("INSERT OR IGNORE INTO meta VALUES ('ids', ?)", ("" if begun else mark,))
        bound = str(self.db.read("SELECT value FROM meta WHERE name = 'ids'")[0][0])
        if bound != mark:
            how = "without pseudonyms" if not bound else "with pseudonyms of another key" if mark else "with pseudonyms"
            raise StoreError(
                f"{self.db.path} keeps its ids {how}: give the ids that entities.pseudonyms makes a store of their own"
            )

    def load(self) -> Saved:
        return Saved(
            positions=dict(self.db.read("SELECT stream, next_offset FROM positions")),
            rows=self.db.stream("SELECT key, row FROM rows"),
            names=self.db.stream("SELECT key, model, kind, id FROM names"),
            cases=self.db.stream("SELECT key, body FROM cases"),
            extras=dict(self.db.read("SELECT name, body FROM extras")),
            # CROSS: the large table is read from its beginning to its end
            named_rows=self.db.stream("SELECT kind, id, row FROM rows CROSS JOIN names USING (key)"),
        )

    def row(self, key: bytes) -> bytes | None:
        """The row of an entity that memory no longer holds, as last saved; None for one that was never saved."""
        found = self.db.read("SELECT row FROM rows WHERE key = ?", key)
        return found[0][0] if found else None

    def save(
        self,
        *,
        positions: Mapping[str, int],
        rows: Iterable[tuple[bytes, bytes]],
        names: Iterable[tuple[bytes, str, str, str]] = (),
        cases: Iterable[tuple[bytes, bytes]] = (),
        extras: Mapping[str, bytes] | None = None,
        points: Iterable[Point] = (),
        asked: Mapping[int, int] | None = None,
        ticks: Mapping[PointId, int] | None = None,
        forget: Iterable[bytes] = (),
    ) -> None:
        """One snapshot, all or nothing, durable when it returns: what changed since the last one.

        `rows`, `names`, `cases` and `extras` replace what is there under the same key. Saving the same again changes
        nothing, but for `asked`: queries by tick since the last snapshot. `ticks`: in which points were decided, where
        that is not the one of their `at`. `forget` are entities that expired: their row, name and case go, their tape
        stays until it is pruned.
        """
        gone = [(key,) for key in forget]
        with self.db.transaction("could not take the snapshot") as db:
            for table in ("rows", "names", "cases"):
                db.executemany(f"DELETE FROM {table} WHERE key = ?", gone)  # noqa: S608  # a name from the line above
            db.executemany(
                "INSERT INTO rows VALUES (?, ?) ON CONFLICT (key) DO UPDATE SET row = excluded.row", rows
            )  # not OR REPLACE, which deletes and appends: an update in place writes half as much
            db.executemany("INSERT OR IGNORE INTO names VALUES (?, ?, ?, ?)", names)
            db.executemany(
                "INSERT INTO cases VALUES (?, ?) ON CONFLICT (key) DO UPDATE SET body = excluded.body", cases
            )
            db.executemany("INSERT OR REPLACE INTO extras VALUES (?, ?)", (extras or {}).items())
            db.executemany(
                "INSERT OR REPLACE INTO tape(key, budget, n, at, level, point, tick) VALUES (?, ?, ?, ?, ?, ?, ?)",
                ((*_columns(p), (ticks or {}).get((p.key, p.n, p.budget))) for p in points),
            )
            (saved,) = db.execute("SELECT COALESCE(max(saved), 0) + 1 FROM asked").fetchone()
            db.executemany(
                "INSERT INTO asked VALUES (?, ?, ?) ON CONFLICT (tick) DO UPDATE"
                " SET queries = queries + excluded.queries, saved = excluded.saved",
                ((tick, queries, saved) for tick, queries in (asked or {}).items()),
            )
            db.executemany("INSERT OR REPLACE INTO positions VALUES (?, ?)", positions.items())

    def prune_tape(self, before: int) -> int:
        """Drops the points before a log time (microseconds); returns how many."""
        with self.db.transaction("could not prune the tape") as db:
            return db.execute("DELETE FROM tape WHERE at < ?", (before,)).rowcount

    def prune_asked(self, before: int) -> None:
        """Drops the counts of the ticks before one, but for those of the last snapshot."""
        with self.db.transaction("could not prune the counts of queries") as db:
            db.execute("DELETE FROM asked WHERE tick < ? AND saved < (SELECT max(saved) FROM asked)", (before,))

    def settings_policy(self) -> str | None:
        """The version of the last policy in the journal that nobody requested: the one that the settings gave."""
        rows = self.db.read("SELECT value FROM meta WHERE name = 'settings policy'")
        return str(rows[0][0]) if rows else None

    def journal_policy(self, dated: Dated, *, request: int | None = None, of_settings: bool | None = None) -> None:
        """Appends to the journal, durably before it returns; closes the `request` that asked for it, if one did.
        of_settings: the settings gave it; by default if nobody requested it.

        Raises StoreError when `since` lies before the last entry's: what was decided under that one would change.
        """
        journal = self.policies()
        if journal and dated.since < journal[-1].since:
            raise StoreError(
                f"policy {dated.policy.version} cannot hold from {dated.since}: policy {journal[-1].policy.version} "
                f"already holds from {journal[-1].since}, and the journal only grows forward"
            )
        with self.db.transaction("could not journal a policy") as db:
            db.execute(
                "INSERT INTO policies(since, policy) VALUES (?, ?)", (dated.since, _ENCODER.encode(dated.policy))
            )
            if request is None if of_settings is None else of_settings:
                db.execute("INSERT OR REPLACE INTO meta VALUES ('settings policy', ?)", (dated.policy.version,))
            db.execute("UPDATE requests SET state = 'taken' WHERE id IS ?", (request,))
        self._seen_version = -1

    def requested(self) -> tuple[Request, ...]:
        """Policies that wait to be journaled or refused, oldest first. Costs 5 µs while nobody else wrote."""
        version = int(self.db.read("PRAGMA data_version")[0][0])
        if version != self._seen_version:
            rows = self.db.read("SELECT id, policy, since FROM requests WHERE state = 'waiting' ORDER BY id")
            self._waiting = tuple(Request(id_, _POLICY.decode(policy), since) for id_, policy, since in rows)
            self._seen_version = version
        return self._waiting

    def refuse_request(self, request: int, reason: str) -> None:
        with self.db.transaction("could not refuse a policy") as db:
            db.execute("UPDATE requests SET state = 'refused', reason = ? WHERE id = ?", (reason, request))
        self._seen_version = -1

    def dead_letter(self, letters: Sequence[DeadLetter]) -> int:
        """Keeps letters, the newest N of all; returns how many were new: a replay repeats them with their places."""
        with self.db.transaction("could not keep dead letters") as db:
            # Not OR IGNORE: an ignored row uses up a number, and a long replay would push the letters out.
            new = db.executemany(
                "INSERT INTO dead_letters(stream, offset, row, letter) SELECT ?1, ?2, ?3, ?4 WHERE NOT EXISTS"
                " (SELECT 1 FROM dead_letters WHERE stream = ?1 AND offset = ?2 AND row = ?3)",
                ((one.stream, one.offset, one.row, _ENCODER.encode(one)) for one in letters),
            ).rowcount
            db.execute(
                "DELETE FROM dead_letters WHERE seq <= (SELECT max(seq) FROM dead_letters) - ?",
                (self._keep_dead_letters,),
            )
        return new

    def close(self) -> None:
        self.db.close()
        self._lock.release()


def _columns(p: Point) -> tuple[bytes, bool, int, int, int, bytes]:
    return p.key, p.budget, p.n, p.at, p.level, _ENCODER.encode(p)


def request_policy(path: str | Path, policy: Policy, since: int | None = None) -> int:
    """Asks the writer of the store at `path` for a policy; returns the number to ask `Reader.request_state` about.

    The writer stamps the log time from which it holds; `since` asks for one (microseconds).
    """
    reader = Reader(path)
    try:
        with reader.db.transaction("could not take a policy request") as db:
            cursor = db.execute("INSERT INTO requests(since, policy) VALUES (?, ?)", (since, _ENCODER.encode(policy)))
            assert cursor.lastrowid is not None
            return cursor.lastrowid
    finally:
        reader.close()


_ENCODER = msgspec.msgpack.Encoder()
_POINT = msgspec.msgpack.Decoder(Point)
_POLICY = msgspec.msgpack.Decoder(Policy)
_LETTER = msgspec.msgpack.Decoder(DeadLetter)
