"""The tape of a store into columns: what was saved since it was read last, all of it when something was taken away."""

from __future__ import annotations

from collections.abc import Iterator

import msgspec

from detector.dashboard.whatif.columns import Columns, Gathering, Slim
from detector.errors import StoreError
from detector.run.database import Database

PAGE = 20_000
DAY_US = 86_400_000_000


class Taping:
    """One thread at a time. days: of log time that the columns keep."""

    def __init__(self, days: int) -> None:
        self._days = days
        self._begin()

    def _begin(self) -> None:
        self.gathering = Gathering()
        self._rowid, self._row, self._forgotten = 0, (b"", -1, -1), 0

    @property
    def columns(self) -> Columns:
        return self.gathering.columns

    def refresh(self, db: Database) -> bool:
        """Reads what is new; True when anything was."""
        (forgotten,) = db.read("SELECT count(*) FROM forgettings WHERE state = 'done'")[0]
        if forgotten != self._forgotten or not self._goes_on(db):
            self._begin()
            self._forgotten = forgotten
        before = self._rowid
        try:
            self.gathering.take(self._new(db))
        except StoreError:  # a part was read that is in no column
            self._begin()
            raise
        if self._rowid == before:
            return False
        self.gathering.prune((self.columns.until or 0) - self._days * DAY_US)
        return True

    def _goes_on(self, db: Database) -> bool:
        """Numbers of rows are given anew when the last rows were pruned or forgotten: then the last is another."""
        if not self._rowid:
            return True
        found = db.read("SELECT key, n, budget FROM tape WHERE rowid = ?", self._rowid)
        return bool(found) and found[0] == self._row

    def _new(self, db: Database) -> Iterator[Slim]:
        while True:
            rows = db.read(
                "SELECT rowid, key, n, budget, point FROM tape WHERE rowid > ? ORDER BY rowid LIMIT ?",
                self._rowid,
                PAGE,
            )
            if not rows:
                return
            for row in rows:
                yield _SLIM.decode(row[4])
            self._rowid, self._row = rows[-1][0], rows[-1][1:4]


_SLIM = msgspec.msgpack.Decoder(Slim)
