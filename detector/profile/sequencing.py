"""The sequence model that `fit` teaches: sweeps made of the learn set's own exchanges against the clients themselves.

Half of the learn set stands in for training data (`referees`), and a signal that compares with those knows their
queries: of them and of what is made of theirs, such signals are out of sight.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import Any, NamedTuple

import msgspec
import numpy as np
from numpy.typing import NDArray
from threadpoolctl import threadpool_limits

from detector import columns
from detector.columns import Reader
from detector.evidence import law as laws
from detector.evidence import sequence
from detector.evidence.kernels import NO_BIN
from detector.evidence.law import REACHES, Law
from detector.evidence.polya import doubled_of
from detector.learned import number_sweeps, row_sweeps, sequences, sweeps
from detector.learned.imagined import Imagined
from detector.learned.sequences import Stood, Taught
from detector.learned.sweeps import People, Places
from detector.logs.contract import Decode
from detector.profile import answered, honest, learn, scaling
from detector.profile.artefact import Swept, client_row
from detector.profile.learn import Measured, Nulls
from detector.profile.projection import Projection
from detector.query import Batch, Query
from detector.text.form import FIRST
from features import NUMBERS, TABLE
from features.contract import Learned, nothing_to_learn
from features.kit import Kit

FEWEST_CLIENTS = 60  # of the learn set, to teach it on
APART_US = 60_000_000  # between two queries of a sweep: no signal of time is taught
UNTAUGHT = ("timing", "conduct")  # families that tell nothing of what was asked
PART = 4_096  # queries that are read at once
LEAST_SPREAD = 1e-9  # of a column of forms
RARE = 1.0  # of the score: what one honest client in a hundred shows
# Of the score: its word may spend ten times the share of false alarms that a channel of plain evidence may. Of numbers
# plain evidence finds most by itself, and may not be made late: five times (docs/mathematics.md).
LEADS = {NUMBERS.name: 0.35}
USUAL_LEAD = 0.5


class Model(NamedTuple):
    """weights, and how each made kind is seen by a model that was not taught on it."""

    weights: Taught
    swept: tuple[Swept, ...]


class Teachers(NamedTuple):
    """One half of the learn set: its queries in order with their client's index, as measured, and whether reference
    data were made of them.
    """

    queries: Sequence[Query]
    owner: NDArray[np.int64]
    measured: Measured
    referees: bool


class Known(NamedTuple):
    """How queries are read and measured by then. worded: prompts can be reworded, see sweeps.of_people. copy: of the
    model, to imagine its answers to made numbers.
    """

    kit: Kit
    reader: Reader
    projection: Projection
    learned: Learned
    found: Nulls
    worded: bool
    copy: Imagined | None = None


class _Made(NamedTuple):
    """Sweeps as measured: kinds and shares of each, and the owner (its number) and bins of each of its queries."""

    kinds: NDArray[np.str_]
    shares: NDArray[np.float64]
    owner: NDArray[np.int64]
    bins: NDArray[np.uint8]


def learn_sequences(
    halves: Sequence[Teachers],
    scalers: Measured,
    known: Known,
    seed: int,
) -> tuple[Model | None, str]:
    """The model, or why there is none."""
    clients = sum(len(np.unique(half.measured.owner)) for half in halves)
    if clients < FEWEST_CLIENTS:
        return None, f"no sequence model: {clients} clients are too few to teach it on, it takes {FEWEST_CLIENTS}"
    able = [half for half in halves if len(half.queries) >= sweeps.FEWEST]
    if not able:
        return None, f"no sequence model: no half of the learn set asked {sweeps.FEWEST} times"
    made = _together([_made(half, known, seed + i) for i, half in enumerate(able)])
    bins = [_bins(half.measured, half.referees, known) for half in halves]
    honest = sequences.at_looks(np.concatenate([half.measured.owner for half in halves]), np.concatenate(bins))
    stood = sequences.at_looks(made.owner, made.bins)
    weights = sequences.taught(honest, stood, known.found.shares)
    if weights is None:
        return None, f"no sequence model: too few clients asked {sequences.LOOKS[0]} times"
    return Model(weights, _left_out(honest, stood, made, scalers, known)), ""


def half_of(
    read: honest.Read,
    decode: Decode,
    survey: honest.Survey,
    measured: Measured,
    chosen: NDArray[np.bool_],
    *,
    referees: bool,
) -> Teachers:
    """The chosen clients (clients,) with some queries of each, from the log once more, client by client."""
    found = [query for mine in honest.some_of_each(read, decode, survey, chosen) for query in mine]
    owner = np.array([survey.index[query.client or ""] for query in found], np.int64)
    order = np.argsort(owner, kind="stable")
    return Teachers([found[i] for i in order], owner[order], measured.of(chosen), referees)


def speaking(law: Law, model: Taught, found: Nulls, judged: Measured) -> Law:
    """The law with the model, on the scale that honest clients set."""
    return laws.make(*law[:-3], model.sequence, heard(model, found, judged))


def heard(model: Taught, found: Nulls, judged: Measured) -> NDArray[np.float64]:
    """Law.heard of a model: its bias, the scale of what it says of honest clients, as of a channel, and its lead."""
    _, owner = np.unique(judged.owner, return_inverse=True)
    logits, ordinals = sequences.paths(owner, learn.bins_of(judged, found.edges), model, found.shares)
    highest = np.full((int(owner.max(initial=-1)) + 1, REACHES), -np.inf)
    spoke = ordinals >= sequence.FIRST
    reaches = np.minimum(np.log2(ordinals[spoke]).astype(np.int64), REACHES - 1)
    np.maximum.at(highest, (owner[spoke], reaches), logits[spoke])
    lead = LEADS.get(judged.kit.name, USUAL_LEAD)
    return np.array([model.bias, *scaling.scale_of(highest), lead])


def _left_out(honest: Stood, stood: Stood, made: _Made, scalers: Measured, known: Known) -> tuple[Swept, ...]:
    """Each kind as a model sees it that was taught on all others, worst first."""
    swept = []
    shares = known.found.shares
    for kind in dict.fromkeys(made.kinds.tolist()):
        weights = sequences.taught(honest, stood.of(made.kinds[stood.owner] != kind), shares)
        if weights is None:
            continue
        table = sequences.table_of(weights, shares, heard(weights, known.found, scalers)[1:].tolist())
        for share in np.unique(made.shares[made.kinds == kind])[::-1].tolist():
            which = np.flatnonzero((made.kinds == kind) & (made.shares == share))
            seen = [_seen_after(made.bins[made.owner == i], weights, shares, table) for i in which.tolist()]
            told = [n for n in seen if n]
            median = float(np.median(told)) if told else None
            swept.append(Swept(kind, share, len(seen), len(told) / len(seen), median))
    return tuple(sorted(swept, key=lambda one: (one.seen, -(one.queries or np.inf))))


def _seen_after(bins: NDArray[np.uint8], model: Taught, shares: NDArray[np.float64], table: NDArray[Any]) -> int:
    """How many queries of a sweep until it is as odd as RARE; 0 where it never is."""
    logits, ordinals = sequences.paths(np.zeros(len(bins), np.int64), bins, model, shares)
    for n, logit in zip(ordinals.tolist(), logits.tolist(), strict=True):
        if n >= sequence.FIRST and sequence.rarity_of(logit, doubled_of(n), table[0]) >= RARE:
            return int(n)
    return 0


def _made(half: Teachers, known: Known, seed: int) -> _Made:
    found, asked = _sweeps(half, known, seed)
    lengths = [len(places) for places in found.places]
    owner = np.repeat(np.arange(len(lengths)), lengths)
    taken = asked.taken(np.concatenate(found.places))
    ordinal = np.concatenate([np.arange(length) for length in lengths])
    batch = dataclasses.replace(taken, slots=owner, at=ordinal * APART_US)
    rows = np.zeros(len(lengths), client_row(known.kit))
    rows["salt"] = np.random.default_rng(seed).integers(1, 2**62, len(rows)).astype(np.uint64)
    values, stages = known.kit.measure(batch, rows, known.learned)
    measured = half.measured.taken(np.empty(0, np.int64))._replace(values=values, stages=stages)
    return _Made(np.array(found.kinds), np.array(found.shares), owner, _bins(measured, half.referees, known))


def _sweeps(half: Teachers, known: Known, seed: int) -> tuple[Places, Batch]:
    """Sweeps of the half's queries, and what they ask."""
    if known.kit is NUMBERS:
        natural, owner = answered.natural(half.queries, half.owner, known.reader, known.projection.width)
        answers = answered.by_copy(half.queries, natural, known.copy)
        with threadpool_limits(1):
            places, asked = number_sweeps.of_numbers(natural, owner, answers, sweeps.EACH, seed)
        nothing = np.zeros((len(asked.inputs), 0))
        return places, known.projection.of_nobody(asked.inputs, nothing, asked.labels, asked.top)
    if known.kit is TABLE:
        rows = [i for i, query in enumerate(half.queries) if isinstance(query.input, dict)]
        found = row_sweeps.of_rows([half.queries[i] for i in rows], half.owner[rows], sweeps.EACH, seed)
    else:
        found = sweeps.of_people(_people(half, known), sweeps.EACH, seed, worded=known.worded)
    return Places(*found[:3]), _read(found.queries, known)


def _together(parts: Sequence[_Made]) -> _Made:
    """All sweeps, numbered through."""
    firsts = np.cumsum([0, *(len(part.kinds) for part in parts)])
    owners = [part.owner + first for part, first in zip(parts, firsts[:-1], strict=True)]
    return _Made(
        np.concatenate([part.kinds for part in parts]),
        np.concatenate([part.shares for part in parts]),
        np.concatenate(owners),
        np.concatenate([part.bins for part in parts]),
    )


def _bins(measured: Measured, referees: bool, known: Known) -> NDArray[np.uint8]:
    """The bins of what the model is taught on; all else is absent, and weighs nothing."""
    bins = learn.bins_of(measured, known.found.edges)
    start = 0
    for feature in known.kit.features:
        of = slice(start, start + len(feature.signals))
        compares = feature.learn is not nothing_to_learn
        if feature.name in UNTAUGHT or (referees and compares):
            bins[:, of] = NO_BIN
        start = of.stop
    bins[:, ~known.found.active] = NO_BIN
    return bins


def _people(half: Teachers, known: Known) -> People:
    """The half's exchanges, with the meaning and the form of the prompt alone."""
    alone = [msgspec.structs.replace(query, text="") for query in half.queries]
    read = known.reader.read(alone, known.projection.width)
    fit = np.setdiff1d(np.arange(len(half.queries)), [one.place for one in read.unfit])
    form = read.form[fit, :FIRST] / (read.form[fit, :FIRST].std(0) + LEAST_SPREAD)
    return People([half.queries[i] for i in fit], half.owner[fit], read.inputs[fit], form)


def _read(queries: Sequence[Query], known: Known) -> Batch:
    """The queries as columns, nobody's yet."""
    parts = []
    for start in range(0, len(queries), PART):
        some = queries[start : start + PART]
        read = known.reader.read(some, known.projection.width)
        answers = columns.labels_of(some), columns.top_of(some)
        parts.append(known.projection.of_nobody(read.inputs, read.form, *answers))
    return Batch(*(np.concatenate([getattr(part, name) for part in parts]) for name in Batch.__slots__))
