"""The scale of each channel, and the boundary that keeps false alarms flat in volume: what the scale set teaches."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from detector.errors import ProfileError
from detector.evidence import law as laws
from detector.evidence import polya
from detector.evidence.law import CHANNELS, DILUTION_BET, REACHES, TURN, Law
from detector.profile import calibration
from detector.profile.artefact import client_row
from detector.profile.learn import Measured, Nulls, bins_of
from detector.profile.trying import levels_of, suprema_of
from detector.tape import TOP_LEVEL, score_of
from features.contract import Signal

SLOPES = np.arange(26) / 50  # of the score, a doubling
USUAL_SLOPE, SLOPE_VARIES = 0.2, 0.1  # what populations ask for: mean and deviation, from the development half of MNIST
FIRST_RISING = 5  # the reach of polya.FLAT_UNTIL queries
DOUBLED = np.maximum(np.arange(REACHES) - FIRST_RISING, 0)
FEWEST_REACHING = 20  # entities
FOLDS = 4  # of the clients that set the scale
OUT_OF_REACH = 1e12  # nats, of a channel that is not used
CORROBORATES = 1.0  # of the score: what one honest client in a hundred shows


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


def silenced(law: Law, signals: Any, *channels: int) -> Law:
    """The law without these channels of some signals (an index of F). They are no more than out of reach: what they
    found is still told.
    """
    centre, knee = law.centre.copy(), law.knee.copy()
    for channel in channels:
        centre[signals, channel], knee[signals, channel] = OUT_OF_REACH, 2 * OUT_OF_REACH
    return law._replace(centre=centre, knee=knee)


def _quiet(law: Law, habits: NDArray[np.bool_]) -> Law:
    """On habits nothing is bet but that the client is only like itself (Signal.habit)."""
    return silenced(law, habits, DILUTION_BET, TURN)


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
        taken = judged.taken(rows).unexposed()
        levels, ordinal, _ = levels_of(taken, others)
        found.append((score_at[levels], ordinal, np.searchsorted(clients, taken.owner)))
    scores, ordinals, owners = (np.concatenate(columns) for columns in zip(*found, strict=True))
    return scores, ordinals, owners


def unscaled(found: Nulls, active: NDArray[np.bool_], signals: Sequence[Signal]) -> Law:
    flat, ones = np.zeros((len(active), CHANNELS)), np.ones((len(active), CHANNELS))
    most = np.array([np.inf if signal.alone else CORROBORATES for signal in signals])
    honest = found.edges, found.weight, found.alpha, found.shares
    return laws.make(active, *honest, flat, flat, ones, ones, ones, most, 0.0)


def with_scale(law: Law, highest: NDArray[np.float64]) -> Law:
    """The law with the scale of each channel, from honest suprema (entities, REACHES, F, CHANNELS).

    Evidence of what depends on the queries before rises with their number even when all is honest. What rises is taken
    off that channel alone, so that it does not cost the others.
    """
    scale = np.empty((5, *highest.shape[2:]))
    for f, c in np.ndindex(highest.shape[2:]):
        scale[:, f, c] = scale_of(highest[:, :, f, c])
    return law._replace(rise=scale[0], centre=scale[1], knee=scale[2], spread=scale[3], shape=scale[4])


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
