"""How high each channel of evidence rises over an entity's life: what scale is learned from."""

from __future__ import annotations

import numba

from detector.evidence.kernels import count_bins
from detector.evidence.law import CHANNELS
from detector.evidence.polya import counted, longest_of, reach
from detector.evidence.sums import find_all, refresh


@numba.njit(cache=True)
def of_entities(starts, stops, owner, bins, law, rows, lines, desks, suprema):  # type: ignore[no-untyped-def]
    """Each run from `starts` to `stops` is judged at once: one query of a client, or what a group's members asked in
    one tick. owner (n,), bins (n, F) in log order; rows and lines fresh; desks: sums.desk.

    Fills suprema (entities, REACHES, F, CHANNELS), -inf where never seen.
    """
    tables, desk = law.tables[0], desks[0]
    for run in range(starts.size):
        which = owner[starts[run]]
        row, line = rows[which], lines[which % lines.size]
        if line.owner != which + 1:
            refresh(row, line, tables)
            line.owner = which + 1
        for i in range(starts[run], stops[run]):
            count_bins(row, line, bins, i, tables)
        find_all(line, tables, desk)
        _raise(desk, suprema[which, reach(longest_of(line))])
        counted(row, line, tables, stops[run] - starts[run], desk)


@numba.njit(cache=True)
def _raise(desk, highest):  # type: ignore[no-untyped-def]
    for f in range(highest.shape[0]):
        for c in range(CHANNELS):
            if desk.found[f, c] > highest[f, c]:  # false for NaN
                highest[f, c] = desk.found[f, c]
