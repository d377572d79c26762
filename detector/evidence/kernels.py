"""The two loops over a batch: who is admitted, and where each entity's score stands after each query."""

from __future__ import annotations

from math import log

import numba
import numpy as np

from detector.entities import RETRIES
from detector.evidence.law import CHANNELS
from detector.evidence.polya import SCRATCH, bin_of, counted, score_of
from detector.tape import FALL, FLOOR, LINEAR, LINEAR_LEVELS, LOG_LEVELS, REFRESH_US, STEP, TOP_LEVEL, TOP_SCORE

ADMITTED, RETRY, LATE = 0, 1, 2
DAY_US = 86_400_000_000
NO_BIN = 255


@numba.njit(cache=True)
def admit(slots, at, ids, x, labels, epoch_us, secret, rows, status, clock, ordinal, asked, budget, content):  # type: ignore[no-untyped-def]
    """Numbers each entity's queries and moves its clock; what is a retry or too late gets a status and no number.

    epoch_us: length of an epoch; asked: queries of the entity on that day, and budget: that number is a step of the
    count grid; content: keyed hash of what was asked.
    """
    for i in range(slots.size):
        row = rows[slots[i]]
        content[i] = _hash(x[i], labels[i], secret)
        if row.n == 0:
            row.first_at = at[i]
            row.clock = at[i]
        if at[i] < row.clock - epoch_us:
            status[i] = LATE
            continue
        if ids[i] != 0 and _is_retry(row, ids[i], content[i]):
            status[i] = RETRY
            continue
        status[i] = ADMITTED
        place = row.n % RETRIES
        row.retry_id[place] = np.uint32(ids[i])
        row.retry_content[place] = np.uint32(content[i])
        row.clock = max(row.clock, at[i])
        row.n += 1
        day = np.uint32(row.clock // DAY_US)
        if day != row.day:
            row.day = day
            row.asked_today = 0
        row.asked_today += 1
        clock[i] = row.clock
        ordinal[i] = row.n
        asked[i] = row.asked_today
        budget[i] = _on_count_grid(np.int64(row.asked_today))


@numba.njit(cache=True)
def _on_count_grid(n):  # type: ignore[no-untyped-def]
    """Four steps to each doubling, from 64: 64, 80, 96, 112, 128, 160, ..."""
    step = 16
    while n >= 8 * step:
        step *= 2
    return n >= 64 and n % step == 0


@numba.njit(cache=True)
def _is_retry(row, query_id, content):  # type: ignore[no-untyped-def]
    for j in range(min(np.int64(row.n), RETRIES)):
        if row.retry_id[j] == np.uint32(query_id) and row.retry_content[j] == np.uint32(content):
            return True
    return False


@numba.njit(cache=True)
def _hash(point, label, secret):  # type: ignore[no-untyped-def]
    """Keyed mixing of 16 integers and the label; it need only be hard to aim at from outside."""
    h = secret ^ np.uint64(np.int64(label))
    for d in range(point.size):
        h = (h ^ np.uint64(np.int64(point[d]))) * np.uint64(0x9E3779B97F4A7C15)
        h ^= h >> np.uint64(29)
    return h


@numba.njit(cache=True)
def weigh(slots, clock, values, stages, law, epoch_us, rows, bins, levels, moved, nats, told):  # type: ignore[no-untyped-def]
    """Counts each query's bins and finds its entity's grid level.

    bins (n, F) uint8, NO_BIN where absent; levels (n,) int32; moved (n,) bool: a point of the tape is due;
    nats (n, F) and told (n, F, BINS): each signal's evidence and counts, filled where a point is due.
    """
    found = np.empty((law.active.size + 1, CHANNELS))
    tables, edges, scale = law.tables[0], law.edges, (law.centre, law.unit, law.slope)
    scratch = np.empty(SCRATCH)
    evidence = np.zeros(law.active.size)
    for i in range(slots.size):
        row = rows[slots[i]]
        turn_epoch(row, clock[i], epoch_us)
        for f in range(tables.active.size):
            bins[i, f] = NO_BIN
            if tables.active[f] and not np.isnan(values[i, f]):
                b = bin_of(values[i, f], edges[f, stages[i, f]])
                bins[i, f] = b
                row.counts[0, f, b] += np.uint32(1)
        level = grid_level(score_of(row, tables, scale, scratch, found, evidence))
        counted(row, 1, found)
        levels[i] = level
        moved[i] = point_is_due(row, level, clock[i])
        if moved[i]:
            nats[i, :] = evidence
            told[i] = row.counts[0] + row.counts[1]


@numba.njit(cache=True)
def weigh_ticks(  # type: ignore[no-untyped-def]
    starts, stops, tick, slots, bins, law, epoch_us, tick_us, rows, levels, moved, clocks, seen, nats, told
):
    """Adds what each group's members asked in one tick (a run from `starts` to `stops`) and finds its grid level.

    Fills, by run, levels, moved, clocks and seen (the group's clock and queries), nats and told as `weigh` does.
    """
    found = np.empty((law.active.size + 1, CHANNELS))
    tables, scale = law.tables[0], (law.centre, law.unit, law.slope)
    scratch = np.empty(SCRATCH)
    for run in range(starts.size):
        row = rows[slots[starts[run]]]
        clock = (tick[starts[run]] + 1) * tick_us
        if row.n == 0:
            row.first_at = clock
        row.tick = tick[starts[run]]
        row.clock = max(row.clock, clock)
        turn_epoch(row, row.clock, epoch_us)
        queries = stops[run] - starts[run]
        row.n += np.uint32(queries)
        for i in range(starts[run], stops[run]):
            for f in range(tables.active.size):
                if tables.active[f] and bins[i, f] != NO_BIN:
                    row.counts[0, f, bins[i, f]] += np.uint32(1)
        levels[run] = grid_level(score_of(row, tables, scale, scratch, found, nats[run]))
        counted(row, queries, found)
        moved[run] = point_is_due(row, levels[run], row.clock)
        clocks[run], seen[run] = row.clock, row.n
        if moved[run]:
            told[run] = row.counts[0] + row.counts[1]


@numba.njit(cache=True)
def turn_epoch(row, clock, epoch_us):  # type: ignore[no-untyped-def]
    """Counts live for the current and the previous epoch, each counted from the entity's first query."""
    epoch = np.uint32((clock - row.first_at) // epoch_us)
    if epoch == row.epoch:
        return
    if epoch == row.epoch + 1:
        row.counts[1] = row.counts[0]
    else:
        row.counts[1] = 0
    row.counts[0] = 0
    if epoch > 1:  # into the first nothing is dropped: within the horizon all is as it was when calibrated
        row.before[:] = row.counts[1]
    row.epoch = epoch


@numba.njit(cache=True)
def point_is_due(row, level, clock):  # type: ignore[no-untyped-def]
    """On every step up, on a fall by FALL steps or to the ground, and every REFRESH_US while above it."""
    last = np.int64(row.tape_level)
    fell = level <= last - FALL or (level == 0 and last > 0)
    stale = level > 0 and clock - row.tape_at >= REFRESH_US
    if not (level > last or fell or stale):
        return False
    row.tape_level = np.uint32(level)
    row.tape_at = clock
    return True


@numba.njit(cache=True)
def grid_level(score):  # type: ignore[no-untyped-def]
    """tape.level_of, compiled."""
    if not score >= FLOOR:
        return 0
    if score < LINEAR:
        return int(score / STEP)
    if score >= TOP_SCORE:
        return TOP_LEVEL
    return LINEAR_LEVELS + int(LOG_LEVELS * log(score / LINEAR) + 1e-9)
