"""Clients and groups, scored by a law in the kernels that production runs: how high they came, and why."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from detector.entities import BINS
from detector.evidence import kernels, polya, sums, suprema
from detector.evidence.law import CHANNELS, REACHES, Law
from detector.evidence.telling import telling
from detector.exposure.exposed import exposed
from detector.levels import Watch, Weights, weighed
from detector.profile.artefact import client_row
from detector.profile.learn import FOREVER_US, Measured, bins_of
from detector.reasons import leaks, sentence
from detector.tape import Exposed

PIECE = 65_536


class Trial(NamedTuple):
    """How entities scored: their highest grid levels; of the ten highest (owner, queries by then, sentence)."""

    owners: NDArray[np.int64]
    suprema: NDArray[np.int64]
    oddest: tuple[tuple[int, int, str], ...]


def try_clients(judged: Measured, law: Law, watch: Watch | None = None) -> Trial:
    """Scores clients with the finished law, in the kernel that production runs."""
    levels, ordinal, owner = levels_of(judged, law, watch)
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


def levels_of(
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
