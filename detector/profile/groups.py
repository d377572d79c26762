"""What `fit` learns of each kind of groups: nulls and calibration of its own, on sums of members' counts at ticks."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

import msgspec
import numpy as np
from numpy.typing import NDArray

from detector.entities import BINS
from detector.evidence import kernels, sums
from detector.evidence.law import Law
from detector.levels import TICK_US, run_starts
from detector.profile import calibration, promised
from detector.profile.artefact import Level, group_row
from detector.profile.learn import FOREVER_US, Measured, Nulls, bins_of, in_bins_of
from detector.profile.scaling import unscaled, with_scale
from detector.profile.sets import CALIBRATE, LEARN, SCALE, Sets, keyed
from detector.profile.trying import suprema_of
from features.kit import Kit

FEWEST = 20  # groups in each set, below which there is no level for that kind at all
SHARE = 0.2  # of the promise, for the kinds of groups together that can carry it
TOO_FEW = "observes only: too few groups to promise anything of its own"


class Asking(NamedTuple):
    """Whose queries are whose: groups (n, kinds) of all queries of the log, see honest.Asked; names by kind."""

    measured: Measured
    groups: NDArray[np.int64]
    names: Mapping[str, list[str]]


class Grouped(NamedTuple):
    """A level of groups; suprema: ascending."""

    level: Level
    law: Law
    suprema: NDArray[np.int64]


class _Kind(NamedTuple):
    """Groups of a kind that are enough to learn from. whole: no group lies in two sets; counts: that taught, that set
    the scale; excluded: groups that were taken out.
    """

    name: str
    law: Law
    suprema: NDArray[np.int64]
    whole: bool
    counts: tuple[int, int]
    excluded: int


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


def learn_levels(
    asking: Asking,
    drawn: Sets,
    kept: NDArray[np.bool_],
    found: Nulls,
    promise: float | None,
    confidence: float | None,
    seed: int,
) -> list[Grouped]:
    """A level for each kind of groups of which there are enough. Those that can carry it share SHARE of the promise
    evenly; the others observe.
    """
    if not found.active[asking.measured.kit.additive].any():
        return []
    kinds = [_kind(asking, place, drawn, kept, found, seed) for place in range(len(asking.names))]
    enough = [kind for kind in kinds if kind is not None]
    share = _share_of_each(enough, promise, confidence)
    return [_grouped(kind, share.get(kind.name), promise, confidence) for kind in enough]


def _share_of_each(kinds: list[_Kind], promise: float | None, confidence: float | None) -> dict[str, float]:
    """The kinds that alert, with what each is promised: as many as can carry an even share, the largest ones first."""
    if promise is None:
        return {}
    able = sorted((kind for kind in kinds if kind.whole), key=lambda kind: -len(kind.suprema))
    while able:
        share = SHARE * promise / len(able)
        least = able[-1]
        if len(least.suprema) >= calibration.entities_needed(share, confidence, least.excluded):
            return {kind.name: share for kind in able}
        able.pop()
    return {}


def _grouped(kind: _Kind, share: float | None, promise: float | None, confidence: float | None) -> Grouped:
    fired = None
    if share is not None:
        fired = calibration.threshold(kind.suprema, share, excluded=kind.excluded, confidence=confidence)
    level = promised.level(kind.name, share, kind.counts, kind.suprema, fired, kind.excluded, confidence)
    if share is None:
        level = msgspec.structs.replace(level, note=promised.OBSERVES if promise is None else TOO_FEW)
    return Grouped(level, kind.law, kind.suprema)


def _kind(asking: Asking, place: int, drawn: Sets, kept: NDArray[np.bool_], found: Nulls, seed: int) -> _Kind | None:
    """The groups of one kind; None where there are too few to learn from. A group of which a client was taken out is
    taken out, and counts as never passed.
    """
    name, names = list(asking.names.items())[place]
    measured, of_query = asking.measured, asking.groups[asking.measured.query, place]
    named = np.flatnonzero(of_query >= 0)
    group, owner = of_query[named], measured.owner[named]
    whole = name in drawn.whole
    roles = _roles(names, group, owner, drawn, seed) if whole else _own_roles(names, seed)
    gone = np.unique(group[~kept[owner]])
    roles[gone] = -1
    if min(np.count_nonzero(roles == role) for role in (LEARN, SCALE, CALIBRATE)) < FEWEST:
        return None
    asked = ticked(measured, of_query, found.edges)
    law = learn_group_law(asked.of(roles == LEARN), asked.of(roles == SCALE), found)
    suprema = np.sort(try_groups(asked.of(roles == CALIBRATE), law))
    counts = [int(np.count_nonzero(roles == role)) for role in (LEARN, SCALE)]
    return _Kind(name, law, suprema, whole, (counts[0], counts[1]), len(gone))


def _roles(
    names: list[str], group: NDArray[np.int64], owner: NDArray[np.int64], drawn: Sets, seed: int
) -> NDArray[np.int8]:
    """The set of each group is its members'. Of groups in one unit one calibrates, as of clients one does."""
    roles = np.full(len(names), -1, np.int8)
    np.maximum.at(roles, group, drawn.of[owner])
    unit = np.full(len(names), -1, np.int64)
    np.maximum.at(unit, group, drawn.unit[owner])
    standing: dict[int, int] = {}
    for g in sorted(np.flatnonzero(roles == CALIBRATE).tolist(), key=lambda g: keyed(names[g], seed)):
        if standing.setdefault(int(unit[g]), g) != g:
            roles[g] = -1
    return roles


def _own_roles(names: list[str], seed: int) -> NDArray[np.int8]:
    """A draw of their own, for groups whose members lie in several sets: such a kind observes only."""
    roles = np.full(len(names), -1, np.int8)
    for place, g in enumerate(sorted(range(len(names)), key=lambda g: keyed(names[g], seed))):
        roles[g] = (LEARN, SCALE, CALIBRATE)[place % 3]
    return roles


def ticked(measured: Measured, group: NDArray[np.int64], edges: NDArray[np.float64]) -> Ticked:
    """group (n,): of each query, -1 for those without."""
    tick = measured.clock // TICK_US
    order = np.lexsort((group, tick))
    order = order[group[order] >= 0]
    return Ticked(measured.kit, group[order], tick[order], bins_of(measured, edges)[order][:, measured.kit.additive])


def learn_group_law(teachers: Ticked, scalers: Ticked, clients: Nulls) -> Law:
    """The groups' own honest law, on the clients' bins of the additive signals, and its scale."""
    additive = teachers.kit.additive
    signals = [teachers.kit.signals[f] for f in additive]
    of_queries = clients.edges[additive], clients.weight[additive], clients.alpha[additive], clients.shares[additive]
    summed = Nulls(clients.active[additive], *of_queries, ())
    found = in_bins_of(summed, teachers.group, teachers.bins, signals)
    law = unscaled(found, found.active, signals)
    starts = run_starts(scalers.tick, scalers.group)
    stops = np.append(starts[1:], len(scalers.tick))
    rows = np.zeros(int(scalers.group.max()) + 1, group_row(scalers.kit))
    return with_scale(law, suprema_of(law, starts, stops, scalers.group, scalers.bins, rows))


def try_groups(judged: Ticked, law: Law) -> NDArray[np.int64]:
    """Each group's highest grid level, scored by the kernel that production runs."""
    starts = run_starts(judged.tick, judged.group)
    stops = np.append(starts[1:], len(judged.tick))
    runs, width = len(starts), judged.bins.shape[1]
    rows = np.zeros(int(judged.group.max()) + 1, group_row(judged.kit))
    levels = np.empty(runs, np.int32)
    kernels.weigh_ticks(
        starts, stops, judged.tick, judged.group, judged.bins, law, FOREVER_US, TICK_US,
        rows, sums.lines(width), sums.desk(width), levels,
        np.empty(runs, np.bool_), np.empty(runs, np.int64), np.empty(runs, np.int64), np.empty((runs, 2, width)),
        np.empty((runs, width, BINS), np.uint16),
    )  # fmt: skip
    highest = np.zeros(len(rows), np.int64)
    np.maximum.at(highest, judged.group[starts], levels)
    return highest
