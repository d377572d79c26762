"""What `fit` learns for exposure: the audit, the student's coordinates, the honest laws, and how honest clients learn.

Teachers are the clients of the learn set: their queries with the victim's answers are the audit, since that is what a
copy would be judged by. The scale set says how much honest clients have learned by each look.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import eigh

from detector.entities import client_dtype
from detector.errors import ProfileError
from detector.exposure import student
from detector.exposure.known import AGREEMENT, ANSWERS, CLONE, LOOKS, MEASURES, Known, blank_scales, unlabelled
from detector.profile import calibration, nulls
from detector.profile.artefact import SignalOff
from detector.query import UNREAD, Batch
from features.cells import cells_of
from features.contract import DIMS, LABELS, place_of

AUDIT = 512  # queries
CLONES = 5  # students whose agreement is averaged
FEW = 30  # clients that a look needs for a scale of its own, and labels that the log needs to be audited
RIDGE = 1e-3  # of the mean spread, where some direction does not vary within an answer
# Nothing else speaks against a harvester, and a bet on answers takes long to win: so it has a head start, which costs
# the other channels little (docs/mathematics.md, "Exposure").
WEIGHT = np.array([1.0, 1.4, 1.0])
HIDES = "harvesters of natural queries"
GRAIN = 0.1  # `calibration.standard` has a least spread in nats, where u has none


def learn(batch: Batch, teachers: NDArray[np.bool_], centres: NDArray[np.int16], seed: int) -> Known:
    """From the queries of the teachers (clients,) bool; each client weighs alike. Without scales: see `scaled`.
    centres: of the cells (features.cells).

    Raises ProfileError when no teacher asked anything that could be read.
    """
    read = np.flatnonzero((batch.odd != UNREAD) & teachers[batch.slots])
    if not len(read):
        raise ProfileError("too few clients in the log: none is left to learn from")
    x, owner = batch.x[read], np.unique(batch.slots[read], return_inverse=True)[1]
    places = np.array([place_of(label) for label in batch.labels[read]], np.int64)
    weight = 1.0 / np.bincount(owner)[owner]
    visited = _per_client(owner, cells_of(x, centres).astype(np.int64), centres.shape[1])
    labelled = np.flatnonzero(places >= 0)
    if len(np.unique(places[labelled])) < 2 or len(labelled) < FEW:
        of_answers = unlabelled(DIMS)
    else:
        rng = np.random.default_rng(seed)
        of_answers = _answers(x[labelled], places[labelled], owner[labelled], weight[labelled], rng)
    known = Known(
        centres=centres,
        mass=_shares(visited),
        cell_alpha=nulls.fit_single(visited),
        **of_answers,
        **blank_scales(),
        chance=0.0,
        clone=1.0,
    )
    if not known.labelled:
        return known
    chance = float(np.bincount(known.audit_places).max() / len(known.audit_places))
    return known._replace(chance=chance, clone=_clone(known, batch.taken(read[labelled]), weight[labelled], seed))


def _answers(
    x: NDArray[np.int16],
    places: NDArray[np.int64],
    owner: NDArray[np.int64],
    weight: NDArray[np.float64],
    rng: np.random.Generator,
) -> dict[str, NDArray[Any]]:
    """The student's part of `Known`: Fisher's coordinates, and the audit in them."""
    heard = _per_client(owner, places, LABELS)
    shares = _shares(heard)
    even = np.where(heard.any(0), 1.0, shares)
    kinds = np.unique(places)
    points = x.astype(np.float64)
    mean = np.average(points, axis=0, weights=weight)
    centres = {c: np.average(points[places == c], axis=0, weights=weight[places == c]) for c in kinds.tolist()}
    apart = points - np.array([centres[c] for c in places.tolist()])
    within = (apart * weight[:, None]).T @ apart / weight.sum()
    within += (RIDGE * np.trace(within) / DIMS + 1e-9) * np.eye(DIMS)
    offsets = np.array([centres[c] - mean for c in kinds.tolist()])
    between = (offsets * shares[kinds, None]).T @ offsets
    spread, basis = eigh(between, within)
    audit = rng.choice(len(x), min(AUDIT, len(x)), replace=False, p=weight / weight.sum())
    return {
        "answer_alpha": nulls.fit_single(heard),
        "answer_shares": np.stack([shares, even / even.sum()]),
        "mean": mean,
        "basis": np.ascontiguousarray(basis),
        "between": np.maximum(spread, 1e-6),
        "audit": np.ascontiguousarray(((points[audit] - mean) @ basis).T),
        "audit_places": places[audit].astype(np.uint8),
        "places": kinds,
    }


def _per_client(owner: NDArray[np.int64], value: NDArray[np.int64], width: int) -> NDArray[np.int64]:
    counts = np.zeros((int(owner.max(initial=-1)) + 1, width), np.int64)
    np.add.at(counts, (owner, value), 1)
    return counts


def _shares(counts: NDArray[np.int64]) -> NDArray[np.float64]:
    """Of each value, clients weighing alike; never 0."""
    asked = counts[counts.sum(1) > 0]
    shares = (asked / asked.sum(1, keepdims=True)).mean(0) + 0.5 / max(int(counts.sum()), 1)
    return np.asarray(shares / shares.sum())


def _clone(known: Known, batch: Batch, weight: NDArray[np.float64], seed: int) -> float:
    """What students of CLONE queries, drawn from all teachers alike, know."""
    rng = np.random.default_rng(seed + 1)
    rows = np.zeros(CLONES, client_dtype(0, student.FIELDS))
    for number in range(CLONES):
        drawn = batch.taken(rng.choice(len(batch), CLONE, p=weight / weight.sum()))
        slots, room = np.full(CLONE, number), np.empty((CLONE, len(MEASURES) + 2))
        student.teach(slots, drawn.x, drawn.labels, drawn.odd, known, rows, room)
    points, best = student.room(known)
    return float(np.mean([student.exam(row, known, points, best)[1] for row in rows]))


def off(known: Known) -> tuple[SignalOff, ...]:
    """What is not known of exposure where the log has no labels."""
    without = (AGREEMENT, ANSWERS) if not known.labelled else ()
    return tuple(SignalOff(MEASURES[m], "answers carry no label, or all the same", HIDES) for m in without)


def scaled(known: Known, owner: NDArray[np.int64], found: NDArray[np.float64]) -> Known:
    """With the scales of the scale set: owner (n,), and what `student.teach` found of each query (n, M + 2).

    Bets are nats, which compare at all looks. Agreement rises with the number of queries, so it is judged against
    honest clients at the same look, and up to the last that enough of them came to.
    """
    looked = np.flatnonzero(~np.isnan(found[:, -1]))
    owner, look, found = owner[looked], found[looked, -1].astype(np.int64), found[looked]
    reached = np.bincount(look, minlength=len(LOOKS))
    centre, spread = np.zeros_like(known.centre), np.ones_like(known.spread)
    centre[AGREEMENT] = np.nan
    for s in np.flatnonzero(reached >= FEW).tolist() if known.labelled else []:
        values = found[look == s, AGREEMENT]
        values = values[~np.isnan(values)]
        if len(values) >= FEW:
            centre[AGREEMENT, s], high = np.quantile(values, [0.5, 0.9])
            spread[AGREEMENT, s] = GRAIN * max(high - centre[AGREEMENT, s], 2.0 / len(known.audit_places))
    u = (found[:, : len(MEASURES)] - centre[:, look].T) / spread[:, look].T
    scale = np.array([calibration.standard(_highest(owner, u[:, m])) for m in range(len(MEASURES))])
    return known._replace(centre=centre, spread=spread, reached=reached, scale=scale, weight=WEIGHT)


def _highest(owner: NDArray[np.int64], u: NDArray[np.float64]) -> NDArray[np.float64]:
    """The largest u of each client that has any."""
    present = ~np.isnan(u)
    if not present.any():
        return np.empty(0)
    _, client = np.unique(owner[present], return_inverse=True)
    highest = np.full(int(client.max()) + 1, -np.inf)
    np.maximum.at(highest, client, u[present])
    return highest
