"""What clients of the honest log did, measured as production measures, and the honest laws that some of them teach."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from detector.entities import BINS
from detector.errors import ProfileError
from detector.evidence import kernels
from detector.evidence import law as laws
from detector.exposure.exposed import Exposing, said, taught, unexposed
from detector.exposure.known import Known
from detector.levels import PART, admitted
from detector.profile import nulls
from detector.profile.artefact import SignalOff, client_row
from detector.query import Batch
from features.contract import STAGES, Learned, Signal
from features.kit import Kit

FOREVER_US = 2**62
MADE_EACH = 5  # honest clients to one that was made
MADE_USUAL, MADE_ODD = 95, 3  # queries of a made client: as usual, and of each odd kind
NEEDS = {
    "distance.roughness": "the inputs are no images",
    "distance.residual": "inputs of at most 16 dimensions leave no residual",
    "spacing.class": "answers carry no label",
    "spacing.other": "answers carry no label, or clients get but one",
    "boundary.margin": "answers carry no probabilities",
    "joint.blend": "too few clients to teach it on",
    "pursuit.member": "no training file was given",
    "pursuit.climb": "answers carry no label with probabilities",
    "pursuit.cross": "answers carry no label",
    "entropy.label": "answers carry no label",
    "entropy.confidence": "answers carry no probabilities",
}


class Measured(NamedTuple):
    """The admitted queries of the honest log with the signals of a kit, in log order.

    query (n,): its place in the log's batch; owner (n,) client index; clock (n,); values (n, F); stages (n, F);
    taught (n, M + 2): what exposure found (student.teach); leaked: what it says of that, nothing before `exposed`.
    """

    kit: Kit
    query: NDArray[np.int64]
    owner: NDArray[np.int64]
    clock: NDArray[np.int64]
    values: NDArray[np.float64]
    stages: NDArray[np.int8]
    taught: NDArray[np.float64]
    leaked: Exposing

    def of(self, chosen: NDArray[np.bool_]) -> Measured:
        """The queries of the chosen clients (clients,)."""
        return self.taken(np.flatnonzero(chosen[self.owner]))

    def taken(self, rows: NDArray[np.int64]) -> Measured:
        ids, clock = (self.query[rows], self.owner[rows]), self.clock[rows]
        leaked = Exposing(self.leaked.told[rows], self.leaked.stepped[rows])
        return Measured(self.kit, *ids, clock, self.values[rows], self.stages[rows], self.taught[rows], leaked)

    def unexposed(self) -> Measured:
        """Without what exposure says."""
        return self._replace(leaked=unexposed(len(self.owner)))

    def exposed(self, known: Known) -> Measured:
        """With what exposure says of each query."""
        rows = np.zeros(int(self.owner.max(initial=-1)) + 1, client_row(self.kit))
        return self._replace(leaked=said(self.owner, self.taught, known, rows))


def signals(
    kit: Kit,
    batch: Batch,
    salts: NDArray[np.uint64],
    learned: Learned,
    known: Known,
    horizon_us: int,
    secret: np.uint64,
) -> Measured:
    """Runs every client through admission and the features, each from an empty row, and cuts at the horizon.

    salts (clients,): as production seeds the rows, so that it would measure the same.
    """
    rows = np.zeros(len(salts), client_row(kit))
    rows["salt"] = salts
    parts = []
    for start in range(0, len(batch), PART):
        part = batch.part(start, min(start + PART, len(batch)))
        admission = admitted(part, rows, horizon_us // 2, secret)  # late is what production will call late
        kept = np.flatnonzero(admission.status == kernels.ADMITTED)
        taken = part.taken(kept)
        values, stages = kit.measure(taken, rows, learned)
        found = taught(taken, known, rows)
        parts.append((start + kept, taken.slots, admission.clock[kept], values, stages, found))
    query, owner, clock, values, stages, found = (np.concatenate(columns) for columns in zip(*parts, strict=True))
    whole = Measured(kit, query, owner, clock, values, stages, found, unexposed(len(owner)))
    return whole.taken(np.flatnonzero(whole.clock - rows["first_at"][whole.owner] < horizon_us))


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
    signals = teachers.kit.signals
    width = len(signals)
    active = np.zeros(width, np.bool_)
    edges = np.full((width, STAGES, BINS - 1), np.inf)
    weight, alpha = blank_honest(width)
    shares = np.full((width, BINS), 1.0 / BINS)
    off = []
    for f, signal in enumerate(signals):
        reason = _unusable(signal, teachers.values[:, f])
        if reason:
            off.append(SignalOff(signal.name, reason, signal.hides))
            continue
        active[f] = True
        edges[f] = _edges(f, teachers)
        counts = per_client(teachers.owner, bins_of(teachers, edges)[:, f])
        weight[f], alpha[f], shares[f] = nulls.fit_honest(with_made(signal, counts))
    if not active.any():
        raise ProfileError(
            "no signal can be learned from this log: " + "; ".join(f"{o.signal}: {o.reason}" for o in off)
        )
    return Nulls(active, edges, weight, alpha, shares, tuple(off))


def in_bins_of(known: Nulls, owner: NDArray[np.int64], bins: NDArray[np.uint8], signals: Sequence[Signal]) -> Nulls:
    """The honest law of other entities, owner (n,), in bins (n, F) that were cut for those of `known`. A signal that
    their queries do not carry is off.
    """
    active, weight = known.active.copy(), known.weight.copy()
    alpha, shares = known.alpha.copy(), known.shares.copy()
    for f in np.flatnonzero(active).tolist():
        counts = per_client(owner, bins[:, f])
        active[f] = counts.any()
        if active[f]:
            weight[f], alpha[f], shares[f] = nulls.fit_honest(with_made(signals[f], counts))
    return known._replace(active=active, weight=weight, alpha=alpha, shares=shares)


def blank_honest(width: int) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """weight (F, KINDS) and alpha (F, KINDS, BINS) of signals that are not used."""
    return np.full((width, laws.KINDS), 1.0 / laws.KINDS), np.ones((width, laws.KINDS, BINS))


def _unusable(signal: Signal, values: NDArray[np.float64]) -> str:
    present = values[~np.isnan(values)]
    if len(present) < 0.01 * len(values) or len(present) < nulls.FEW:
        return NEEDS.get(signal.name, "too few queries carry it")
    if not signal.cuts and np.ptp(present) < 1e-6 * (1e-9 + np.abs(present).max()):
        return "it does not vary in honest traffic"
    return ""


def _edges(f: int, teachers: Measured) -> NDArray[np.float64]:
    if teachers.kit.signals[f].even:
        return np.tile(laws.EVEN, (STAGES, 1))
    cuts = teachers.kit.signals[f].cuts
    if not cuts:
        return nulls.edges(teachers.values[:, f], teachers.stages[:, f], teachers.owner)
    padded = np.append(cuts, np.full(BINS - 1 - len(cuts), np.inf))
    return np.tile(padded, (STAGES, 1))


def with_made(signal: Signal, counts: NDArray[np.int64]) -> NDArray[np.int64]:
    """For what honest clients of the log may never have done: one made client in MADE_EACH does it now and then, so
    that the first time is no proof.
    """
    events = len(signal.cuts)
    if not events:
        return counts
    made = np.zeros(BINS, np.int64)
    made[0], made[1 : events + 1] = MADE_USUAL, MADE_ODD
    return np.vstack([counts, np.tile(made, (max(len(counts) // MADE_EACH, 1), 1))])


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
