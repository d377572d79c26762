"""`fit`: from honest queries to a profile. Three disjoint sets of clients; what is calibrated is what will score."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from detector.entities import BINS
from detector.errors import ProfileError
from detector.evidence import kernels, polya, sums, suprema
from detector.evidence import law as laws
from detector.evidence.law import CHANNELS, DILUTION_BET, REACHES, TURN, Law
from detector.evidence.telling import telling
from detector.exposure.exposed import Exposing, exposed, said, taught, unexposed
from detector.exposure.known import Known
from detector.levels import PART, Watch, Weights, admitted, weighed
from detector.profile import calibration, nulls
from detector.profile.artefact import SignalOff, client_row
from detector.query import Batch
from detector.reasons import leaks, sentence
from detector.tape import TOP_LEVEL, Exposed, score_of
from features.contract import STAGES, Learned, Signal
from features.kit import Kit

SLOPES = np.arange(26) / 50  # of the score, a doubling
USUAL_SLOPE, SLOPE_VARIES = 0.2, 0.1  # what populations ask for: mean and deviation, from the development half of MNIST
FOREVER_US = 2**62
PIECE = 65_536
FIRST_RISING = 5  # the reach of polya.FLAT_UNTIL queries
DOUBLED = np.maximum(np.arange(REACHES) - FIRST_RISING, 0)
FEWEST_REACHING = 20  # entities
FOLDS = 4  # of the clients that set the scale
OUT_OF_REACH = 1e12  # nats, of a channel that is not used
CORROBORATES = 1.0  # of the score: what one honest client in a hundred shows
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


def learn_scale(judged: Measured, found: Nulls, active: NDArray[np.bool_]) -> Law:
    """Brings every channel to one scale, then finds the boundary that keeps false alarms flat in volume."""
    if not len(judged.owner):
        raise ProfileError("too few clients in the log: none is left to set the scale of the scores")
    law = unscaled(found, active, judged.kit.signals)
    clients, owner = np.unique(judged.owner, return_inverse=True)
    runs = np.arange(len(owner))
    rows = np.zeros(len(clients), client_row(judged.kit))
    highest = suprema_of(law, runs, runs + 1, owner, bins_of(judged, found.edges), rows)
    habits = np.array([signal.habit for signal in judged.kit.signals])
    law = _quiet(with_scale(law, highest), habits)
    blind = _blind(judged, law, highest, clients, habits)
    return law._replace(slope=flat_slope(*blind))


def _quiet(law: Law, habits: NDArray[np.bool_]) -> Law:
    """On habits nothing is bet but that the client is only like itself (Signal.habit)."""
    for channel in (DILUTION_BET, TURN):
        law.centre[habits, channel], law.knee[habits, channel] = OUT_OF_REACH, 2 * OUT_OF_REACH
    return law


def _blind(
    judged: Measured, law: Law, highest: NDArray[np.float64], clients: NDArray[np.int64], habits: NDArray[np.bool_]
) -> tuple[NDArray[np.float64], NDArray[np.int64], NDArray[np.int64]]:
    """The scores of all queries, their numbers among their client's, and the clients, each scored on a scale that the
    others set: on the scale that they set themselves, clients who asked much look no odder than they made the scale.
    Without exposure, which is flat by itself and under no boundary.
    """
    score_at = np.array([max(score_of(level), -1.0) for level in range(TOP_LEVEL + 1)])
    found = []
    for fold in range(min(FOLDS, len(clients))):
        mine = np.arange(len(clients)) % FOLDS == fold
        others = law if mine.all() else _quiet(with_scale(law, highest[~mine]), habits)
        rows = np.flatnonzero(np.isin(judged.owner, clients[mine]))
        taken = judged.taken(rows)._replace(leaked=unexposed(len(rows)))
        levels, ordinal, _ = _levels(taken, others)
        found.append((score_at[levels], ordinal, np.searchsorted(clients, taken.owner)))
    scores, ordinals, owners = (np.concatenate(columns) for columns in zip(*found, strict=True))
    return scores, ordinals, owners


def unscaled(found: Nulls, active: NDArray[np.bool_], signals: Sequence[Signal]) -> Law:
    flat, ones = np.zeros((len(active), CHANNELS)), np.ones((len(active), CHANNELS))
    most = np.array([np.inf if signal.alone else CORROBORATES for signal in signals])
    honest = found.edges, found.weight, found.alpha, found.shares
    return laws.make(active, *honest, flat, flat, ones, ones, ones, most, 0.0)


def scaled(
    law: Law,
    starts: NDArray[np.int64],
    stops: NDArray[np.int64],
    owner: NDArray[np.int64],
    bins: NDArray[np.uint8],
    rows: NDArray[Any],
) -> Law:
    """The law with the scale of each channel (suprema.of_entities says what is given).

    Evidence of what depends on the queries before rises with their number even when all is honest. What rises is taken
    off that channel alone, so that it does not cost the others.
    """
    return with_scale(law, suprema_of(law, starts, stops, owner, bins, rows))


def with_scale(law: Law, highest: NDArray[np.float64]) -> Law:
    """The law with the scale of each channel, from honest suprema (entities, REACHES, F, CHANNELS)."""
    scale = np.empty((5, *highest.shape[2:]))
    for f, c in np.ndindex(highest.shape[2:]):
        scale[:, f, c] = scale_of(highest[:, :, f, c])
    return law._replace(rise=scale[0], centre=scale[1], knee=scale[2], spread=scale[3], shape=scale[4])


def suprema_of(
    law: Law,
    starts: NDArray[np.int64],
    stops: NDArray[np.int64],
    owner: NDArray[np.int64],
    bins: NDArray[np.uint8],
    rows: NDArray[Any],
) -> NDArray[np.float64]:
    """(entities, REACHES, F, CHANNELS), from rows as they are given."""
    highest = np.full((len(rows), REACHES, len(law.active), CHANNELS), -np.inf)
    room = sums.lines(len(law.active)), sums.desk(len(law.active))
    suprema.of_entities(starts, stops, owner, bins, law, rows.copy(), *room, highest)
    return highest


def scale_of(highest: NDArray[np.float64]) -> tuple[float, ...]:
    """rise, centre, knee, spread, shape from suprema (entities, REACHES)."""
    rise = rise_of(highest)
    flat = (highest - rise * DOUBLED).max(1)
    return rise, *calibration.standard(flat[np.isfinite(flat)])


def rise_of(highest: NDArray[np.float64]) -> float:
    """One channel's suprema (entities, REACHES) -> nats a doubling from 32 queries on, never negative: how the 90th
    percentile over entities rises from reach to reach, each weighing with the entities that came to it.
    """
    there = np.isfinite(highest)
    told = [s for s in range(FIRST_RISING, REACHES) if np.count_nonzero(there[:, s]) >= FEWEST_REACHING]
    if len(told) < 2:
        return 0.0
    tops = [np.quantile(highest[there[:, s], s], 0.9) for s in told]
    return max(float(np.polyfit(told, tops, 1, w=np.sqrt([np.count_nonzero(there[:, s]) for s in told]))[0]), 0.0)


def flat_slope(scores: NDArray[np.float64], ordinal: NDArray[np.int64], owner: NDArray[np.int64]) -> float:
    """The slope under which the third of clients that asked most have their share of the highest twentieth, no more;
    where few clients set the scale, their accidents weigh against what populations usually ask for (USUAL_SLOPE).
    Of each query its score, its number among its client's, and its client.
    """
    doubled = np.log2(np.maximum(ordinal / polya.FLAT_UNTIL, 1.0))
    volume = np.bincount(owner)
    heavy = volume > np.quantile(volume, 2 / 3)
    misses = []
    for slope in SLOPES:
        highest = np.full(len(volume), -np.inf)
        np.maximum.at(highest, owner, scores - slope * doubled)
        excess = _excess(highest > np.quantile(highest, 0.95), heavy)
        misses.append(excess**2 + ((slope - USUAL_SLOPE) / SLOPE_VARIES) ** 2)
    return float(SLOPES[int(np.argmin(misses))])


def _excess(high: NDArray[np.bool_], heavy: NDArray[np.bool_]) -> float:
    """How many more heavy clients are among the high ones than a draw would put there, in its standard deviations."""
    clients, drawn, share = len(high), int(np.count_nonzero(high)), float(heavy.mean())
    variance = drawn * share * (1 - share) * (clients - drawn) / max(clients - 1, 1)
    return float((np.count_nonzero(high & heavy) - drawn * share) / np.sqrt(variance)) if variance > 0 else 0.0


class Trial(NamedTuple):
    """How entities scored: their highest grid levels; of the ten highest (owner, queries by then, sentence)."""

    owners: NDArray[np.int64]
    suprema: NDArray[np.int64]
    oddest: tuple[tuple[int, int, str], ...]


def try_clients(judged: Measured, law: Law, watch: Watch | None = None) -> Trial:
    """Scores clients with the finished law, in the kernel that production runs."""
    levels, ordinal, owner = _levels(judged, law, watch)
    owners = np.unique(judged.owner)
    highest = np.zeros(len(owners), np.int64)
    np.maximum.at(highest, owner, levels)
    odd = []
    for who in np.argsort(-highest, kind="stable")[:10]:
        mine = np.flatnonzero(owner == who)
        peak = int(mine[np.argmax(levels[mine])])
        (leaked,) = exposed(judged.leaked.told[peak : peak + 1])
        text = _why(judged.taken(mine), int(ordinal[peak]), law, leaked)
        odd.append((int(owners[who]), int(ordinal[peak]), text))
    return Trial(owners, highest, tuple(odd))


def _why(queries: Measured, until: int, law: Law, leaked: Exposed | None) -> str:
    """The strongest reason against one client after its first `until` queries."""
    signals = queries.kit.signals
    counts = np.zeros((len(signals), BINS), np.uint16)
    for f, bins in enumerate(bins_of(queries, law.edges)[:until].T):
        if law.active[f]:
            counts[f] = np.bincount(bins[bins != kernels.NO_BIN], minlength=BINS)
    row = np.zeros(1, client_row(queries.kit))
    row["counts"][0, 0] = counts
    nothing = np.full((1, len(signals)), kernels.NO_BIN, np.uint8)
    one = np.zeros(1, np.int64)
    nats = suprema_of(law, one, one + 1, one, nothing, row)[0].max(0)
    (shares,), (tails,) = telling(counts[None], law)
    odds = np.nan_to_num(oddness(nats, law), nan=-np.inf).max(1)
    strongest = int(np.argmax(odds))
    if leaked is not None and max(leaked.odds) > 100 * odds[strongest]:
        return leaks(leaked)[0].text
    return sentence(signals[strongest], int(shares[strongest]), int(tails[strongest]))


def oddness(nats: NDArray[np.float64], law: Law) -> NDArray[np.float64]:
    """polya.standard for whole arrays: evidence (F, CHANNELS) on the scale of the score."""
    below = 0.5 * (nats - law.centre) / (law.knee - law.centre)
    beyond = 0.5 + np.log1p(law.shape * np.maximum(nats - law.knee, 0.0) / law.spread) / (law.shape * polya.TWO_TENS)
    return np.where(nats <= law.knee, below, beyond)


def looks_at(measured: Measured, law: Law) -> list[tuple[int, int, NDArray[np.float64]]]:
    """Of each look (detector.learned.looks): the query's place, how many queries of its client, and the vector."""
    found: list[tuple[int, int, NDArray[np.float64]]] = []
    for start, piece in _weighed(measured, law, lambda n, clock, vector: 0.0):
        found += [(start + look.place, look.n, look.vector) for look in piece.looks]
    return found


def _levels(
    judged: Measured, law: Law, watch: Watch | None = None
) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.int64]]:
    """Each query's grid level, its number among its client's, and its client's place among the clients."""
    owners, owner = np.unique(judged.owner, return_inverse=True)
    pieces = [piece.levels for _, piece in _weighed(judged, law, watch)]
    levels = np.concatenate([np.empty(0, np.int64), *pieces]).astype(np.int64)
    order = np.argsort(owner, kind="stable")
    starts = np.searchsorted(owner[order], np.arange(len(owners)))
    ordinal = np.empty(len(owner), np.int64)
    ordinal[order] = np.arange(len(owner)) - starts[owner[order]] + 1
    return levels, ordinal, owner


def _weighed(measured: Measured, law: Law, watch: Watch | None) -> Iterator[tuple[int, Weights]]:
    """The queries of all clients from empty rows, as production weighs them, with the place where each piece starts."""
    owners, owner = np.unique(measured.owner, return_inverse=True)
    rows, lines = np.zeros(len(owners), client_row(measured.kit)), sums.lines(len(measured.kit.signals))
    for start in range(0, len(owner), PIECE):
        s = slice(start, start + PIECE)
        columns = owner[s], measured.clock[s], measured.values[s], measured.stages[s], measured.leaked.part(s)
        yield start, weighed(*columns, law, FOREVER_US, rows, lines, watch)
