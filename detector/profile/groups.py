"""What `fit` learns of groups: their own nulls and calibration, on sums of their members' counts at ticks."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from detector.entities import BINS
from detector.evidence import kernels, sums
from detector.evidence.law import Law
from detector.levels import TICK_US, run_starts
from detector.profile import nulls
from detector.profile.artefact import group_row
from detector.profile.learn import FOREVER_US, Measured, Nulls, bins_of, scaled, unscaled, with_made
from features.kit import Kit

FEWEST = 20  # groups in each set, below which there is no group level at all


class Ticked(NamedTuple):
    """Queries of group members in the order of (tick, group): group (n,), tick (n,), bins (n, additive signals)"""

    kit: Kit
    group: NDArray[np.int64]
    tick: NDArray[np.int64]
    bins: NDArray[np.uint8]

    def of(self, chosen: NDArray[np.bool_]) -> Ticked:
        """The queries of the chosen groups, numbered anew from 0."""
        mine = chosen[self.group]
        return Ticked(self.kit, np.unique(self.group[mine], return_inverse=True)[1], self.tick[mine], self.bins[mine])


def ticked(measured: Measured, group_of_client: NDArray[np.int64], edges: NDArray[np.float64]) -> Ticked:
    """group_of_client (clients,): -1 for clients without a group."""
    group, tick = group_of_client[measured.owner], measured.clock // TICK_US
    order = np.lexsort((group, tick))
    order = order[group[order] >= 0]
    return Ticked(measured.kit, group[order], tick[order], bins_of(measured, edges)[order][:, measured.kit.additive])


def learn_group_law(teachers: Ticked, scalers: Ticked, clients: Nulls) -> Law:
    """The groups' own honest law, on the clients' bins of the additive signals, and its scale."""
    additive = teachers.kit.additive
    signals = [teachers.kit.signals[f] for f in additive]
    edges, shares = clients.edges[additive], clients.shares[additive].copy()
    weight, alpha = clients.weight[additive].copy(), clients.alpha[additive].copy()
    active = clients.active[additive].copy()
    for f in np.flatnonzero(active):
        present = teachers.bins[:, f] != kernels.NO_BIN
        active[f] = present.any()
        if not active[f]:
            continue
        counts = np.zeros((int(teachers.group.max()) + 1, BINS), np.int64)
        np.add.at(counts, (teachers.group[present], teachers.bins[present, f]), 1)
        weight[f], alpha[f], shares[f] = nulls.fit_honest(with_made(signals[f], counts))
    law = unscaled(Nulls(active, edges, weight, alpha, shares, ()), active, signals)
    starts = run_starts(scalers.tick, scalers.group)
    stops = np.append(starts[1:], len(scalers.tick))
    rows = np.zeros(int(scalers.group.max()) + 1, group_row(scalers.kit))
    return scaled(law, starts, stops, scalers.group, scalers.bins, rows)


def try_groups(judged: Ticked, law: Law) -> NDArray[np.int64]:
    """Each group's highest grid level, scored by the kernel that production runs."""
    starts = run_starts(judged.tick, judged.group)
    stops = np.append(starts[1:], len(judged.tick))
    runs, width = len(starts), judged.bins.shape[1]
    rows = np.zeros(int(judged.group.max()) + 1, group_row(judged.kit))
    levels = np.empty(runs, np.int32)
    kernels.weigh_ticks(
        starts, stops, judged.tick, judged.group, judged.bins, law, FOREVER_US, TICK_US,
        rows, sums.lines(width), levels,
        np.empty(runs, np.bool_), np.empty(runs, np.int64), np.empty(runs, np.int64), np.empty((runs, 2, width)),
        np.empty((runs, width, BINS), np.uint16),
    )  # fmt: skip
    highest = np.zeros(len(rows), np.int64)
    np.maximum.at(highest, judged.group[starts], levels)
    return highest
