"""Rings as a level: accounts are counted, linked and judged at ticks of ten minutes of log time."""

from __future__ import annotations

import msgspec
import numpy as np

from detector.entities import Entities
from detector.evidence.kernels import point_is_due
from detector.evidence.law import Law
from detector.levels import (
    DECIBANS,
    MEMBERS,
    NO_EVIDENCE,
    TICK_US,
    Asked,
    OpenTicks,
    evidence_of,
    in_any_order,
    of_all,
    run_starts,
)
from detector.rings.accounts import count, counts_of
from detector.rings.judging import FEWEST, Judging, Together, Verdict
from detector.rings.linking import Limits, Linking, Pool
from detector.tape import Point
from features.kit import Kit

TICKS = 60  # of TICK_US in one of a ring
RING_TICK_US = TICKS * TICK_US


class Learned(msgspec.Struct, frozen=True):
    """What `fit` learned of rings beside their law. accounts: honest ones in the smallest population that it tried."""

    limits: Limits
    together: Together
    accounts: int


class RingLevel:
    """The accounts of one model, and the rings among them. Only additive signals are counted."""

    def __init__(
        self, kit: Kit, accounts: Entities, rings: Entities, law: Law, learned: Learned, epoch_us: int
    ) -> None:
        self.kit, self.accounts, self.rings = kit, accounts, rings
        self.linking = Linking(accounts, law, learned.limits, 2 * epoch_us)
        self._judging, self._together, self._epoch_us = Judging(law), learned.together, epoch_us
        self._open = OpenTicks(accounts, len(kit.additive))
        self._before = 0  # ring ticks before this one are closed
        self._above: set[int] = set()  # rings whose last point stood above the ground

    def gather(self, asked: Asked) -> None:
        """asked.tick: of TICK_US."""
        ticks = np.maximum(asked.tick // TICKS, self._before)
        self._open.gather(asked._replace(tick=ticks, slot=self.accounts.slots(asked.clients)))

    def close(self, before_tick: int, *, ended: bool = False) -> list[Point]:
        """Judges every ring tick that is over when the ticks (of TICK_US) before `before_tick` are; with `ended` the
        one that has begun, too.
        """
        self._before = max(self._before, -(-before_tick // TICKS) if ended else before_tick // TICKS)
        due = self._open.due(self._before)
        if due is None:
            return []
        starts = np.flatnonzero(np.append(True, np.diff(due.tick) != 0))
        stops = np.append(starts[1:], len(due.tick)).tolist()
        return [
            point
            for start, stop in zip(starts.tolist(), stops, strict=True)
            for point in self._tick(due.taken(np.arange(start, stop)))
        ]

    def members(self) -> dict[str, list[str]]:
        """The accounts of each ring that is large enough to be judged, by its name."""
        ids, pools = self.accounts.ids, self.linking.pools
        large = sorted(ring for ring, pool in pools.items() if len(pool.members) >= FEWEST)
        return {name_of(ring): sorted(ids[slot] for slot in pools[ring].members) for ring in large}

    def saved(self) -> bytes:
        """The open ticks, for a snapshot."""
        return self._open.saved()

    def restore(self, saved: bytes) -> None:
        """After the rows were."""
        self._open.restore(saved)
        self.linking.restore()
        rings = self.rings
        levels = rings.rows["tape_level"][: len(rings)].tolist()
        self._above = {int(id_[5:], 16) for id_, level in zip(rings.ids, levels, strict=True) if level}

    def _tick(self, asked: Asked) -> list[Point]:
        """What was asked in one tick, sorted by slot."""
        now = (int(asked.tick[0]) + 1) * RING_TICK_US
        slots = np.unique(asked.slot)
        before = counts_of(self.accounts.rows, slots)
        starts = run_starts(asked.tick, asked.slot)
        stops = np.append(starts[1:], len(asked.slot))
        in_any_order(asked.bins, starts, stops, self.accounts.rows["n"][asked.slot[starts]])
        count(asked.slot, now, asked.bins, self._epoch_us, self.accounts.rows)
        self.accounts.touched(slots)
        self.linking.moved(slots, before, counts_of(self.accounts.rows, slots))
        changed = set(self.linking.settle(slots.tolist(), now))
        gone = {ring for ring in self._above if ring not in self.linking.pools}
        latest: dict[int, tuple[int, str]] = {}
        in_rings = self.accounts.rows["ring"][asked.slot].tolist()
        for ring, at, query_id in zip(in_rings, asked.at.tolist(), asked.query_ids, strict=True):
            latest[ring] = max(latest.get(ring, (0, "")), (at, query_id))
        found = [self._judge(ring, now, latest.get(ring, (0, ""))[1]) for ring in sorted(changed | gone)]
        return [point for point in found if point is not None]

    def _judge(self, ring: int, now: int, query_id: str) -> Point | None:
        """A point of the tape where one is due."""
        pool = self.linking.pools.get(ring)
        verdict = None
        if pool is not None and len(pool.members) >= FEWEST:
            verdict = self._judging.verdict(pool.counts, pool.apart, self._together)
        level = verdict.level if verdict else 0
        if level == 0 and ring not in self._above:
            return None
        slot = self.rings.slot(name_of(ring))
        row = self.rings.rows[slot]
        if row["first_at"] == 0:
            row["first_at"] = now
        row["clock"] = now
        self.rings.touched(np.array([slot]))
        if not point_is_due(row, level, now):
            return None
        if level:
            self._above.add(ring)
        else:
            self._above.discard(ring)
        row["n"] = max(int(row["n"]) + 1, queries_of(self.accounts, pool))  # the tape tells an entity's points by it
        return self._point(slot, pool, verdict, level, query_id)

    def _point(self, slot: int, pool: Pool | None, verdict: Verdict | None, level: int, query_id: str) -> Point:
        ids = self.accounts.ids
        members = sorted(ids[member] for member in pool.members) if pool else []
        told = NO_EVIDENCE
        if verdict is not None:
            (told,) = evidence_of(*(of_all(self.kit, known) for known in verdict[2:]))
        return Point(
            key=self.rings.keys[slot],
            model=self.rings.model,
            kind=self.rings.kind,
            id=self.rings.ids[slot],
            at=int(self.rings.rows["clock"][slot]),
            n=int(self.rings.rows["n"][slot]),
            level=level,
            query_id=query_id,
            evidence=told.nats,
            odds=told.odds,
            shares=told.shares,
            tails=told.tails,
            members=tuple(members[:MEMBERS]),
            accounts=len(members),
            together=round(verdict.together * DECIBANS) if verdict else 0,
        )


def name_of(ring: int) -> str:
    """As alerts name it."""
    return f"ring-{ring:015x}"


def queries_of(accounts: Entities, pool: Pool | None) -> int:
    """Weighed queries of all members, ever."""
    return int(accounts.rows["n"][sorted(pool.members)].sum(dtype=np.int64)) if pool else 0
