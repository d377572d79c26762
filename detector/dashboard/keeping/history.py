"""The tape of a store in the dashboard's own database, kept for longer: what the store newly has is copied, once.

A part and how far it goes are one transaction, so after a crash the next part begins where the last one ended. Where
the store took rows away, all that it still has is read again; a point that is there already stays as it is. The store
is read in short pages: its writer never waits.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from contextlib import closing
from pathlib import Path
from typing import Any

import msgspec
from sqlalchemy import ARRAY, Connection, Engine, Table, cast, delete, func, insert, select, update
from sqlalchemy.dialects import postgresql, sqlite

from detector.dashboard.keeping.opening import alone, reading
from detector.dashboard.keeping.tables import ASKED, FORGOTTEN, POINTS, TAPES
from detector.dashboard.reading import tapes
from detector.entities import Name, entity_key
from detector.levels import TICK_US
from detector.profile.artefact import Profile
from detector.run.database import Database
from detector.run.forgetting import CLIENT, without_member
from detector.run.store import Reader
from detector.tape import Point

DAY_US = 86_400_000_000


class History:
    """The tape of the store in `folder`, whose rows belong to `profile`. See detector.dashboard.reading.tapes.Tape.

    days: of log time for which points are kept. The engine is closed with it.
    """

    def __init__(self, engine: Engine, folder: Path, profile: Profile, days: int) -> None:
        self._engine, self._reading = engine, reading(engine)
        self._path, self._profile = folder / "state.sqlite", profile
        self.days = days
        self._tape = self._found()

    def close(self) -> None:
        self._engine.dispose()

    def _found(self) -> int:
        profile = self._profile.summary.id
        with self._engine.begin() as db:
            alone(db, TAPES)
            known = db.execute(select(TAPES.c.id).where(TAPES.c.profile == profile)).scalar()
            if known is not None:
                return int(known)
            made = db.execute(insert(TAPES).values(profile=profile, seq=0, epoch=0))
            return int(made.inserted_primary_key[0])  # type: ignore[index]

    # -- what is read of it

    def new(self, mark: tapes.Mark | None) -> Iterator[tapes.Read]:
        """Copies first what the store has that is not here."""
        self.copy()
        row, saved = (mark.row, mark.saved) if mark else (0, 0)
        while True:
            with self._reading.begin() as db:
                (epoch,) = db.execute(select(TAPES.c.epoch).where(TAPES.c.id == self._tape)).one()
                of_points, of_asked = POINTS.c.seq > row, ASKED.c.seq > saved
                rows = db.execute(
                    select(POINTS.c.seq, POINTS.c.tick, POINTS.c.point)
                    .where(POINTS.c.tape == self._tape, of_points)
                    .order_by(POINTS.c.seq)
                    .limit(tapes.PAGE)
                ).all()
                asked = db.execute(
                    select(ASKED.c.tick, ASKED.c.queries, ASKED.c.seq)
                    .where(ASKED.c.tape == self._tape, of_asked)
                    .order_by(ASKED.c.seq)
                ).all()
            if not rows and not asked:
                return
            row, saved = (rows[-1].seq if rows else row), (asked[-1].seq if asked else saved)
            found = [tapes.Row(one.tick, bytes(one.point)) for one in rows]
            yield tapes.Read(tapes.Mark((epoch,), row, saved), found, {one.tick: one.queries for one in asked})

    def goes_on(self, mark: tapes.Mark) -> bool:
        self.copy()
        with self._reading.begin() as db:
            (epoch,) = db.execute(select(TAPES.c.epoch).where(TAPES.c.id == self._tape)).one()
        return mark.epoch == (epoch,)

    def scored(self, key: bytes) -> list[Point]:
        mine = POINTS.c.tape == self._tape, POINTS.c.key == key, POINTS.c.budget.is_(False)
        with self._reading.begin() as db:
            return [_POINT.decode(body) for (body,) in db.execute(select(POINTS.c.point).where(*mine).order_by("n"))]

    def latest(self, keys: Iterable[bytes]) -> dict[bytes, bytes]:
        wanted = list(keys)
        mine = POINTS.c.tape == self._tape, POINTS.c.key.in_(wanted), POINTS.c.budget.is_(False)
        last = select(POINTS.c.key, func.max(POINTS.c.n).label("n")).where(*mine).group_by(POINTS.c.key).subquery()
        here = (POINTS.c.key == last.c.key) & (POINTS.c.n == last.c.n)
        with self._reading.begin() as db:
            found = db.execute(select(POINTS.c.key, POINTS.c.point).join(last, here).where(*mine))
            return {bytes(key): bytes(point) for key, point in found}

    # -- what is copied into it

    def copy(self) -> int:
        """Takes in what the store has newly, and drops what is too old; returns how many points it read of the store.
        Raises StoreError.
        """
        with closing(Reader(self._path)) as store:
            copied = 0
            while found := self._part(store.db):
                copied += found
        self._prune()
        return copied

    def _part(self, store: Database) -> int:
        """One part of it, one transaction. Who copies beside waits for it, and goes on behind it."""
        with self._engine.begin() as db:
            place = db.execute(select(TAPES).where(TAPES.c.id == self._tape).with_for_update()).one()
            forgot = self._forget(db, store)
            mark = None if forgot or place.mark is None else _MARK.decode(place.mark)
            if mark is not None and not tapes.goes_on(store, mark):
                mark = None
            read = next(tapes.news(store, mark), None)
            seq = place.seq
            if read is not None:
                seq = self._put(db, read, seq)
                mark = read.mark
            kept = None if mark is None else _ENCODER.encode(mark)
            here = update(TAPES).where(TAPES.c.id == self._tape)
            db.execute(here.values(seq=seq, epoch=place.epoch + forgot, mark=kept))
        return len(read.rows) + len(read.asked) if read else 0

    def _put(self, db: Connection, read: tapes.Read, seq: int) -> int:
        """Adds what was read, numbered from `seq` on; what stands there already as it is keeps its number."""
        heads = [_HEAD.decode(row.point) for row in read.rows]
        points = [
            {
                "tape": self._tape, "key": head.key, "n": head.n, "budget": head.budget, "seq": number, "at": head.at,
                "tick": row.tick, "level": head.kind, "score": head.level, "point": row.point,
            }
            for number, (head, row) in enumerate(zip(heads, read.rows, strict=True), seq + 1)
        ]  # fmt: skip
        seq += len(points)
        asked = [
            {"tape": self._tape, "tick": tick, "queries": queries, "seq": number}
            for number, (tick, queries) in enumerate(read.asked.items(), seq + 1)
        ]
        for table, values, of in ((POINTS, points, "point"), (ASKED, asked, "queries")):
            if values:
                _write(db, table, values, of)
        return seq + len(asked)

    def _prune(self) -> None:
        """Of former profiles, too."""
        with self._engine.begin() as db:
            newest = db.execute(select(func.max(POINTS.c.at)).where(POINTS.c.tape == self._tape)).scalar()
            if newest is None:
                return
            oldest = newest - self.days * DAY_US
            for tape in db.execute(select(TAPES.c.id)).scalars().all():
                db.execute(delete(POINTS).where(POINTS.c.tape == tape, POINTS.c.at < oldest))
                db.execute(delete(ASKED).where(ASKED.c.tape == tape, ASKED.c.tick < oldest // TICK_US))

    # -- who is to be forgotten

    def _forget(self, db: Connection, store: Database) -> bool:
        """Takes out whom the store has forgotten since; whether there was anybody. Read the whole store again then:
        what it has of them came later.
        """
        known = set(db.execute(select(FORGOTTEN.c.id).where(FORGOTTEN.c.tape == self._tape)).scalars())
        done = store.read("SELECT id, kind, key FROM forgettings WHERE state = 'done' ORDER BY id")
        new = [one for one in done if one[0] not in known]
        for number, kind, key in new:
            db.execute(delete(POINTS).where(POINTS.c.key == key))
            if kind == CLIENT:
                self._unname(db, key)
            db.execute(insert(FORGOTTEN).values(tape=self._tape, id=number))
        return bool(new)

    def _unname(self, db: Connection, key: bytes) -> None:
        """Points of groups name the clients that asked; of whom is to be forgotten only the key is known."""
        model, secret = self._profile.summary.model, self._profile.secret
        of_groups = select(POINTS).where(POINTS.c.tape == self._tape, POINTS.c.level != CLIENT)
        known: dict[str, bool] = {}
        for row in db.execute(of_groups).all():
            point = _POINT.decode(row.point)
            for member in point.members:
                if member not in known:
                    known[member] = entity_key(Name(model, CLIENT, member), secret) == key
            for member in (one for one in point.members if known[one]):
                here = (POINTS.c.tape == row.tape) & (POINTS.c.key == row.key)
                here &= (POINTS.c.n == row.n) & (POINTS.c.budget == row.budget)
                without = _ENCODER.encode(without_member(point, member))
                db.execute(update(POINTS).where(here).values(point=without))


class _Head(msgspec.Struct):
    """Of a saved point what stands in columns."""

    key: bytes
    kind: str
    at: int
    n: int
    level: int
    budget: bool = False


def _write(db: Connection, table: Table, rows: Sequence[dict[str, Any]], of: str) -> None:
    """Inserts, or replaces where the column `of` is another."""
    if db.dialect.name == "postgresql":  # one statement over columns: a fifth of the time of one a row
        columns = table.columns.values()
        lists = (cast([row[one.name] for row in rows], ARRAY(one.type)) for one in columns)
        parts = select(*(func.unnest(of_one).label(one.name) for one, of_one in zip(columns, lists, strict=True)))
        db.execute(_over(postgresql.insert(table).from_select([one.name for one in columns], parts), table, of))
    else:
        db.execute(_over(sqlite.insert(table), table, of), rows)


def _over(made: Any, table: Table, of: str) -> Any:
    key = [column.name for column in table.primary_key]
    others = {column.name: made.excluded[column.name] for column in table.columns if column.name not in key}
    return made.on_conflict_do_update(index_elements=key, set_=others, where=table.c[of] != made.excluded[of])


_ENCODER = msgspec.msgpack.Encoder()
_POINT = msgspec.msgpack.Decoder(Point)
_HEAD = msgspec.msgpack.Decoder(_Head)
_MARK = msgspec.msgpack.Decoder(tapes.Mark)
