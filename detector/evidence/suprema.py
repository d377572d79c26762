"""How high each channel of evidence rises over an entity's life: what scale is learned from."""

from __future__ import annotations

import numba
import numpy as np

from detector.evidence.kernels import NO_BIN
from detector.evidence.law import CHANNELS
from detector.evidence.polya import SCRATCH, channels_of, counted


@numba.njit(cache=True)
def of_clients(owner, bins, law, rows, suprema):  # type: ignore[no-untyped-def]
    """owner (n,), bins (n, F) in log order; rows fresh; suprema (clients, F + 1, CHANNELS), -inf where never seen."""
    found = np.empty((law.active.size + 1, CHANNELS))
    tables = law.tables[0]
    scratch = np.empty(SCRATCH)
    for i in range(owner.size):
        row = rows[owner[i]]
        for f in range(bins.shape[1]):
            if tables.active[f] and bins[i, f] != NO_BIN:
                row.counts[0, f, bins[i, f]] += np.uint32(1)
        _raise(row, tables, scratch, found, suprema[owner[i]])
        counted(row, 1, found)


@numba.njit(cache=True)
def of_groups(starts, stops, group, bins, law, rows, suprema):  # type: ignore[no-untyped-def]
    """Each run from `starts` to `stops` is what a group's members asked in one tick; otherwise as of_clients."""
    found = np.empty((law.active.size + 1, CHANNELS))
    tables = law.tables[0]
    scratch = np.empty(SCRATCH)
    for run in range(starts.size):
        row = rows[group[starts[run]]]
        for i in range(starts[run], stops[run]):
            for f in range(bins.shape[1]):
                if tables.active[f] and bins[i, f] != NO_BIN:
                    row.counts[0, f, bins[i, f]] += np.uint32(1)
        _raise(row, tables, scratch, found, suprema[group[starts[run]]])
        counted(row, stops[run] - starts[run], found)


@numba.njit(cache=True)
def _raise(row, tables, scratch, found, highest):  # type: ignore[no-untyped-def]
    channels_of(row, tables, scratch, found)
    for f in range(found.shape[0]):
        for c in range(CHANNELS):
            if found[f, c] > highest[f, c]:  # false for NaN
                highest[f, c] = found[f, c]
