"""The cases of an outbox: what was told of each, what is held, and in which order they wait for somebody."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Literal, NamedTuple

import msgspec

from detector.alert import Alert
from detector.run.outbox import HELD, Outbox
from detector.run.verdicts import JUDGED
from detector.settings import micros

TOLD = (*JUDGED, "budget")  # kinds of alerts that are about an entity
MOST_MOVED = 200  # alerts on the population that are remembered
State = Literal["open", "resolved", "held"]


class Told(NamedTuple):
    """The alerts of a case: its first, its newest that accuses, its newest; `accused`: whether any calls somebody
    something; `sent`: whether any was not held. alerts: where they are kept, in order.
    """

    first: Alert
    accusing: Alert
    newest: Alert
    accused: bool
    sent: bool
    alerts: tuple[tuple[str, int], ...]

    @property
    def state(self) -> State:
        if self.newest.action == "resolve":
            return "resolved"
        return "open" if self.sent else "held"


class Casing:
    """Goes on from where it was; begins anew when alerts were pruned or forgotten. One thread at a time.

    told: by case. mine: by entity (level, id), its cases in the order in which they were opened. moved: alerts on the
    population, the oldest first.
    """

    def __init__(self) -> None:
        self._begin((0, 0))

    def _begin(self, gone: tuple[int, int]) -> None:
        self.told: dict[str, Told] = {}
        self.mine: dict[tuple[str, str], tuple[str, ...]] = {}
        self.moved: list[Alert] = []
        self._gone = gone
        self._seq, self._rowid, self._held = 0, 0, 0

    @property
    def mark(self) -> str:
        return f"{self._seq}.{self._rowid}.{self._gone}"

    def refresh(self, outbox: Outbox) -> bool:
        """Reads what is new; True when anything was."""
        db = outbox.db
        (emptied,) = db.read("SELECT count(*) FROM outbox WHERE payload IS NULL")[0]
        held, newest = db.read("SELECT count(*), COALESCE(max(rowid), 0) FROM sink_dead_letters WHERE sink = ?", HELD)[
            0
        ]
        before = self.mark
        if emptied != self._gone[0] or held < self._held or newest < self._rowid:
            self._begin((emptied, self._gone[1] + 1))
        told = db.read("SELECT seq, payload FROM outbox WHERE seq > ? AND payload IS NOT NULL ORDER BY seq", self._seq)
        kept = db.read(
            "SELECT rowid, payload FROM sink_dead_letters WHERE sink = ? AND rowid > ? ORDER BY rowid",
            *(HELD, self._rowid),
        )
        self.told, self.mine = dict(self.told), dict(self.mine)  # what was handed out does not change
        self._take("told", told)
        self._take(HELD, kept)
        self._seq = told[-1][0] if told else self._seq
        self._rowid, self._held = max(newest, self._rowid), held
        return self.mark != before

    def _take(self, kept: str, rows: Iterable[tuple[int, bytes]]) -> None:
        for number, payload in rows:
            alert = _ALERT.decode(payload)
            if alert.kind == "population":
                self.moved = [*self.moved, alert][-MOST_MOVED:]
            elif alert.kind in TOLD:
                self._note(alert, (kept, number))

    def _note(self, alert: Alert, where: tuple[str, int]) -> None:
        known = self.told.get(alert.case_id)
        sent = where[0] != HELD
        accuses = alert.kind in JUDGED and alert.action != "resolve"
        if known is None:
            self.told[alert.case_id] = Told(alert, alert, alert, accuses, sent, (where,))
            who = alert.entity.kind, alert.entity.id
            self.mine[who] = (*self.mine.get(who, ()), alert.case_id)
            return
        # A case may be held first and told later, or the reverse: they lie in two tables, time orders them.
        newest = alert if (alert.at, alert.queries) >= (known.newest.at, known.newest.queries) else known.newest
        first = alert if (alert.at, alert.queries) < (known.first.at, known.first.queries) else known.first
        accusing = known.accusing if not accuses or (known.accused and newest is not alert) else alert
        alerts = (*known.alerts, where)
        self.told[alert.case_id] = Told(first, accusing, newest, known.accused or accuses, known.sent or sent, alerts)


def alerts_of(outbox: Outbox, told: Sequence[Told]) -> tuple[Alert, ...]:
    """The alerts of cases, in the order of time."""
    found = []
    for table, number in (where for one in told for where in one.alerts):
        sql = (
            "SELECT payload FROM sink_dead_letters WHERE rowid = ?"
            if table == HELD
            else "SELECT payload FROM outbox WHERE seq = ? AND payload IS NOT NULL"
        )
        found += [_ALERT.decode(payload) for (payload,) in outbox.db.read(sql, number)]
    return tuple(sorted(found, key=lambda alert: (alert.at, alert.queries)))


def at_us(alert: Alert) -> int:
    """Log time, microseconds."""
    return micros(datetime.fromisoformat(alert.at))


_ALERT = msgspec.msgpack.Decoder(Alert)
