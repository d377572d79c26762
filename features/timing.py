"""When an entity asks: the gap since its last query, how regular gaps are, how tight the last few lie.

Sees: scripts (even gaps, bursts without pauses), and accounts that change from a person's hours to a machine's.
Misses: attackers who take their time, or copy a person's hours. It never accuses alone (Signal.alone): an attack is
what is asked, not when.
Innocent: honest batch jobs and nightly backfills. They are part of the honest population where the log that was learned
from holds them; else they need a suppression or a maintenance window.
"""

from __future__ import annotations

import numba
import numpy as np
from numpy.typing import NDArray

from detector.query import Batch
from features.contract import Feature, Field, Learned, Rows, Signal, nothing_to_learn

RING = 8
TICK_SHIFT = 10  # microseconds to ticks of 1.024 ms: 32 bits of them are 50 days
HIDES = "scripts that ask without pauses"

SIGNALS = (
    Signal(
        "timing.gap",
        staged=False,
        additive=False,
        low="follow the one before sooner than {honest} of honest queries do",
        high="follow the one before later than {honest} of honest queries do",
        hides=HIDES,
        alone=False,
        speaks_for=(),
    ),
    Signal(
        "timing.regularity",
        staged=False,
        additive=False,
        low="keep the pace of the one before more evenly than {honest} of honest queries do",
        high="change pace more than {honest} of honest queries do",
        hides=HIDES,
        alone=False,
        speaks_for=(),
    ),
    Signal(
        "timing.burst",
        staged=False,
        additive=False,
        low="end a tighter burst than {honest} of honest queries do",
        high="end a longer pause among the last eight than {honest} of honest queries do",
        hides=HIDES,
        alone=False,
        speaks_for=(),
    ),
)

FIELDS = (Field("timing_seen", "<u4"), Field("timing_ring", "<u4", (RING,)))


def measure(batch: Batch, rows: Rows, learned: Learned, values: NDArray[np.float64], stages: NDArray[np.int8]) -> None:
    _time(batch.slots, batch.at, rows, values)
    stages[:] = 0


@numba.njit(cache=True)
def _time(slots, at, rows, values):  # type: ignore[no-untyped-def]
    for i in range(slots.size):
        row = rows[slots[i]]
        seen = np.int64(row.timing_seen)
        now = np.uint32((at[i] >> TICK_SHIFT) & 0xFFFFFFFF)
        values[i, :] = np.nan
        if seen > 0:
            gap = _ticks(row.timing_ring[(seen - 1) % RING], now)
            values[i, 0] = np.log2(1.0 + gap)
            if seen > 1:
                before = _ticks(row.timing_ring[(seen - 2) % RING], row.timing_ring[(seen - 1) % RING])
                values[i, 1] = abs(np.log2((1.0 + gap) / (1.0 + before)))
            if seen >= RING:
                values[i, 2] = np.log2(1.0 + _ticks(row.timing_ring[seen % RING], now))
        row.timing_ring[seen % RING] = now
        row.timing_seen += 1


@numba.njit(cache=True)
def _ticks(earlier, later):  # type: ignore[no-untyped-def]
    """Ticks between two readings of a clock that wraps; 0 where the log's time went back."""
    apart = np.int64(np.uint32(later - earlier))
    return 0 if apart >= 2**31 else apart


FEATURE = Feature("timing", SIGNALS, FIELDS, nothing_to_learn, measure)
