"""How many workers, partitions and bytes a rate of queries needs, by what was measured (`python -m bench.sizing`).

Everything here is arithmetic on `sizing.json` and on what the operator says of his traffic. What was measured is a
figure of that file, what is taken for granted is a field of `Traffic`, and no other number decides.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from pathlib import Path

import msgspec
import numpy as np

SHIPPED = Path(__file__).with_name("sizing.json")
DAY_S = 86_400.0
HOUR_S = 3_600.0
EXACT = 1_000  # of the busiest clients each is counted; behind them, on a grid
GRID = 2_000
STEP = 12  # partitions come in multiples of it: shared out evenly by 2, 3, 4, 6 and 12 workers
MOST_RATE = 1e12


class Figures(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What was measured. µs are of processor time.

    record_bytes: a record of the log that was measured with. run_us: a record in one process. worker_us, broker_us: a
    record in a worker, without saving rows, and in the broker. clients: µs a query of the client level, by the number
    of clients in its table; the first is the one that worker_us was measured at. row_bytes: a client's row.
    held_bytes: a client in memory. process_bytes: a worker that holds nobody. saved_us, opened_us: a client's row,
    until it is durable, and until another worker has it. between_bytes, tape_bytes: a query, of what goes from stage to
    stage and of the scores that are kept. state_bytes: a client's row in the topic.
    """

    record_bytes: float
    run_us: float
    worker_us: float
    broker_us: float
    clients: tuple[tuple[int, float], ...]
    row_bytes: float
    held_bytes: float
    process_bytes: float
    saved_us: float
    opened_us: float
    between_bytes: float
    tape_bytes: float
    state_bytes: float


class Traffic(msgspec.Struct, frozen=True, kw_only=True):
    """What is to be judged, at its busiest, and what is taken for granted.

    rate: queries a second. entities: clients whose rows are held. record_bytes: of the log; None: as measured.
    busiest: share of all queries that the busiest client asks; None: by Zipf's law. use: share of a core that is to be
    used at most, the rest is for what comes unevenly. stale: share of a compacted topic that Kafka lets be out of date
    (min.cleanable.dirty.ratio). broker_mb_s: megabytes a second that one broker takes in and gives out.
    """

    rate: float
    entities: int
    record_bytes: float | None = None
    busiest: float | None = None
    snapshot_s: float = 30.0
    session_s: float = 10.0
    retention_h: float = 168.0
    tape_days: float = 35.0
    replication: int = 3
    use: float = 0.6
    stale: float = 0.5
    broker_mb_s: float = 200.0

    @property
    def share(self) -> float:
        """Of all queries, the busiest client's."""
        return 1.0 / _harmonic(self.entities) if self.busiest is None else self.busiest


class Wall(msgspec.Struct, frozen=True):
    """Where more machines do not help any more. rate: from which on."""

    name: str
    rate: float
    why: str


class Size(msgspec.Struct, frozen=True):
    """What the traffic needs. cores: of all workers together, at work. memory_bytes: of a worker, when one other is
    away. changed: rows that one snapshot of all partitions writes. still_s: that a partition stands still for it.
    in_bytes_s, out_bytes_s: of all brokers, copies included. recovery_s: after a worker crashed, until nothing is
    behind. walls: the nearest first.
    """

    cores: float
    workers: int
    partitions: int
    memory_bytes: float
    changed: float
    still_s: float
    brokers: int
    broker_cores: float
    broker_disk_bytes: float
    in_bytes_s: float
    out_bytes_s: float
    recovery_s: float
    walls: tuple[Wall, ...]

    @property
    def network_bytes_day(self) -> float:
        return (self.in_bytes_s + self.out_bytes_s) * DAY_S


def shipped() -> Figures:
    """The figures that come with this version."""
    return msgspec.json.decode(SHIPPED.read_bytes(), type=Figures)


def size(figures: Figures, traffic: Traffic) -> Size:
    workers = _workers(figures, traffic)
    cores = _cores(figures, traffic, workers)
    partitions = max(STEP, math.ceil(2 * workers / STEP) * STEP)
    changed = changed_within(traffic, traffic.snapshot_s)
    still_s = changed / partitions * figures.saved_us / 1e6
    sent, got = _network(figures, traffic, changed)
    held = traffic.entities * figures.held_bytes / max(workers - 1, 1)
    return Size(
        cores=cores,
        workers=workers,
        partitions=partitions,
        memory_bytes=figures.process_bytes + held,
        changed=changed,
        still_s=still_s,
        brokers=max(traffic.replication, math.ceil((sent + got) / 1e6 / traffic.broker_mb_s)),
        broker_cores=traffic.rate * figures.broker_us / 1e6,
        broker_disk_bytes=_disk(figures, traffic),
        in_bytes_s=sent,
        out_bytes_s=got,
        recovery_s=_recovery(figures, traffic, workers),
        walls=_walls(figures, traffic, partitions),
    )


def changed_within(traffic: Traffic, seconds: float) -> float:
    """Clients of whom at least one query is expected within so many seconds; volumes follow Zipf's law (exponent 1),
    and queries come independently.
    """
    total = traffic.rate * seconds / _harmonic(traffic.entities)
    first = np.arange(1, min(EXACT, traffic.entities) + 1, dtype=float)
    found = float(-np.expm1(-total / first).sum())
    if traffic.entities > EXACT:
        edges = np.geomspace(EXACT + 0.5, traffic.entities + 0.5, GRID)
        middles = np.sqrt(edges[1:] * edges[:-1])
        found += float((-np.expm1(-total / middles) * np.diff(edges)).sum())
    return found


def _workers(figures: Figures, traffic: Traffic) -> int:
    """The fewest whose cores are used no more than is asked for. A smaller table is faster, so it is tried upwards."""
    workers = 1
    while (needed := math.ceil(_cores(figures, traffic, workers) / traffic.use)) > workers:
        workers = max(workers + 1, min(needed, 2 * workers))
    return workers


def _cores(figures: Figures, traffic: Traffic, workers: int) -> float:
    saving = changed_within(traffic, traffic.snapshot_s) / traffic.snapshot_s * figures.saved_us
    return (traffic.rate * _query_us(figures, traffic.entities / workers) + saving) / 1e6


def _query_us(figures: Figures, clients: float) -> float:
    """A query where so many clients are held: their rows lie in no cache any more."""
    sizes, us = np.array(figures.clients).T
    return figures.worker_us + float(np.interp(math.log(max(clients, 1.0)), np.log(sizes), us) - us[0])


def _network(figures: Figures, traffic: Traffic, changed: float) -> tuple[float, float]:
    """Bytes a second into the brokers, copies between them included, and out of them. The log comes in anyway."""
    record = figures.record_bytes if traffic.record_bytes is None else traffic.record_bytes
    between = record + figures.between_bytes - figures.record_bytes
    state = changed / traffic.snapshot_s * figures.state_bytes
    into = traffic.rate * (between + figures.tape_bytes) + state
    copied = into * (traffic.replication - 1)
    return into + copied, traffic.rate * (record + between) + copied


def _disk(figures: Figures, traffic: Traffic) -> float:
    """Bytes on all brokers: what goes between the stages, rows with what is stale of them, scores."""
    record = figures.record_bytes if traffic.record_bytes is None else traffic.record_bytes
    between = record + figures.between_bytes - figures.record_bytes
    queries = traffic.rate * between * traffic.retention_h * HOUR_S
    tape = traffic.rate * figures.tape_bytes * traffic.tape_days * DAY_S
    state = traffic.entities * figures.state_bytes / (1.0 - traffic.stale)
    return (queries + tape + state) * traffic.replication


def _recovery(figures: Figures, traffic: Traffic, workers: int) -> float:
    """Missed, its clients opened by the others (by itself, where it is alone), and what came since the snapshot judged
    by what the others have to spare.
    """
    others = max(workers - 1, 1)
    opened = traffic.entities / workers / others * figures.opened_us / 1e6
    away = traffic.session_s + opened
    used = min(_cores(figures, traffic, workers) / workers, traffic.use)
    behind = (traffic.snapshot_s + away) * used  # seconds of a core
    return away + behind / (others * (1.0 - used))


def _walls(figures: Figures, traffic: Traffic, partitions: int) -> tuple[Wall, ...]:
    def at(rate: float) -> Traffic:
        return msgspec.structs.replace(traffic, rate=rate)

    def busiest(rate: float) -> float:
        return rate * traffic.share * _query_us(figures, traffic.entities / partitions) / 1e6 / traffic.use

    def still(rate: float) -> float:
        of_one = changed_within(at(rate), traffic.snapshot_s) / partitions * figures.saved_us / 1e6
        return of_one / (traffic.snapshot_s * (1.0 - traffic.use))

    found = [
        Wall(
            "one process",
            _reached(lambda rate: rate * figures.run_us / 1e6 / traffic.use),
            "one process fills its core: workers take over here",
        ),
        Wall(
            "partitions",
            _reached(lambda rate: _cores(figures, at(rate), partitions) / partitions / traffic.use),
            f"each of {partitions} partitions has a worker, and their number cannot change: begin with more",
        ),
        Wall(
            "the busiest client",
            _reached(busiest),
            f"who asks {traffic.share:.1%} of all queries fills the core of one worker, and is judged by no two",
        ),
        Wall(
            "snapshots",
            _reached(still),
            "saving what changed takes what is left of a core: lengthen store.snapshot_s, or take more partitions",
        ),
    ]
    return tuple(sorted((wall for wall in found if wall.rate < MOST_RATE), key=lambda wall: wall.rate))


def _reached(load: Callable[[float], float]) -> float:
    """The rate at which a load that grows with it comes to 1; MOST_RATE where it never does."""
    low, high = 0.0, MOST_RATE
    if load(high) < 1.0:
        return MOST_RATE
    while high - low > 1e-3 * high:
        middle = (low + high) / 2
        low, high = (middle, high) if load(middle) < 1.0 else (low, middle)
    return high


def _harmonic(n: int) -> float:
    """1 + 1/2 + ... + 1/n; Euler's expansion, right to 1e-9 from n = 100 on."""
    if n < 100:
        return float(sum(1.0 / k for k in range(1, n + 1)))
    return math.log(n) + 0.5772156649015329 + 1 / (2 * n) - 1 / (12 * n * n)
