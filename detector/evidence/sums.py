"""What the evidence needs of an entity's counts, summed over bins and kept between its queries.

Sums of multiples of GRAIN are exact, so that a line that was kept and moved on with each query is, bit for bit, the
line that `refresh` makes of the counts: it is never saved, and who finds another's line in its place makes its own.
"""

from __future__ import annotations

from math import exp, log, log1p
from typing import Any

import numba
import numpy as np
from numpy.typing import NDArray

from detector.entities import BINS
from detector.evidence.law import BELIEF, BETS, CHANNELS, DILUTION_BET, GRAIN, KINDS, KT, TABLE, TURN

LINES = 4096  # entities whose lines are kept: those that asked lately
LOST = -14.0  # nats below the largest term of a sum of exponentials: a millionth of it
LOST_BETS = -2.0  # nats: no evidence for anything
HALF_LOG_TWO_PI = 0.9189385332046727


def lines(signals: int, entities: int = LINES) -> NDArray[Any]:
    """Room for lines, none of them anybody's yet. An entity's is `slot % len(lines)`.

    owner             slot + 1
    total, recent     counts of the signal, ever and since the mark
    honest (KINDS,)   log likelihood under each kind of honest client, less its normaliser
    diluted (BETS,)   under each bet
    half, late        Krichevsky-Trofimov (of an even signal: uniform), of all counts and of those since the mark, less
                      its normaliser
    mark              log likelihood of the counts before the mark under the honest law
    said              what the sequence model says of the signal (sequence.py)
    """
    kept = [
        ("owner", "<i8"),
        ("total", "<i8", (signals,)),
        ("recent", "<i8", (signals,)),
        ("honest", "<f8", (signals, KINDS)),
        ("diluted", "<f8", (signals, BETS)),
        ("half", "<f8", (signals,)),
        ("late", "<f8", (signals,)),
        ("mark", "<f8", (signals,)),
        ("said", "<f8", (signals,)),
    ]
    return np.zeros(min(LINES, entities), np.dtype(kept, align=True))


def desk(signals: int) -> NDArray[Any]:
    """What a kernel works on, (1,): numba counts references to arrays, at some nanoseconds each, but not to the fields
    of a record.

    found             an entity's channels of evidence, nats; NaN where there are no counts
    rise, centre, knee, spread, shape, most   of the law, see polya.laid
    beyond            nats beyond the knee up to which a channel is worth less than FLOOR
    """
    fields = ("found", "rise", "centre", "knee", "spread", "shape", "beyond")
    return np.zeros(1, [*((name, "<f8", (signals, CHANNELS)) for name in fields), ("most", "<f8", (signals,))])


@numba.njit(cache=True)
def refresh(row, line, tables):  # type: ignore[no-untyped-def]
    """Makes the line of the row's counts."""
    for f in range(tables.active.size):
        if tables.active[f]:
            refresh_signal(row, line, f, tables)


@numba.njit(cache=True)
def refresh_signal(row, line, f, tables):  # type: ignore[no-untyped-def]
    line.total[f], line.recent[f] = 0, 0
    line.half[f], line.late[f], line.said[f] = 0.0, 0.0, 0.0
    line.honest[f, :] = 0.0
    line.diluted[f, :] = 0.0
    earlier = 0
    before = np.zeros(KINDS)
    for b in range(BINS):
        n = np.int64(row.counts[0, f, b]) + np.int64(row.counts[1, f, b])
        if n == 0:
            continue
        old = np.int64(row.before[f, b])
        earlier += old
        line.total[f] += n
        line.half[f] += half_of(tables, f, n)
        line.late[f] += half_of(tables, f, n - old)
        for j in range(KINDS):
            line.honest[f, j] += honest_of(tables, f, b, j, n)
            before[j] += honest_of(tables, f, b, j, old)
        for e in range(BETS):
            line.diluted[f, e] += n * tables.bet[f, b, e]
        line.said[f] += said_of(tables, f, b, n)
    line.said[f] -= said_sum(tables, f, line.total[f])
    line.recent[f] = line.total[f] - earlier
    line.mark[f] = mixed(before, f, earlier, tables)


@numba.njit(cache=True, forceinline=True)
def bump(row, line, f, b, tables):  # type: ignore[no-untyped-def]
    """One more query in bin b, which the row has not counted yet."""
    n = np.int64(row.counts[0, f, b]) + np.int64(row.counts[1, f, b])
    old = np.int64(row.before[f, b])
    line.total[f] += 1
    line.recent[f] += 1
    line.half[f] += half_of(tables, f, n + 1) - half_of(tables, f, n)
    line.late[f] += half_of(tables, f, n + 1 - old) - half_of(tables, f, n - old)
    if n + 1 < TABLE:
        for j in range(KINDS):
            line.honest[f, j] += tables.steps[f, b, n, j] * GRAIN
    else:
        for j in range(KINDS):
            line.honest[f, j] += honest_of(tables, f, b, j, n + 1) - honest_of(tables, f, b, j, n)
    for e in range(BETS):
        line.diluted[f, e] += tables.bet[f, b, e]
    if tables.taught[f]:
        more = said_sum(tables, f, line.total[f]) - said_sum(tables, f, line.total[f] - 1)
        if n + 1 < TABLE:
            line.said[f] += tables.said_steps[f, b, n] * GRAIN - more
        else:
            line.said[f] += said_of(tables, f, b, n + 1) - said_of(tables, f, b, n) - more


@numba.njit(cache=True)
def find_all(line, tables, desk):  # type: ignore[no-untyped-def]
    """The evidence of each signal in each channel, nats; NaN where there are no counts."""
    for f in range(tables.active.size):
        find(line, f, tables, desk)


@numba.njit(cache=True, forceinline=True)
def find(line, f, tables, desk):  # type: ignore[no-untyped-def]
    """One signal's evidence in each channel (see polya.py)."""
    if line.total[f] == 0 or not tables.active[f]:
        desk.found[f, :] = np.nan
        return
    honest = mixed(line.honest[f], f, line.total[f], tables)
    desk.found[f, KT] = line.half[f] - half_sum(tables, f, line.total[f]) - honest
    desk.found[f, DILUTION_BET] = _diluted(line, f)
    desk.found[f, TURN] = np.nan
    if line.recent[f] < line.total[f]:  # who has no past does not turn
        desk.found[f, TURN] = line.late[f] - half_sum(tables, f, line.recent[f]) - honest + line.mark[f]


@numba.njit(cache=True, forceinline=True)
def bound(line, f, tables, desk):  # type: ignore[no-untyped-def]
    """What `find` gives at most, without an exponential: as if all were of the likeliest kind of honest client."""
    honest = _likeliest(line.honest[f], f, line.total[f], tables)
    desk.found[f, KT] = line.half[f] - half_sum(tables, f, line.total[f]) - honest
    desk.found[f, DILUTION_BET] = _best_bet(line, f)
    desk.found[f, TURN] = line.late[f] - half_sum(tables, f, line.recent[f]) - honest + line.mark[f]


@numba.njit(cache=True)
def remark(line, f, tables):  # type: ignore[no-untyped-def]
    """The signal's mark is now: nothing is recent."""
    if tables.active[f] and line.total[f] > 0:
        line.recent[f] = 0
        line.late[f] = 0.0
        line.mark[f] = mixed(line.honest[f], f, line.total[f], tables)


@numba.njit(cache=True, forceinline=True)
def mixed(likely, f, total, tables):  # type: ignore[no-untyped-def]
    """Log likelihood of `total` counts under the honest law, from that under each kind without its normaliser."""
    top = _likeliest(likely, f, total, tables)
    mass = 0.0
    for j in range(KINDS):
        below = likely[j] - honest_sum(tables, f, j, total) + tables.log_weight[f, j] - top
        if below > LOST:
            mass += exp(below)
    return top + log(mass)


@numba.njit(cache=True, forceinline=True)
def _likeliest(likely, f, total, tables):  # type: ignore[no-untyped-def]
    """The largest term of `mixed`."""
    top = -np.inf
    for j in range(KINDS):
        top = max(top, likely[j] - honest_sum(tables, f, j, total) + tables.log_weight[f, j])
    return top


@numba.njit(cache=True, forceinline=True)
def _best_bet(line, f):  # type: ignore[no-untyped-def]
    top = line.diluted[f, 0]
    for e in range(1, BETS):
        top = max(top, line.diluted[f, e])
    return top


@numba.njit(cache=True, forceinline=True)
def _diluted(line, f):  # type: ignore[no-untyped-def]
    """Log mean of the bets. Where all have lost, as on nearly every honest client, the best of them will do."""
    top = _best_bet(line, f)
    if top < LOST_BETS:
        return top - log(BETS)
    mass = 0.0
    for e in range(BETS):
        if line.diluted[f, e] - top > LOST:
            mass += exp(line.diluted[f, e] - top)
    return top + log(mass / BETS)


@numba.njit(cache=True, forceinline=True)
def half_of(tables, f, n):  # type: ignore[no-untyped-def]
    return tables.kt[f, n] if n < TABLE else grain(_rising(tables.prior[f], tables.log_gamma_prior[f], n))


@numba.njit(cache=True, forceinline=True)
def half_sum(tables, f, n):  # type: ignore[no-untyped-def]
    return tables.kt_sum[n, f] if n < TABLE else _rising(tables.prior_sum[f], tables.log_gamma_prior_sum[f], n)


@numba.njit(cache=True, forceinline=True)
def honest_of(tables, f, b, j, n):  # type: ignore[no-untyped-def]
    if n < TABLE:
        return tables.null[f, b, n, j]
    return grain(_rising(tables.alpha[f, b, j], tables.log_gamma[f, b, j], n))


@numba.njit(cache=True, forceinline=True)
def honest_sum(tables, f, j, n):  # type: ignore[no-untyped-def]
    return tables.null_sum[n, f, j] if n < TABLE else _rising(tables.alpha_sum[f, j], tables.log_gamma_sum[f, j], n)


@numba.njit(cache=True, forceinline=True)
def said_of(tables, f, b, n):  # type: ignore[no-untyped-def]
    return tables.said[f, b, n] if n < TABLE else grain(tables.sequence[f, b] * log1p(n / tables.believed[f, b]))


@numba.njit(cache=True, forceinline=True)
def said_sum(tables, f, n):  # type: ignore[no-untyped-def]
    return tables.said_sum[n, f] if n < TABLE else grain(tables.sequence_sum[f] * log1p(n / BELIEF))


@numba.njit(cache=True, forceinline=True)
def grain(nats):  # type: ignore[no-untyped-def]
    return np.rint(nats / GRAIN) * GRAIN


@numba.njit(cache=True, forceinline=True)
def _rising(base, log_gamma, n):  # type: ignore[no-untyped-def]
    """log of base (base + 1) ... (base + n - 1), for n of at least TABLE: Stirling's series, exact to 1e-9 there.

    log_gamma: of base.
    """
    z = base + n
    return (z - 0.5) * log(z) - z + HALF_LOG_TWO_PI + 1.0 / (12.0 * z) - log_gamma
