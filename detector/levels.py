"""The two ways in which entities are judged: clients query by query, groups by sums of counts at ticks of log time."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple, Protocol

import msgspec
import numpy as np
from numpy.typing import NDArray

from detector.entities import BINS, Entities
from detector.evidence import kernels, sums
from detector.evidence.law import Law
from detector.evidence.naming import under_its_name
from detector.evidence.sequence import told_of
from detector.evidence.telling import telling
from detector.exposure.exposed import Exposing, exposed, standing
from detector.exposure.known import MEASURES, Known
from detector.query import Batch
from detector.tape import Exposed, Point
from features.contract import Learned
from features.kit import Kit

PART = 256  # queries that go through all stages together: their numbers and rows stay in the processor's cache
TICK_US = 10_000_000
MEMBERS = 32  # of a group, named in a point
DECIBANS = 1000.0 / np.log(10.0)  # hundredths of a deciban in a nat


class Weighed(NamedTuple):
    """A batch after the client level: status (n,) of each query; the other columns cover the `kept` ones only."""

    status: NDArray[np.uint8]
    kept: NDArray[np.int64]
    clock: NDArray[np.int64]
    bins: NDArray[np.uint8]
    levels: NDArray[np.int32]
    points: list[tuple[int, Point]]  # index into the batch
    looks: list[Looked]


class Admission(NamedTuple):
    """What `admit` says of each query of a batch (kernels.admit)."""

    status: NDArray[np.uint8]
    clock: NDArray[np.int64]
    ordinal: NDArray[np.int64]
    asked: NDArray[np.int64]
    budget: NDArray[np.bool_]
    content: NDArray[np.uint64]


class Naming(NamedTuple):
    """What a point needs of a query beyond its columns: the log's ids, and the client's."""

    query_ids: Sequence[str | None]
    clients: Sequence[str]


class Evidence(NamedTuple):
    """What a point tells of each signal: its `evidence`, odds, shares and tails (tape.Point)."""

    nats: tuple[int, ...] = ()
    odds: tuple[int, ...] = ()
    shares: tuple[int, ...] = ()
    tails: tuple[int, ...] = ()


NO_EVIDENCE = Evidence()


class ClientLevel:
    """Clients, judged at each query. With no law it observes: counts queries and budgets, weighs nothing.

    Clients of a class (detector.classes) have a level of their own over the same rows, with a `number` of its own.
    """

    def __init__(
        self,
        kit: Kit,
        entities: Entities,
        learned: Learned,
        known: Known | None,
        law: Law | None,
        epoch_us: int,
        secret: np.uint64,
        of_class: str = "",
        number: int = 0,
    ) -> None:
        self.kit, self.entities, self._known = kit, entities, known
        self._class, self._number = of_class, number
        self._learned, self._law, self._epoch_us, self._secret = learned, law, epoch_us, secret
        self._lines = sums.lines(len(kit.signals))
        self.watch: Watch | None = None

    def advance(self, batch: Batch, naming: Naming) -> list[Weighed]:
        """Takes the queries in order, in parts of PART; the result does not depend on how the stream was cut."""
        parts = []
        for start in range(0, len(batch), PART):
            stop = min(start + PART, len(batch))
            names = Naming(naming.query_ids[start:stop], naming.clients[start:stop])
            parts.append(self._part(batch.part(start, stop), names))
        return parts

    def _part(self, batch: Batch, naming: Naming) -> Weighed:
        self.entities.touched(batch.slots)
        admission = admitted(batch, self.entities.rows, self._epoch_us, self._secret)
        kept = np.flatnonzero(admission.status == kernels.ADMITTED)
        points = self._budget_points(batch, admission, kept, naming)
        if self._law is None:
            none = np.empty((len(kept), 0), np.uint8)
            levels = np.zeros(len(kept), np.int32)
            return Weighed(admission.status, kept, admission.clock[kept], none, levels, points, [])
        taken = batch.taken(kept)
        clock = admission.clock[kept]
        values, stages = self.kit.measure(taken, self.entities.rows, self._learned)
        leaked = standing(taken, self._known, self.entities.rows)
        self._take_over(taken.slots)
        state = self.entities.rows, self._lines
        found = weighed(taken.slots, clock, values, stages, leaked, self._law, self._epoch_us, *state, self.watch)
        moved = np.flatnonzero(found.moved)
        counts = found.told[moved]
        evidence = evidence_of(found.nats[moved], *telling(counts, self._law))
        said = told_of(counts, self._law.tables).tolist()
        told = found.levels[moved].tolist(), evidence, exposed(leaked.told[moved]), said
        for i, *columns in zip(kept[moved].tolist(), *told, strict=True):
            points.append((i, under_its_name(self._point(batch, admission, i, naming, *columns), self.kit.signals)))
        points.sort(key=lambda found: (found[0], found[1].budget))
        looks = [look._replace(place=int(kept[look.place])) for look in found.looks]
        return Weighed(admission.status, kept, clock, found.bins, found.levels, points, looks)

    def _take_over(self, slots: NDArray[np.int64]) -> None:
        """Lines of clients whom another level has weighed since are nobody's."""
        others = slots[self.entities.weighed_by[slots] != self._number]
        if len(others):
            self._lines["owner"][others % len(self._lines)] = 0
            self.entities.weighed_by[others] = self._number

    def _budget_points(
        self, batch: Batch, admission: Admission, kept: NDArray[np.int64], naming: Naming
    ) -> list[tuple[int, Point]]:
        due = kept[admission.budget[kept]]
        return [(i, self._point(batch, admission, i, naming, budget=True)) for i in due.tolist()]

    def _point(
        self,
        batch: Batch,
        admission: Admission,
        i: int,
        naming: Naming,
        level: int = 0,
        evidence: Evidence = NO_EVIDENCE,
        leaked: Exposed | None = None,
        said: int = 0,
        *,
        budget: bool = False,
    ) -> Point:
        slot = int(batch.slots[i])
        entities = self.entities
        return Point(
            key=entities.keys[slot],
            model=entities.model,
            kind=entities.kind,
            id=entities.ids[slot],
            at=int(admission.clock[i]),
            n=int(admission.ordinal[i]),
            level=level,
            query_id=naming.query_ids[i] or f"{int(admission.content[i]):016x}-{int(admission.ordinal[i])}",
            asked_today=int(admission.asked[i]),
            budget=budget,
            evidence=evidence.nats,
            odds=evidence.odds,
            shares=evidence.shares,
            tails=evidence.tails,
            exposed=leaked,
            of_class=self._class,
            sequence=said,
        )


def admitted(batch: Batch, rows: NDArray[Any], epoch_us: int, secret: np.uint64) -> Admission:
    """Numbers the queries of each entity; retries and those that are too late are marked, reused ids in `batch.odd`."""
    n = len(batch)
    found = Admission(
        np.zeros(n, np.uint8),
        np.zeros(n, np.int64),
        np.zeros(n, np.int64),
        np.zeros(n, np.int64),
        np.zeros(n, np.bool_),
        np.zeros(n, np.uint64),
    )
    kernels.admit(batch.slots, batch.at, batch.ids, batch.x, batch.labels, batch.odd, epoch_us, secret, rows, *found)
    return found


class Looked(NamedTuple):
    """A client when so many of its queries had been weighed. place: in the batch; vector (F,): see polya.vector_of."""

    place: int
    n: int
    vector: NDArray[np.float64]


# What the one-class model says of a client with n weighed queries at this log time and with this vector, in the score's
# unit.
Watch = Callable[[int, int, NDArray[np.float64]], float]


class Weights(NamedTuple):
    """What `weigh` says of each query, and who was looked at. See kernels.weigh."""

    bins: NDArray[np.uint8]
    levels: NDArray[np.int32]
    moved: NDArray[np.bool_]
    nats: NDArray[np.float64]
    told: NDArray[np.uint16]
    looks: list[Looked]


def weighed(
    slots: NDArray[np.int64],
    clock: NDArray[np.int64],
    values: NDArray[np.float64],
    stages: NDArray[np.int8],
    leaked: Exposing,
    law: Law,
    epoch_us: int,
    rows: NDArray[Any],
    lines: NDArray[Any],
    watch: Watch | None,
) -> Weights:
    """Takes queries in order; `watch` is asked at each look, and its word counts until the next."""
    n, width = values.shape
    found = Weights(
        np.empty((n, width), np.uint8),
        np.empty(n, np.int32),
        np.empty(n, np.bool_),
        np.empty((n, 2, width)),
        np.empty((n, width, BINS), np.uint16),
        [],
    )
    vector = np.zeros(0 if watch is None else width)
    state = rows, lines, sums.desk(width)
    words = np.ascontiguousarray(leaked.told[:, : len(MEASURES)])  # of one query it is anyway: one layout to compile
    columns = slots, clock, values, stages, words, leaked.stepped
    at, seen = 0, False
    while at < n:
        at = kernels.weigh(at, seen, *columns, law, epoch_us, *state, *found[:5], vector)
        if at < n and watch is not None:
            queries = int(rows["n_counted"][slots[at]]) + 1
            rows["watch"][slots[at]] = watch(queries, int(clock[at]), vector)
            found.looks.append(Looked(at, queries, vector.copy()))
            seen = True
    return found


def evidence_of(nats: NDArray[np.float64], shares: NDArray[np.int64], tails: NDArray[np.int64]) -> list[Evidence]:
    """What m points tell: nats (m, 2, F), see polya.strongest; shares and tails (m, F), see telling."""
    decibans = np.rint(nats[:, 0] * DECIBANS).astype(np.int64)
    odds = np.rint(nats[:, 1] * 100).astype(np.int64)
    columns = (map(tuple, found.tolist()) for found in (decibans, odds, shares, tails))
    return list(map(Evidence, *columns))


class Asked(NamedTuple):
    """Queries of groups' members or of accounts, waiting for their ticks to close, as columns of equal length."""

    tick: NDArray[np.int64]
    slot: NDArray[np.int64]
    at: NDArray[np.int64]
    bins: NDArray[np.uint8]  # (n, additive signals)
    query_ids: list[str]
    clients: list[str]

    def taken(self, rows: NDArray[np.int64]) -> Asked:
        ids = [self.query_ids[i] for i in rows.tolist()]
        clients = [self.clients[i] for i in rows.tolist()]
        return Asked(self.tick[rows], self.slot[rows], self.at[rows], self.bins[rows], ids, clients)


class _Kept(msgspec.Struct, frozen=True):
    """`Asked` in a snapshot: groups by name, since slots are this process's own."""

    groups: list[str]
    tick: list[int]
    at: list[int]
    bins: bytes
    query_ids: list[str]
    clients: list[str]


class Named(Protocol):
    """Names, each with a slot."""

    ids: list[str]

    def slots(self, names: Sequence[str], /) -> NDArray[np.int64]: ...


class OpenTicks:
    """The queries of entities that are judged when a tick closes, until it does; bins of `width` signals.

    Which tick a query falls into depends on its own stream alone, and sums do not depend on order: a replay, one
    process and a cluster agree.
    """

    def __init__(self, entities: Named, width: int) -> None:
        self._entities, self._width = entities, width
        self._waiting: list[Asked] = []

    def gather(self, asked: Asked) -> None:
        self._waiting.append(asked)

    def due(self, before_tick: int) -> Asked | None:
        """Takes out every tick before `before_tick`, sorted by tick and slot; None where nothing was asked."""
        waiting = self._gathered()
        due = np.flatnonzero(waiting.tick < before_tick)
        if not len(due):
            return None
        self._waiting = [waiting.taken(np.flatnonzero(waiting.tick >= before_tick))]
        return waiting.taken(due[np.lexsort((waiting.slot[due], waiting.tick[due]))])

    def saved(self) -> bytes:
        """For a snapshot."""
        w = self._gathered()
        groups = [self._entities.ids[slot] for slot in w.slot.tolist()]
        kept = _Kept(groups, w.tick.tolist(), w.at.tolist(), w.bins.tobytes(), w.query_ids, w.clients)
        return msgspec.msgpack.encode(kept)

    def restore(self, saved: bytes) -> None:
        kept = msgspec.msgpack.decode(saved, type=_Kept)
        bins = np.frombuffer(kept.bins, np.uint8).reshape(len(kept.tick), self._width)
        slots = self._entities.slots(kept.groups)
        columns = np.array(kept.tick, np.int64), slots, np.array(kept.at, np.int64), bins
        self._waiting = [Asked(*columns, kept.query_ids, kept.clients)]

    def _gathered(self) -> Asked:
        pieces = self._waiting
        if len(pieces) == 1:
            return pieces[0]
        none = np.empty(0, np.int64)
        empty = Asked(none, none, none, np.empty((0, self._width), np.uint8), [], [])
        pieces = [empty, *pieces]
        return Asked(
            np.concatenate([piece.tick for piece in pieces]),
            np.concatenate([piece.slot for piece in pieces]),
            np.concatenate([piece.at for piece in pieces]),
            np.concatenate([piece.bins for piece in pieces]),
            [name for piece in pieces for name in piece.query_ids],
            [name for piece in pieces for name in piece.clients],
        )


class GroupLevel:
    """Groups of clients, judged when a tick closes on the sum of what their members asked in it. Only additive signals
    are summed.
    """

    def __init__(self, kit: Kit, entities: Entities, law: Law, epoch_us: int) -> None:
        self.kit, self.entities = kit, entities
        self._law, self._epoch_us = law, epoch_us
        self._lines = sums.lines(len(kit.additive))
        self.open = OpenTicks(entities, len(kit.additive))

    def close(self, before_tick: int) -> list[Point]:
        """Judges every tick before `before_tick`, in order."""
        due = self.open.due(before_tick)
        return [] if due is None else self._judge(due)

    def _judge(self, asked: Asked) -> list[Point]:
        """Judges queries that are sorted by tick and slot."""
        tick, slots = asked.tick, asked.slot
        starts = run_starts(tick, slots)
        stops = np.append(starts[1:], len(tick))
        shape = (len(starts), len(self.kit.additive))
        levels, moved = np.empty(len(starts), np.int32), np.empty(len(starts), np.bool_)
        clocks, seen = np.empty(len(starts), np.int64), np.empty(len(starts), np.int64)
        nats, told = np.empty((len(starts), 2, shape[1])), np.empty((*shape, BINS), np.uint16)
        in_any_order(asked.bins, starts, stops, self.entities.rows["n"][slots[starts]])
        self.entities.touched(slots)
        kernels.weigh_ticks(
            starts, stops, tick, slots, asked.bins, self._law, self._epoch_us, TICK_US, self.entities.rows,
            self._lines, sums.desk(shape[1]), levels, moved, clocks, seen, nats, told,
        )  # fmt: skip
        runs, points = np.flatnonzero(moved), []
        known = (of_all(self.kit, found) for found in (nats[runs], *telling(told[runs], self._law)))
        for run, evidence in zip(runs.tolist(), evidence_of(*known), strict=True):
            rows = range(starts[run], stops[run])
            slot = int(slots[starts[run]])
            point = Point(
                key=self.entities.keys[slot],
                model=self.entities.model,
                kind=self.entities.kind,
                id=self.entities.ids[slot],
                at=int(clocks[run]),
                n=int(seen[run]),
                level=int(levels[run]),
                query_id=max((int(asked.at[i]), asked.query_ids[i]) for i in rows)[1],
                evidence=evidence.nats,
                odds=evidence.odds,
                shares=evidence.shares,
                tails=evidence.tails,
                members=tuple(sorted({asked.clients[i] for i in rows})[:MEMBERS]),
            )
            points.append(under_its_name(point, self.kit.signals))
        return points


def of_all(kit: Kit, of_additive: NDArray[Any]) -> NDArray[Any]:
    """A number for each additive signal -> one for each signal, 0 for the others."""
    whole = np.zeros((*of_additive.shape[:-1], len(kit.signals)), of_additive.dtype)
    whole[..., kit.additive] = of_additive
    return whole


def in_any_order(
    bins: NDArray[np.uint8], starts: NDArray[np.int64], stops: NDArray[np.int64], asked_before: NDArray[Any]
) -> None:
    """Sorts the bins (n, F) of runs in which counts may become so large that they are halved: each signal by itself,
    so that what is left does not depend on who came first. asked_before: queries of each run's entity, ever.
    """
    for run in np.flatnonzero(asked_before + (stops - starts) >= kernels.FULL).tolist():
        bins[starts[run] : stops[run]].sort(axis=0)


def run_starts(tick: NDArray[np.int64], slot: NDArray[np.int64]) -> NDArray[np.int64]:
    """Where each run of equal (tick, slot) begins, in columns sorted by both."""
    if not len(tick):
        return np.empty(0, np.int64)
    return np.flatnonzero(np.append(True, (np.diff(tick) != 0) | (np.diff(slot) != 0)))
