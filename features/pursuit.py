"""What is pursued beside a copy: training records asked for by their own values, and walks around one input.

`member` compares the projected query with a sketch of the training records: hashed cells of three shifted grids, keyed
with the profile's secret, in a bit array after Bloom 1970. No record can be read from it; whoever holds the profile can
ask it whether a record that he has is in it. A walk is a chain of queries each of which lies near the one before. The
TRAILS latest chains are remembered, and the longest is kept while others come and go, so that honest queries in between
do not end it. `climb` follows chains in which the model becomes surer of one label (model inversion: Fredrikson et al.
2015), `cross` those that go towards a decision boundary or back and forth over it (Brendel et al. 2018; Chen et al.
2020).

Sees: membership inference on records as they were taught and close around them; inversion and evasion probing by walks
in small steps, also where they are hidden among other queries.
Misses: membership of records that the training file did not hold, or by neighbours that lie farther than a grid's cell;
walks in large steps, walks over accounts. Off without a training file: `member`. Off where answers carry no
probabilities: `climb`; without labels: `cross`.
Innocent: whoever tests the model on its own training data; explanation tools, which ask around one input.
"""

from __future__ import annotations

import math
from typing import Any

import numba
import numpy as np
from numpy.typing import NDArray

from detector.query import NO_LABEL, Batch
from features.contract import DIMS, Feature, Field, Learned, Reference, Rows, Signal, margin_of, place_of

GRIDS = 3
BITS = 32  # of the sketch, for each record and grid and probe
PROBES = 3  # Bloom 1970: one bit in 1 + BITS / PROBES is set, so one stranger in some 1,300 passes a grid by chance
MEMBERS = 65_536  # records in a sketch, a uniform draw where there are more: at most 2.4 MB
TRIED = 2_000  # records that the cells' width is tried on
ALONE = 0.999  # of them must share their cell with no other record
WIDEST, NARROWEST = 11, 2  # cells are 2^s steps of x wide

TRAILS = 4
KEPT = 8  # dimensions of where a trail is
COARSE = 64  # steps of x to a step of it
NEAR = 0.005  # of all pairs of training records lie so close together; half of that is the longest step of a walk
PAIRS = 100_000
NATURAL = (0.01, 0.99)  # between these quantiles of training records lies what a boundary walk begins at
WALK = 12  # queries of a chain before it is a walk: a line search takes ten
LONG = 48
BIT = 256  # grains of certainty: the odds of the first label against the second, doubled
MOST_BITS = 20  # logs round probabilities to six decimals
LATEST = 16  # queries of a running mean
MOVED = 2 * BIT  # how much surer, or less sure, the model has become on the walk
SURE = 3 * BIT  # and how sure, on a climb
STEADY = 8  # queries in a row with one label, on a climb
CROSSING = 32  # of 256, share of the latest queries that change the label, at a boundary
FORGOTTEN = 256  # queries after which the longest chain is no longer kept for its length

SIGNALS = (
    Signal(
        "pursuit.member",
        staged=False,
        additive=True,
        low="lie off all training records, as {honest} of honest queries do",
        high="are training records of the model or lie close around one, unlike {honest} of honest queries",
        hides="membership inference",
        cuts=(0.5, 2.5),
        speaks_for=("membership",),
    ),
    Signal(
        "pursuit.climb",
        staged=False,
        additive=False,
        low="climb towards no label, as {honest} of honest queries do not",
        high="belong to walks on which the model becomes ever surer of one label, unlike {honest} of honest queries",
        hides="model inversion",
        cuts=(0.5, 1.5),
        speaks_for=("inversion",),
    ),
    Signal(
        "pursuit.cross",
        staged=False,
        additive=False,
        low="walk along no decision boundary, as {honest} of honest queries do not",
        high="belong to walks around one input, towards a decision boundary or over it, unlike {honest} of honest "
        "queries",
        hides="evasion probing",
        cuts=(0.5, 1.5),
        speaks_for=("evasion",),
    ),
)

FIELDS = (
    Field("pursuit_seen", "<u4"),
    Field("pursuit_used", "<u4", (TRAILS,)),  # `seen` when the trail was last followed, 0: none
    Field("pursuit_run", "<u2", (TRAILS,)),  # queries of the chain
    Field("pursuit_sure", "<u2", (TRAILS,)),  # running mean of how sure the model is, grains
    Field("pursuit_least", "<u2", (TRAILS,)),  # its least, and its most, since the chain began
    Field("pursuit_most", "<u2", (TRAILS,)),
    Field("pursuit_changed", "|u1", (TRAILS,)),  # running share of queries that changed the label, of 256
    Field("pursuit_steady", "|u1", (TRAILS,)),  # queries since the label changed
    Field("pursuit_label", "|u1", (TRAILS,)),
    Field("pursuit_natural", "|u1", (TRAILS,)),  # it began at something as natural as training records
    Field("pursuit_x", "|i1", (TRAILS, KEPT)),
)


def learn(reference: Reference) -> dict[str, NDArray[Any]]:
    """near: squared length of a walk's longest step, in steps of a row; natural (2, 2): least and most residual, and
    roughness, of what a boundary walk begins at; and the sketch, where there are records: its bits, and (seed, shift)
    of its grids.
    """
    natural = np.stack([_between(reference.residual), _between(reference.roughness)])
    found: dict[str, NDArray[Any]] = {
        "pursuit_near": np.array([_near(reference)], np.int64),
        "pursuit_natural": natural,
    }
    if reference.records is None:
        return found | {"pursuit_bits": np.zeros(0, np.uint64), "pursuit_grids": np.zeros(2, np.uint64)}
    records = np.unique(reference.records, axis=0)
    if len(records) > MEMBERS:
        chosen = np.random.default_rng(reference.seed).choice(len(records), MEMBERS, replace=False)
        records = records[chosen]
    seed = np.uint64(reference.key)
    shift = next((s for s in range(WIDEST, NARROWEST, -1) if _apart(records, seed, s) >= ALONE), NARROWEST)
    words = max(1 << (len(records) * GRIDS * BITS - 1).bit_length(), 64) // 64
    bits = np.zeros(words, np.uint64)
    _enter(records, seed, shift, bits)
    return found | {"pursuit_bits": bits, "pursuit_grids": np.array([seed, shift], np.uint64)}


def _between(values: NDArray[np.float64]) -> NDArray[np.float64]:
    present = values[~np.isnan(values)]
    return np.quantile(present, NATURAL) if len(present) else np.array([-np.inf, np.inf])


def _near(reference: Reference) -> int:
    rng = np.random.default_rng(reference.seed)
    one, other = rng.integers(len(reference.x), size=(2, PAIRS))
    apart = (reference.x[one, :KEPT].astype(np.float64) - reference.x[other, :KEPT])[one != other]
    squared = (apart**2).sum(1)
    return int(np.quantile(squared, NEAR) / (2 * COARSE) ** 2) if len(squared) else 0


def _apart(records: NDArray[np.int16], seed: np.uint64, shift: int) -> float:
    """The share of records that share no cell of the first grid with another one."""
    cells = np.array([_cell(point, seed, 0, shift) for point in records], np.uint64)
    tried = cells[:: max(len(cells) // TRIED, 1)]
    kinds, counts = np.unique(cells, return_counts=True)
    return float((counts[np.searchsorted(kinds, tried)] == 1).mean())


def measure(batch: Batch, rows: Rows, learned: Learned, values: NDArray[np.float64], stages: NDArray[np.int8]) -> None:
    stages[:] = 0
    bits, (seed, shift) = learned["pursuit_bits"], learned["pursuit_grids"]
    if len(bits):
        _look_up(batch.x, seed, np.int64(shift), bits, values)
    else:
        values[:, 0] = np.nan
    near, natural = learned["pursuit_near"][0], learned["pursuit_natural"]
    answers = batch.labels, margin_of(batch)
    _follow(batch.slots, batch.x, batch.residual, batch.roughness, *answers, near, natural, rows, values)


@numba.njit(cache=True)
def _mixed(h):  # type: ignore[no-untyped-def]
    """The finaliser of splitmix64 (Steele et al. 2014)."""
    h = (h ^ (h >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    h = (h ^ (h >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return h ^ (h >> np.uint64(31))


@numba.njit(cache=True)
def _cell(point, seed, grid, shift):  # type: ignore[no-untyped-def]
    """The cell of a point (DIMS,) in one grid, hashed. Grids are shifted against each other by a part of a cell."""
    h = _mixed(seed + np.uint64(grid + 1) * np.uint64(0x9E3779B97F4A7C15))
    moved = (grid * (1 << shift)) // GRIDS
    for d in range(DIMS):
        h = (h ^ np.uint64((np.int64(point[d]) + moved) >> shift)) * np.uint64(0x9E3779B97F4A7C15)
        h ^= h >> np.uint64(29)
    return _mixed(h)


@numba.njit(cache=True)
def _enter(points, seed, shift, bits):  # type: ignore[no-untyped-def]
    last = np.uint64(bits.size * 64 - 1)
    for i in range(points.shape[0]):
        for grid in range(GRIDS):
            h = _cell(points[i], seed, grid, shift)
            for _ in range(PROBES):
                at = h & last
                bits[at >> np.uint64(6)] |= np.uint64(1) << (at & np.uint64(63))
                h = _mixed(h)


@numba.njit(cache=True)
def _look_up(points, seed, shift, bits, found):  # type: ignore[no-untyped-def]
    """The first column of found (n, ...): in how many grids a training record lies in the same cell."""
    last = np.uint64(bits.size * 64 - 1)
    for i in range(points.shape[0]):
        found[i, 0] = 0.0
        for grid in range(GRIDS):
            h = _cell(points[i], seed, grid, shift)
            inside = True
            for _ in range(PROBES):
                at = h & last
                if not (bits[at >> np.uint64(6)] >> (at & np.uint64(63))) & np.uint64(1):
                    inside = False
                    break
                h = _mixed(h)
            found[i, 0] += inside


@numba.njit(cache=True)
def _follow(slots, x, residual, roughness, labels, margin, near, natural, rows, values):  # type: ignore[no-untyped-def]
    point = np.empty(KEPT, np.int8)
    for i in range(slots.size):
        values[i, 1], values[i, 2] = np.nan, np.nan
        if labels[i] == NO_LABEL:
            continue
        row = rows[slots[i]]
        row.pursuit_seen += np.uint32(1)
        for d in range(KEPT):
            point[d] = min(max((x[i, d] + COARSE // 2) // COARSE, -127), 127)
        answered = not np.isnan(margin[i])
        sure = _bits(margin[i]) if answered else np.int64(0)
        t = _trail(row, point, near)
        if t < 0:
            t = _weakest(row)
            _begin(row, t, point, labels[i], sure)
            fits = natural[0, 0] <= residual[i] <= natural[0, 1]
            row.pursuit_natural[t] = fits and not (roughness[i] < natural[1, 0] or roughness[i] > natural[1, 1])
        _step(row, t, point, np.uint8(place_of(labels[i])), sure)
        row.pursuit_used[t] = row.pursuit_seen
        length = 0.0
        if row.pursuit_run[t] >= WALK:
            length = 2.0 if row.pursuit_run[t] >= LONG else 1.0
        mean = np.int64(row.pursuit_sure[t])
        climbs = mean >= SURE and mean >= np.int64(row.pursuit_least[t]) + MOVED and row.pursuit_steady[t] >= STEADY
        falls = answered and mean + MOVED <= np.int64(row.pursuit_most[t])
        crosses = row.pursuit_changed[t] >= CROSSING
        values[i, 2] = length if row.pursuit_natural[t] and (falls or crosses) else 0.0
        if answered:
            values[i, 1] = length if climbs else 0.0


@numba.njit(cache=True)
def _bits(margin):  # type: ignore[no-untyped-def]
    """How often the odds of the first label against the second double, in grains; a straight line between powers of
    two, so that it is exact everywhere.
    """
    if margin <= 0.0:
        return np.int64(MOST_BITS * BIT)
    fraction, power = math.frexp(margin)
    return min(np.int64(BIT * (2.0 - power - 2.0 * fraction)), MOST_BITS * BIT)


@numba.njit(cache=True)
def _begin(row, t, point, label, sure):  # type: ignore[no-untyped-def]
    row.pursuit_run[t] = 0
    row.pursuit_sure[t] = sure
    row.pursuit_least[t] = sure
    row.pursuit_most[t] = sure
    row.pursuit_changed[t] = 0
    row.pursuit_steady[t] = 0
    row.pursuit_label[t] = np.uint8(place_of(label))
    row.pursuit_x[t] = point


@numba.njit(cache=True)
def _step(row, t, point, label, sure):  # type: ignore[no-untyped-def]
    changed = label != row.pursuit_label[t]
    row.pursuit_label[t] = label
    row.pursuit_steady[t] = 0 if changed else min(np.int64(row.pursuit_steady[t]) + 1, 255)
    share = np.int64(row.pursuit_changed[t])
    row.pursuit_changed[t] = share + ((255 if changed else 0) - share) // LATEST
    mean = np.int64(row.pursuit_sure[t])
    mean += (sure - mean) // LATEST
    row.pursuit_sure[t] = mean
    row.pursuit_least[t] = min(np.int64(row.pursuit_least[t]), mean)
    row.pursuit_most[t] = max(np.int64(row.pursuit_most[t]), mean)
    row.pursuit_run[t] = min(np.int64(row.pursuit_run[t]) + 1, 65_535)
    for d in range(KEPT):
        row.pursuit_x[t, d] = (np.int64(row.pursuit_x[t, d]) + np.int64(point[d])) >> 1


@numba.njit(cache=True)
def _trail(row, point, near):  # type: ignore[no-untyped-def]
    """The trail that ends nearest to the point, -1 where none is near."""
    found, least = -1, near + 1
    for t in range(TRAILS):
        if row.pursuit_used[t] == 0:
            continue
        squared = np.int64(0)
        for d in range(KEPT):
            apart = np.int64(point[d]) - np.int64(row.pursuit_x[t, d])
            squared += apart * apart
        if squared < least:
            found, least = t, squared
    return found


@numba.njit(cache=True)
def _weakest(row):  # type: ignore[no-untyped-def]
    """The trail that was followed least lately, but for the longest if that was followed within FORGOTTEN queries."""
    longest = -1
    for t in range(TRAILS):
        fresh = row.pursuit_used[t] > 0 and np.int64(row.pursuit_seen) - np.int64(row.pursuit_used[t]) <= FORGOTTEN
        if fresh and (longest < 0 or row.pursuit_run[t] > row.pursuit_run[longest]):
            longest = t
    weakest = -1
    for t in range(TRAILS):
        if t != longest and (weakest < 0 or row.pursuit_used[t] < row.pursuit_used[weakest]):
            weakest = t
    return weakest


FEATURE = Feature("pursuit", SIGNALS, FIELDS, learn, measure)
