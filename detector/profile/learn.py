"""`fit`: from honest queries to a profile. Three disjoint sets of clients; what is calibrated is what will score."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from detector.entities import BINS
from detector.errors import ProfileError
from detector.evidence import kernels, suprema
from detector.evidence import law as laws
from detector.evidence.law import CHANNELS, Law
from detector.evidence.telling import telling
from detector.levels import PART, admitted, weighed
from detector.profile import calibration, nulls
from detector.profile.artefact import CLIENT_ROW, SignalOff
from detector.query import Batch
from detector.reasons import sentence
from detector.tape import score_of
from features import SIGNALS, measure
from features.contract import STAGES, Learned

SLOPES = (0.0, 0.03, 0.06, 0.1, 0.15, 0.2, 0.3, 0.4, 0.5)
FOREVER_US = 2**62
PIECE = 65_536


class Measured(NamedTuple):
    """The admitted queries of the honest log with their signals, in log order.

    owner (n,) client index; clock, at (n,); values (n, F); stages (n, F).
    """

    owner: NDArray[np.int64]
    clock: NDArray[np.int64]
    values: NDArray[np.float64]
    stages: NDArray[np.int8]

    def of(self, chosen: NDArray[np.bool_]) -> Measured:
        """The queries of the chosen clients (clients,)."""
        return self.taken(np.flatnonzero(chosen[self.owner]))

    def taken(self, rows: NDArray[np.int64]) -> Measured:
        return Measured(self.owner[rows], self.clock[rows], self.values[rows], self.stages[rows])


def signals(batch: Batch, salts: NDArray[np.uint64], learned: Learned, horizon_us: int, secret: np.uint64) -> Measured:
    """Runs every client through admission and the features, each from an empty row, and cuts at the horizon.

    salts (clients,): as production seeds the rows, so that it would measure the same.
    """
    rows = np.zeros(len(salts), CLIENT_ROW)
    rows["salt"] = salts
    parts = []
    for start in range(0, len(batch), PART):
        part = batch.part(start, min(start + PART, len(batch)))
        admission = admitted(part, rows, horizon_us // 2, secret)  # late is what production will call late
        kept = np.flatnonzero(admission.status == kernels.ADMITTED)
        values, stages = measure(part.taken(kept), rows, learned)
        parts.append(Measured(part.slots[kept], admission.clock[kept], values, stages))
    whole = Measured(*(np.concatenate(columns) for columns in zip(*parts, strict=True)))
    inside = whole.clock - rows["first_at"][whole.owner] < horizon_us
    return Measured(*(column[inside] for column in whole))


class Nulls(NamedTuple):
    """What the learn set taught: see Law."""

    active: NDArray[np.bool_]
    edges: NDArray[np.float64]
    weight: NDArray[np.float64]
    alpha: NDArray[np.float64]
    shares: NDArray[np.float64]
    off: tuple[SignalOff, ...]


def learn_nulls(teachers: Measured) -> Nulls:
    """Bins and Pólya laws of every signal that the log carries and that varies."""
    width = len(SIGNALS)
    active = np.zeros(width, np.bool_)
    edges = np.full((width, STAGES, BINS - 1), np.inf)
    weight, alpha = blank_honest()
    shares = np.full((width, BINS), 1.0 / BINS)
    off = []
    for f in range(width):
        reason = _unusable(teachers.values[:, f])
        if reason:
            off.append(SignalOff(SIGNALS[f].name, reason))
            continue
        active[f] = True
        edges[f] = nulls.edges(teachers.values[:, f], teachers.stages[:, f], teachers.owner)
        counts = per_client(teachers.owner, bins_of(teachers, edges)[:, f])
        weight[f], alpha[f], shares[f] = nulls.fit_honest(counts)
    if not active.any():
        raise ProfileError(
            "no signal can be learned from this log: " + "; ".join(f"{o.signal}: {o.reason}" for o in off)
        )
    return Nulls(active, edges, weight, alpha, shares, tuple(off))


def blank_honest() -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """weight (F, KINDS) and alpha (F, KINDS, BINS) of signals that are not used."""
    width = len(SIGNALS)
    return np.full((width, laws.KINDS), 1.0 / laws.KINDS), np.ones((width, laws.KINDS, BINS))


def _unusable(values: NDArray[np.float64]) -> str:
    present = values[~np.isnan(values)]
    if len(present) < 0.01 * len(values) or len(present) < nulls.FEW:
        return "the log does not carry it (no probabilities, or too few queries)"
    if np.ptp(present) < 1e-6 * (1e-9 + np.abs(present).max()):
        return "it does not vary in honest traffic (inputs of at most 16 dimensions leave no residual)"
    return ""


def bins_of(measured: Measured, edges: NDArray[np.float64]) -> NDArray[np.uint8]:
    """(n, F) uint8, NO_BIN where absent: polya.bin_of for whole columns."""
    bins = np.full(measured.values.shape, kernels.NO_BIN, np.uint8)
    for f in range(measured.values.shape[1]):
        for stage in range(STAGES):
            chosen = (measured.stages[:, f] == stage) & ~np.isnan(measured.values[:, f])
            bins[chosen, f] = np.searchsorted(edges[f, stage], measured.values[chosen, f], side="right")
    return bins


def per_client(owner: NDArray[np.int64], bins: NDArray[np.uint8]) -> NDArray[np.int64]:
    """One signal's bins (n,) -> counts (owners, BINS)."""
    present = bins != kernels.NO_BIN
    counts = np.zeros((int(owner.max(initial=-1)) + 1, BINS), np.int64)
    np.add.at(counts, (owner[present], bins[present]), 1)
    return counts


def learn_scale(judged: Measured, found: Nulls, active: NDArray[np.bool_]) -> Law:
    """Brings every channel to one scale, then finds the boundary that keeps false alarms flat in volume."""
    if not len(judged.owner):
        raise ProfileError("too few clients in the log: none is left to set the scale of the scores")
    law = unscaled(found, active)
    clients, owner = np.unique(judged.owner, return_inverse=True)
    highest = no_suprema(len(clients))
    rows = np.zeros(len(clients), CLIENT_ROW)
    suprema.of_clients(owner, bins_of(judged, found.edges), law, rows, highest)
    law = scaled(law, highest)
    return law._replace(slope=flat_slope(judged, law))


def unscaled(found: Nulls, active: NDArray[np.bool_]) -> Law:
    shape = (len(SIGNALS) + 1, CHANNELS)
    return laws.make(active, found.edges, found.weight, found.alpha, found.shares, np.zeros(shape), np.ones(shape), 0.0)


def no_suprema(entities: int) -> NDArray[np.float64]:
    return np.full((entities, len(SIGNALS) + 1, CHANNELS), -np.inf)


def scaled(law: Law, highest: NDArray[np.float64]) -> Law:
    """The law with each channel's centre and unit from honest suprema (entities, F + 1, CHANNELS)."""
    centre, unit = np.zeros(highest.shape[1:]), np.ones(highest.shape[1:])
    for f, c in np.ndindex(centre.shape):
        seen = highest[:, f, c]
        centre[f, c], unit[f, c] = calibration.standard(seen[np.isfinite(seen)])
    return law._replace(centre=centre, unit=unit)


def flat_slope(judged: Measured, law: Law) -> float:
    """The least slope under which the third of the clients that asked most have no larger share of the highest tenth
    than the others.
    """
    levels, ordinal, owner = _levels(judged, law)
    raw = np.array([max(score_of(level), -1.0) for level in range(int(levels.max(initial=0)) + 1)])[levels]
    volume = np.bincount(owner)
    heavy = volume > np.quantile(volume, 2 / 3)
    for slope in SLOPES:
        scores = raw - slope * np.log2(np.maximum(ordinal / 32.0, 1.0))
        highest = np.full(len(volume), -np.inf)
        np.maximum.at(highest, owner, scores)
        high = highest > np.quantile(highest, 0.9)
        if not heavy.any() or high[heavy].mean() <= high[~heavy].mean():
            return slope
    return SLOPES[-1]


class Trial(NamedTuple):
    """How entities scored: their highest grid levels; of the ten highest (owner, queries by then, sentence)."""

    owners: NDArray[np.int64]
    suprema: NDArray[np.int64]
    oddest: tuple[tuple[int, int, str], ...]


def try_clients(judged: Measured, law: Law) -> Trial:
    """Scores clients with the finished law, in the kernel that production runs."""
    levels, ordinal, owner = _levels(judged, law)
    owners = np.unique(judged.owner)
    highest = np.zeros(len(owners), np.int64)
    np.maximum.at(highest, owner, levels)
    odd = []
    for who in np.argsort(-highest, kind="stable")[:10]:
        mine = np.flatnonzero(owner == who)
        peak = int(mine[np.argmax(levels[mine])])
        text = _why(judged.taken(mine), int(ordinal[peak]), law)
        odd.append((int(owners[who]), int(ordinal[peak]), text))
    return Trial(owners, highest, tuple(odd))


def _why(queries: Measured, until: int, law: Law) -> str:
    """The strongest reason against one client after its first `until` queries."""
    counts = np.zeros((len(SIGNALS), BINS), np.uint32)
    for f, bins in enumerate(bins_of(queries, law.edges)[:until].T):
        if law.active[f]:
            counts[f] = np.bincount(bins[bins != kernels.NO_BIN], minlength=BINS)
    row = np.zeros(1, CLIENT_ROW)
    row["counts"][0, 0] = counts
    highest = no_suprema(1)
    suprema.of_clients(np.zeros(1, np.int64), np.full((1, len(SIGNALS)), kernels.NO_BIN, np.uint8), law, row, highest)
    shares, tails = telling(counts, law)
    strongest = int(np.argmax(highest[0, :-1].max(1)))
    return sentence(SIGNALS[strongest], int(shares[strongest]), int(tails[strongest]))


def _levels(judged: Measured, law: Law) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.int64]]:
    """Each query's grid level, its number among its client's, and its client's place among the clients."""
    owners, owner = np.unique(judged.owner, return_inverse=True)
    rows = np.zeros(len(owners), CLIENT_ROW)
    levels = np.empty(len(owner), np.int64)
    for start in range(0, len(owner), PIECE):
        s = slice(start, start + PIECE)
        piece = weighed(owner[s], judged.clock[s], judged.values[s], judged.stages[s], law, FOREVER_US, rows)
        levels[s] = piece[1]
    order = np.argsort(owner, kind="stable")
    starts = np.searchsorted(owner[order], np.arange(len(owners)))
    ordinal = np.empty(len(owner), np.int64)
    ordinal[order] = np.arange(len(owner)) - starts[owner[order]] + 1
    return levels, ordinal, owner
