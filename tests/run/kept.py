"""What a runner leaves behind in its folder, read so that two of them can be compared."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import NamedTuple

import msgspec

from detector.alert import Alert
from detector.decide import NO_CASE, Case, decide
from detector.pipeline import State
from detector.policy import in_force
from detector.run.outbox import Outbox
from detector.run.store import Reader
from detector.tape import Point

Told = dict[tuple[str, str], list[str]]  # the ids of the alerts on each entity (level, id), in their order


class Kept(NamedTuple):
    """All that must not depend on how often the runner crashed. Rows are by level and id."""

    rows: dict[tuple[str, str], bytes]
    cases: dict[bytes, bytes]
    tape: list[Point]
    positions: dict[str, int]
    clocks: dict[str, int]
    letters: set[tuple[str, int, int, str]]
    told: Told
    asked: dict[int, int]
    ticks: set[tuple[bytes, int, bool, int]]

    def of(self, kind: str) -> tuple[object, ...]:
        """Rows, tape and alerts of one level."""
        rows = {name: row for name, row in self.rows.items() if name[0] == kind}
        told = {name: ids for name, ids in self.told.items() if name[0] == kind}
        return rows, [point for point in self.tape if point.kind == kind], told


def kept(folder: Path) -> Kept:
    reader = Reader(folder / "store" / "state.sqlite")
    read = reader.db.read
    state = msgspec.msgpack.decode(dict(read("SELECT name, body FROM extras"))["state"], type=State)
    found = Kept(
        {(kind, id_): row for kind, id_, row in read("SELECT kind, id, row FROM names JOIN rows USING (key)")},
        dict(read("SELECT key, body FROM cases")),
        sorted(reader.tape(), key=lambda point: (point.key, point.n, point.budget)),
        dict(read("SELECT stream, next_offset FROM positions")),
        state.clocks,
        {(one.stream, one.offset, one.row, one.reason) for one in reader.dead_letters(10_000)},
        told(alerts(folder)),
        dict(read("SELECT tick, queries FROM asked")),
        set(read("SELECT key, n, budget, tick FROM tape WHERE tick IS NOT NULL")),
    )
    reader.close()
    return found


def alerts(folder: Path) -> list[Alert]:
    """All that the outbox holds, in its order."""
    outbox = Outbox(folder / "store" / "outbox.sqlite")
    found = [waiting.alert for waiting in outbox.undelivered("nobody", after=0, limit=100_000)]
    outbox.close()
    return found


def told(alerts: Iterable[Alert]) -> Told:
    found: Told = {}
    for alert in alerts:
        found.setdefault((alert.entity.kind, alert.entity.id), []).append(alert.id)
    return found


def retold(folder: Path, alerts_from: int = 0) -> Told:
    """The alerts that follow from the tape, from a log time on, and the journal of policies: what must have been told,
    and nothing else.
    """
    reader = Reader(folder / "store" / "state.sqlite")
    policies = reader.policies()
    cases: dict[bytes, Case] = {}
    found: Told = {}
    for point in reader.tape():
        if point.at < alerts_from:
            continue
        case, decision = decide(in_force(policies, point.at), cases.get(point.key, NO_CASE), point)
        cases[point.key] = case
        if decision is not None:
            found.setdefault((point.kind, point.id), []).append(decision.alert_id)
    reader.close()
    return found
