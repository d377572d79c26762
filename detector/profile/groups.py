"""What `fit` learns of groups: their own nulls and calibration, on sums of their members' counts at ticks."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from detector.entities import BINS, row_dtype
from detector.evidence import kernels, suprema
from detector.evidence.law import Law
from detector.levels import ADDITIVE, TICK_US, tick_counts
from detector.profile import nulls
from detector.profile.learn import FOREVER_US, Measured, Nulls, bins_of, blank_honest, no_suprema, scaled, unscaled
from features import SIGNALS

FEWEST = 20  # groups in each set, below which there is no group level at all


class Ticked(NamedTuple):
    """Counts of groups by tick, in the order of ticks: group (r,), clock (r,), queries (r,), counts (r, F, BINS)."""

    group: NDArray[np.int64]
    clock: NDArray[np.int64]
    queries: NDArray[np.int64]
    counts: NDArray[np.uint32]

    def of(self, chosen: NDArray[np.bool_]) -> Ticked:
        mine = chosen[self.group]
        return Ticked(*(column[mine] for column in self))


def ticked(measured: Measured, group_of_client: NDArray[np.int64], edges: NDArray[np.float64]) -> Ticked:
    """Sums each group's queries by tick; group_of_client is -1 for clients without one."""
    group = group_of_client[measured.owner]
    inside = group >= 0
    tick, group = measured.clock[inside] // TICK_US, group[inside]
    bins = bins_of(measured, edges)[inside]
    order = np.lexsort((group, tick))
    changes = np.flatnonzero(np.diff(tick[order]) | np.diff(group[order])) + 1
    runs = np.split(order, changes) if len(order) else []
    return Ticked(
        np.array([group[run[0]] for run in runs], np.int64),
        np.array([(tick[run[0]] + 1) * TICK_US for run in runs], np.int64),
        np.array([len(run) for run in runs], np.int64),
        np.array([tick_counts(bins[run]) for run in runs], np.uint32).reshape(len(runs), len(SIGNALS), BINS),
    )


def learn_group_law(teachers: Ticked, scalers: Ticked, clients: Nulls) -> Law:
    """The groups' Pólya laws on the clients' bins, and their scale."""
    active = clients.active & ADDITIVE
    _, who = np.unique(teachers.group, return_inverse=True)
    totals = np.zeros((int(who.max(initial=-1)) + 1, len(SIGNALS), BINS), np.int64)
    np.add.at(totals, who, teachers.counts)
    weight, alpha = blank_honest()
    shares = clients.shares.copy()
    for f in np.flatnonzero(active):
        weight[f], alpha[f], shares[f] = nulls.fit_honest(totals[:, f])
    law = unscaled(clients._replace(weight=weight, alpha=alpha, shares=shares), active)
    groups, who = np.unique(scalers.group, return_inverse=True)
    highest = no_suprema(len(groups))
    rows = np.zeros(len(groups), row_dtype(len(SIGNALS), ()))
    suprema.of_groups(who, scalers.counts, scalers.queries, law, rows, highest)
    return scaled(law, highest)


def try_groups(judged: Ticked, law: Law) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """(groups, suprema): each group's highest grid level, scored by the kernel that production runs."""
    groups, who = np.unique(judged.group, return_inverse=True)
    rows = np.zeros(len(groups), row_dtype(len(SIGNALS), ()))
    highest = np.zeros(len(groups), np.int64)
    nats = np.zeros(len(SIGNALS))
    for run, g in enumerate(who):
        level, _ = kernels.weigh_group(
            rows, g, judged.counts[run], judged.queries[run], judged.clock[run], law, FOREVER_US, nats
        )
        highest[g] = max(highest[g], level)
    return groups, highest
