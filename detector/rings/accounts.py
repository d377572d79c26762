"""What is known of each account for linking: its counts of additive signals in two epochs, and the ring it is in."""

from __future__ import annotations

import numba
import numpy as np
from numpy.typing import NDArray

from detector.entities import BINS, packed
from detector.evidence.kernels import FULL, NO_BIN
from detector.rings.likelihood import Counts
from features.contract import Field, Rows

ACCOUNT, RING = "ring.account", "ring"  # kinds of their tables; rings are a level
ALONE = 0  # of `ring`
LEAST = 8  # weighed queries, below which an account says too little to be linked


def account_dtype(signals: int) -> np.dtype[np.void]:
    """An account's record. clock: when the last tick in which it asked was over; n: weighed queries, ever."""
    base = [Field("salt", "<u8"), Field("first_at", "<i8"), Field("clock", "<i8"), Field("ring", "<u8")]
    counted = [Field("n", "<u4"), Field("epoch", "<u4"), Field("counts", "<u2", (2, signals, BINS))]
    return packed([*base, *counted])


def ring_dtype() -> np.dtype[np.void]:
    """A ring's record: all else follows from its members'. n: of its members, when it was judged last."""
    times = [Field(name, "<i8") for name in ("first_at", "clock", "tape_at")]
    return packed([Field("salt", "<u8"), *times, Field("n", "<u4"), Field("tape_level", "<u4")])


def counts_of(rows: Rows, slots: NDArray[np.int64]) -> Counts:
    """(n, signals, BINS), of both epochs."""
    counts: Counts = rows["counts"][slots].sum(1, dtype=np.int64)
    return counts


@numba.njit(cache=True)
def count(slots, clock, bins, epoch_us, rows):  # type: ignore[no-untyped-def]
    """Counts what accounts asked in a tick that was over at `clock`; bins (n, signals). Whoever asks very much goes on
    with half the counts, as at the client level.
    """
    for i in range(slots.size):
        row = rows[slots[i]]
        if row.n == 0:
            row.first_at = clock
        row.clock = max(row.clock, clock)
        epoch = np.uint32((row.clock - row.first_at) // epoch_us)
        if epoch != row.epoch:
            if epoch == row.epoch + 1:
                row.counts[1] = row.counts[0]
            else:
                row.counts[1] = 0
            row.counts[0] = 0
            row.epoch = epoch
        row.n += 1
        for f in range(bins.shape[1]):
            b = bins[i, f]
            if b == NO_BIN:
                continue
            row.counts[0, f, b] += 1
            if np.int64(row.counts[0, f, b]) + np.int64(row.counts[1, f, b]) >= FULL:
                for c in range(BINS):
                    row.counts[0, f, c] //= 2
                    row.counts[1, f, c] //= 2
