"""The tape into columns: what was kept since it was read last, all of it when something was taken away."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import msgspec

from detector.dashboard.reading.tapes import Mark, Tape
from detector.dashboard.whatif.columns import Columns, Gathering, Slim
from features.contract import Signal

DAY_US = 86_400_000_000


class Taping:
    """One thread at a time. signals: of the kit that the points are of."""

    def __init__(self, tape: Tape, signals: Sequence[Signal] = ()) -> None:
        self._tape, self._signals = tape, signals
        self._begin()

    def _begin(self) -> None:
        self.gathering = Gathering(self._signals)
        self._mark: Mark | None = None

    @property
    def columns(self) -> Columns:
        return self.gathering.columns

    def refresh(self) -> bool:
        """Reads what is new; True when anything was."""
        if self._mark is not None and not self._tape.goes_on(self._mark):
            self._begin()
        before, taken = self._mark, False
        try:
            asked: dict[int, int] = {}
            self.gathering.take(self._new(asked), asked)
            taken = True
        finally:
            if not taken:  # a part was read that is in no column
                self._begin()
        if self._mark == before:
            return False
        self.gathering.prune((self.columns.until or 0) - self._tape.days * DAY_US)
        return True

    def _new(self, asked: dict[int, int]) -> Iterator[tuple[Slim, int | None]]:
        for read in self._tape.new(self._mark):
            asked.update(read.asked)
            for row in read.rows:
                yield _SLIM.decode(row.point), row.tick
            self._mark = read.mark


_SLIM = msgspec.msgpack.Decoder(Slim)
