"""What the joint signal is taught: honest queries of some clients of the learn set, and blends that are made of them.

Those clients' own values of the signal are put out of sight afterwards: trees find honest what they were taught on, and
an honest law that was fitted on it would promise too much. A few more clients teach the copy that imagines the answers
to what was made.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import partial
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from detector.columns import Reader
from detector.learned import made, made_rows
from detector.learned.imagined import Imagined
from detector.logs.contract import Decode
from detector.profile import honest, sets
from detector.profile.artefact import Seen
from detector.profile.learn import Measured
from detector.profile.projection import Projection
from detector.profile.table import Named, Table
from detector.query import ABSENT, NO_LABEL, Batch
from features.contract import Learned
from features.kit import Kit

SIGNAL = "joint.blend"
FEWEST = 60  # clients of the learn set: below, too few would be left to learn the honest law from
IMAGINES, TEACHES = 6, 3  # one client in so many teaches the copy, one in so many the trees
MADE = 12_000  # blends that teach: about as many as honest queries do
TRIED = 3_000
HONEST_TAIL = 0.99


class Lessons(NamedTuple):
    """honest, made: what teaches; tried: made queries by kind, of honest queries that did not teach; clients (clients,)
    bool: whose queries taught. copy: of the model; None where the log has no probabilities.
    """

    honest: Batch
    made: Batch
    tried: Mapping[str, Batch]
    clients: NDArray[np.bool_]
    copy: Imagined | None


def of_log(
    read: honest.Read,
    decode: Decode,
    survey: honest.Survey,
    projection: Projection,
    reader: Reader,
    learners: NDArray[np.bool_],
    seed: int,
) -> Lessons | None:
    """From the log once more, where there are enough clients among the `learners` (clients,) bool."""
    imagining, teaching = drawn(survey.clients, learners, seed)
    if not teaching.any():
        return None
    raw = honest.raw_of(read, decode, survey, imagining | teaching, projection.width, reader)
    return prepared(raw, imagining, teaching, projection, seed, reader.table if isinstance(reader, Named) else None)


def drawn(clients: list[str], learners: NDArray[np.bool_], seed: int) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
    """(clients,) each: those of the `learners` that teach the copy, and those that teach the trees; none where few."""
    imagining, teaching = np.zeros(len(clients), np.bool_), np.zeros(len(clients), np.bool_)
    order = sorted(np.flatnonzero(learners), key=lambda i: sets.keyed(clients[i], seed + 2))
    if len(order) >= FEWEST:
        first, second = len(order) // IMAGINES, len(order) // TEACHES
        imagining[order[:first]] = True
        teaching[order[first : first + second]] = True
    return imagining, teaching


def prepared(
    raw: honest.Raw,
    imagining: NDArray[np.bool_],
    teaching: NDArray[np.bool_],
    projection: Projection,
    seed: int,
    table: Table | None = None,
) -> Lessons | None:
    """From raw queries of both kinds of clients; None where one of them asked nothing that could be read."""
    first, second = np.flatnonzero(imagining[raw.owner]), np.flatnonzero(teaching[raw.owner])
    if min(len(first), len(second)) < honest.FEWEST_ASKED:
        return None
    copy = _copy(raw, first, seed)
    making = partial(_made, raw, table)
    blends = next(asked for kind, asked in making(second, MADE, seed) if kind == made.BLEND)
    tried = {kind: _batch(asked, copy, projection) for kind, asked in making(first, TRIED, seed + 1)}
    usual = _projected(Asked(raw.inputs[second], raw.form[second]), raw.top[second], projection)
    return Lessons(usual, _batch(blends, copy, projection), tried, imagining | teaching, copy)


class Asked(NamedTuple):
    """inputs (n, d), form (n, k): see columns.Read."""

    inputs: NDArray[np.float64]
    form: NDArray[np.float64]


def _made(
    raw: honest.Raw, table: Table | None, rows: NDArray[np.int64], n: int, seed: int
) -> Iterator[tuple[str, Asked]]:
    if table is None:
        for kind, inputs in made.of_honest(raw.inputs[rows], raw.owner[rows], n, seed):
            yield kind, Asked(inputs, np.zeros((n, 0)))
        return
    for kind, found in made_rows.of_honest([raw.rows[i] for i in rows], raw.owner[rows], n, seed):
        yield kind, Asked(*table.read(found))


def _copy(raw: honest.Raw, rows: NDArray[np.int64], seed: int) -> Imagined | None:
    """None where the log has no probabilities: then the margin is absent in what is honest too."""
    answered = rows[np.isfinite(raw.probabilities[rows]).all(1)]
    if raw.probabilities.shape[1] < 2 or len(answered) < honest.FEWEST_ASKED:
        return None
    return Imagined(raw.inputs[answered], raw.probabilities[answered], seed)


def _batch(asked: Asked, copy: Imagined | None, projection: Projection) -> Batch:
    top = np.full((len(asked.inputs), 2), ABSENT) if copy is None else copy.top(asked.inputs)
    return _projected(asked, top, projection)


def _projected(asked: Asked, top: NDArray[np.float64], projection: Projection) -> Batch:
    return projection.of_nobody(asked.inputs, asked.form, np.full(len(asked.inputs), NO_LABEL, np.int32), top)


def out_of_sight(measured: Measured, lessons: Lessons | None) -> Measured:
    """The same, the signal ABSENT in the queries of clients that taught it."""
    if lessons is None:
        return measured
    values = measured.values.copy()
    values[lessons.clients[measured.owner], measured.kit.names.index(SIGNAL)] = ABSENT
    return measured._replace(values=values)


def seen(kit: Kit, learned: Learned, lessons: Lessons | None, judges: Measured) -> tuple[Seen, ...]:
    """How well each made kind is told from fresh honest queries (`judges`, each client weighing alike)."""
    if lessons is None:
        return ()
    place = kit.names.index(SIGNAL)
    feature = next(feature for feature in kit.features if any(s.name == SIGNAL for s in feature.signals))
    values, owner = judges.values[:, place], judges.owner
    present = ~np.isnan(values)
    if not present.any():
        return ()
    _, client, volume = np.unique(owner[present], return_inverse=True, return_counts=True)
    order = np.argsort(values[present], kind="stable")
    weight = (1.0 / volume[client])[order]
    tail = values[present][order][np.searchsorted(np.cumsum(weight), HONEST_TAIL * weight.sum())]
    found = []
    for kind, batch in lessons.tried.items():
        told, stages = np.empty((len(batch), 1)), np.zeros((len(batch), 1), np.int8)
        feature.measure(batch, np.zeros(1), learned, told, stages)
        found.append(Seen(kind, float((told > tail).mean()), kind == made.BLEND))
    return tuple(found)
