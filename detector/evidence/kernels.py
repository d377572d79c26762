"""The two loops over a batch: who is admitted, and where each entity's score stands after each query."""

from __future__ import annotations

from math import log

import numba
import numpy as np

from detector.entities import BINS, RETRIES
from detector.evidence.polya import (
    bin_of,
    counted,
    doubled_of,
    laid,
    longest_of,
    score_above_floor,
    strongest,
    vector_of,
)
from detector.evidence.sequence import word_of
from detector.evidence.sums import bump, find_all, refresh, refresh_signal
from detector.query import NO_TIME, REUSED, UNREAD, USUAL
from detector.tape import FALL, FLOOR, LINEAR, LINEAR_LEVELS, LOG_LEVELS, REFRESH_US, STEP, TOP_LEVEL, TOP_SCORE

ADMITTED, RETRY, LATE, UNTIMED = 0, 1, 2, 3
DAY_US = 86_400_000_000
NO_BIN = 255
FIRST_LOOK = 16  # weighed queries; then at each doubling
AGAIN = 255  # beside USUAL and REUSED
FULL = 65_534  # of one bin in both epochs, what 16 bits hold: then all counts of the signal are halved


@numba.njit(cache=True)
def admit(slots, at, ids, x, labels, odd, epoch_us, secret, rows, status, clock, ordinal, asked, budget, content):  # type: ignore[no-untyped-def]
    """Numbers each entity's queries and moves its clock; what is a retry, too late, or its entity's first and without a
    time, gets a status and no number. Fills `at` where a record told none.

    odd: UNREAD where the input could not be read; REUSED is set here, where an id comes again with another content.
    epoch_us: length of an epoch; asked: queries of the entity on that day, and budget: that number is a step of the
    count grid; content: keyed hash of what was asked.
    """
    for i in range(slots.size):
        row = rows[slots[i]]
        content[i] = _hash(x[i], labels[i], secret)
        if at[i] == NO_TIME:  # its entity's own clock will do, where there is one
            if row.n == 0:
                status[i] = UNTIMED
                continue
            at[i] = row.clock
        if row.n == 0:
            row.first_at = at[i]
            row.clock = at[i]
        if at[i] < row.clock - epoch_us:
            status[i] = LATE
            continue
        if odd[i] != UNREAD:
            repeats = _repeats(row, ids[i], content[i]) if ids[i] != 0 else USUAL
            if repeats == AGAIN:
                status[i] = RETRY
                continue
            odd[i] = repeats
            place = row.n % RETRIES
            row.retry_id[place] = np.uint32(ids[i])
            row.retry_content[place] = np.uint16(content[i])
        status[i] = ADMITTED
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
def _repeats(row, query_id, content):  # type: ignore[no-untyped-def]
    """AGAIN: the id and the content were seen; REUSED: the id alone was; USUAL: neither."""
    found = USUAL
    for j in range(min(np.int64(row.n), RETRIES)):
        if row.retry_id[j] == np.uint32(query_id):
            if row.retry_content[j] == np.uint16(content):
                return AGAIN
            found = REUSED
    return found


@numba.njit(cache=True)
def _hash(point, label, secret):  # type: ignore[no-untyped-def]
    """Keyed mixing of 16 integers and the label; it need only be hard to aim at from outside."""
    h = secret ^ np.uint64(np.int64(label))
    for d in range(point.size):
        h = (h ^ np.uint64(np.int64(point[d]))) * np.uint64(0x9E3779B97F4A7C15)
        h ^= h >> np.uint64(29)
    return h


@numba.njit(cache=True)
def weigh(  # type: ignore[no-untyped-def]
    start,
    seen,
    slots,
    clock,
    values,
    stages,
    words,
    stepped,
    law,
    epoch_us,
    rows,
    lines,
    desks,
    bins,
    levels,
    moved,
    nats,
    told,
    vector,
):
    """Counts each query's bins, from `start` on, and finds its entity's grid level. Returns where it stopped: at the
    end, or where an entity is to be looked at. Then `vector` (F,) is filled, the one-class model's word goes into the
    row's `watch`, and the next call starts there with `seen` true. A vector of length 0: nobody looks.

    desks (1,): sums.desk. words (n, M): what exposure says, in the score's unit; stepped (n,) bool: a point is due on
    its account.
    bins (n, F) uint8, NO_BIN where absent; levels (n,) int32; moved (n,) bool: a point of the tape is due;
    nats (n, 2, F) and told (n, F, BINS): what polya.strongest tells, and counts, filled where a point is due.
    """
    tables, edges, desk, slope = law.tables[0], law.edges, desks[0], law.slope
    laid(desk, law)
    for i in range(start, slots.size):
        row, line = rows[slots[i]], lines[slots[i] % lines.size]
        if not seen:
            if turn_epoch(row, clock[i], epoch_us) or line.owner != slots[i] + 1:
                refresh(row, line, tables)
                line.owner = slots[i] + 1
            for f in range(tables.active.size):
                bins[i, f] = NO_BIN
                if tables.active[f] and not np.isnan(values[i, f]):
                    bins[i, f] = bin_of(values[i, f], edges, f, stages[i, f])
            count_bins(row, line, bins, i, tables)
            if vector.size and is_look(np.int64(row.n_counted) + 1):
                find_all(line, tables, desk)
                vector_of(desk, doubled_of(longest_of(line)), vector)
                return i
        seen = False
        by_kernels = max(score_above_floor(line, tables, desk, slope), word_of(line, tables))
        for m in range(words.shape[1]):
            by_kernels = max(by_kernels, np.float64(words[i, m]))
        level = grid_level(max(by_kernels, np.float64(row.watch)))
        if row.epoch < 2:  # the horizon
            row.top = max(row.top, np.uint16(grid_level(by_kernels)))
            row.peak = max(row.peak, np.uint16(level))
        levels[i] = level
        moved[i] = point_is_due(row, level, clock[i]) or stepped[i]
        if moved[i]:
            find_all(line, tables, desk)
            strongest(desk, doubled_of(longest_of(line)), nats[i])
            told[i] = row.counts[0] + row.counts[1]
        counted(row, line, tables, 1, desk)
    return slots.size


@numba.njit(cache=True)
def is_look(n):  # type: ignore[no-untyped-def]
    """An entity is looked at when 16, 32, 64 ... of its queries were weighed."""
    return n >= FIRST_LOOK and n & (n - 1) == 0


@numba.njit(cache=True, forceinline=True)
def count_bins(row, line, bins, i, tables):  # type: ignore[no-untyped-def]
    """Query i of bins (n, F), of the entity: counted in the row and summed in the line."""
    for f in range(tables.active.size):
        b = bins[i, f]
        if b == NO_BIN or not tables.active[f]:
            continue
        bump(row, line, f, b, tables)
        row.counts[0, f, b] += 1
        if np.int64(row.counts[0, f, b]) + np.int64(row.counts[1, f, b]) >= FULL:
            halve(row, f)
            refresh_signal(row, line, f, tables)


@numba.njit(cache=True)
def halve(row, f):  # type: ignore[no-untyped-def]
    """Whoever asks this much goes on being judged, by half the evidence."""
    for b in range(BINS):
        row.counts[0, f, b] //= 2
        row.counts[1, f, b] //= 2
        row.before[f, b] = min(row.before[f, b] // 2, row.counts[0, f, b] + row.counts[1, f, b])


@numba.njit(cache=True)
def weigh_ticks(  # type: ignore[no-untyped-def]
    starts,
    stops,
    tick,
    slots,
    bins,
    law,
    epoch_us,
    tick_us,
    rows,
    lines,
    desks,
    levels,
    moved,
    clocks,
    seen,
    nats,
    told,
):
    """Adds what each group's members asked in one tick (a run from `starts` to `stops`) and finds its grid level.

    Fills, by run, levels, moved, clocks and seen (the group's clock and queries), nats and told as `weigh` does.
    """
    tables, desk, slope = law.tables[0], desks[0], law.slope
    laid(desk, law)
    for run in range(starts.size):
        slot = slots[starts[run]]
        row, line = rows[slot], lines[slot % lines.size]
        clock = (tick[starts[run]] + 1) * tick_us
        if row.n == 0:
            row.first_at = clock
        row.tick = tick[starts[run]]
        row.clock = max(row.clock, clock)
        if turn_epoch(row, row.clock, epoch_us) or line.owner != slot + 1:
            refresh(row, line, tables)
            line.owner = slot + 1
        queries = stops[run] - starts[run]
        row.n += np.uint32(queries)
        for i in range(starts[run], stops[run]):
            count_bins(row, line, bins, i, tables)
        levels[run] = grid_level(score_above_floor(line, tables, desk, slope))
        moved[run] = point_is_due(row, levels[run], row.clock)
        clocks[run], seen[run] = row.clock, row.n
        if moved[run]:
            find_all(line, tables, desk)
            strongest(desk, doubled_of(longest_of(line)), nats[run])
            told[run] = row.counts[0] + row.counts[1]
        counted(row, line, tables, queries, desk)


@numba.njit(cache=True)
def turn_epoch(row, clock, epoch_us):  # type: ignore[no-untyped-def]
    """Counts live for the current and the previous epoch, from the entity's first query on. True: it turned."""
    epoch = np.uint32((clock - row.first_at) // epoch_us)
    if epoch == row.epoch:
        return False
    if epoch == row.epoch + 1:
        row.counts[1] = row.counts[0]
    else:
        row.counts[1] = 0
    row.counts[0] = 0
    if epoch > 1:  # into the first nothing is dropped: within the horizon all is as it was when calibrated
        row.before[:] = row.counts[1]
    row.epoch = epoch
    return True


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
