"""What the evidence kernel knows of the honest: one value a level, plain arrays only."""

from __future__ import annotations

from math import lgamma
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.special import gammaln

from detector.entities import BINS

CHANNELS = 3
KT, DILUTION_BET, TURN = range(CHANNELS)  # see polya.py
DILUTION = np.array([0.01, 0.03, 0.1, 0.4])  # shares that the dilution bet is spread over
RARE = 0.002  # of honest queries: bins that hold less are those that odd queries fall into
KINDS, BETS = 6, len(DILUTION)  # kinds of honest clients in a law; numbers that kernels know when they are compiled
TABLE = 512  # counts whose log-gamma ratios are looked up; larger ones are computed
REACHES = 16  # doublings of an entity's queries that are told apart where honest evidence is looked at
EVEN = np.arange(1, BINS) / BINS  # edges of a signal whose law without any order is known (Signal.even)
HALF, CERTAIN = 0.5, 512.0  # counts that the alternative begins with: it knows nothing; it expects even bins
BELIEF = 10.0  # counts by which the sequence model believes a client to be like the others (sequence.py): K
BIAS, RISE, CENTRE, KNEE, SPREAD, SHAPE, LEAD = range(7)  # of Law.heard
GRAIN = 2.0**-20  # nats: what is summed over bins is a multiple, so that sums are exact in any order


class Law(NamedTuple):
    """F signals, BINS bins, S stages, J = KINDS kinds of honest clients.

    active (F,) bool       the log carries the signal and it varies
    edges (F, S, BINS-1)   see nulls.edges
    weight (F, J), alpha (F, J, BINS)   the honest law: a mixture of J Pólya laws
    shares (F, BINS)       honest share of each bin, clients weighing alike: p0
    rise (F, CHANNELS) nats that honest evidence rises by with each doubling of n from 32 on: subtracted first
    centre, knee, spread, shape (F, CHANNELS)   a channel's supremum on honest clients: median, 90th percentile, and
                           the generalised Pareto law of what lies beyond it (scale and shape)
    most (F,)              a signal that may not accuse by itself counts for no more than this; else infinite
    slope                  of the boundary subtracted from the score, a doubling of n from 32 on; never negative
    sequence (F, BINS)     weights of the sequence model; all 0 where there is none
    heard (7,)             its bias, rise and scale of what it says, as of a channel, and what its word counts more
    tables (1,)            what follows from these and is looked up at each query, see `_tables`
    """

    active: NDArray[np.bool_]
    edges: NDArray[np.float64]
    weight: NDArray[np.float64]
    alpha: NDArray[np.float64]
    shares: NDArray[np.float64]
    rise: NDArray[np.float64]
    centre: NDArray[np.float64]
    knee: NDArray[np.float64]
    spread: NDArray[np.float64]
    shape: NDArray[np.float64]
    most: NDArray[np.float64]
    slope: float
    sequence: NDArray[np.float64]
    heard: NDArray[np.float64]
    tables: NDArray[Any]


def make(
    active: NDArray[np.bool_],
    edges: NDArray[np.float64],
    weight: NDArray[np.float64],
    alpha: NDArray[np.float64],
    shares: NDArray[np.float64],
    rise: NDArray[np.float64],
    centre: NDArray[np.float64],
    knee: NDArray[np.float64],
    spread: NDArray[np.float64],
    shape: NDArray[np.float64],
    most: NDArray[np.float64],
    slope: float | NDArray[np.float64],
    sequence: NDArray[np.float64] | None = None,
    heard: NDArray[np.float64] | None = None,
) -> Law:
    """Fills the tables: everything that does not have to be kept in the profile. Without `sequence` and `heard` there
    is no sequence model.
    """
    assert weight.shape[1] == KINDS
    said = np.zeros(shares.shape) if sequence is None else sequence
    scale = np.zeros(LEAD + 1) if heard is None else heard
    tables = _tables(active, edges, weight, alpha, shares, said, scale)
    honest = active, edges, weight, alpha, shares
    return Law(*honest, rise, centre, knee, spread, shape, most, float(slope), said, scale, tables)


def _tables(
    active: NDArray[np.bool_],
    edges: NDArray[np.float64],
    weight: NDArray[np.float64],
    alpha: NDArray[np.float64],
    shares: NDArray[np.float64],
    sequence: NDArray[np.float64],
    heard: NDArray[np.float64],
) -> NDArray[Any]:
    """One record, since numba counts references to arrays but not to the fields of a record.

    log_weight (F, J), alpha (F, BINS, J), alpha_sum (F, J)   of the honest law
    prior (F,)         counts that the alternative begins with in each bin: HALF (Krichevsky-Trofimov); CERTAIN where
                       the signal is EVEN, so that it is the uniform law, nearly
    prior_sum (F,)     prior times the bins that honest values can fall into: the K/2 of Krichevsky-Trofimov
    null, null_sum     log rising factorials of alpha and alpha_sum: (F, BINS, TABLE, J), (TABLE, F, J)
    steps              what one more query adds to null, in GRAIN: (F, BINS, TABLE - 1, J) int32, half the room
    kt, kt_sum         likewise of prior and prior_sum: (F, TABLE), (TABLE, F)
    Sums are looked up at much the same number of queries for all signals, and so lie together there.
    log_gamma, log_gamma_sum, log_gamma_prior, log_gamma_prior_sum   of these, for counts beyond the tables
    bet (F, BINS, E)   log(1 - eps + eps * u / p0) for each share eps, see `odd_shares` for u
    null, kt, bet, said and said_sum are multiples of GRAIN
    sequence, heard, sequence_sum (F,), believed (F, BINS), taught (F,), speaks   of the sequence model: its weights,
                       their sums, K p, which signals weigh anything, and whether there is one
    said, said_sum     what a count adds to its word: (F, BINS, TABLE), (TABLE, F)
    said_steps         what one more query adds to said, in GRAIN: (F, BINS, TABLE - 1) int32
    """
    n = np.arange(TABLE)
    by_bin, total = alpha.transpose(0, 2, 1), alpha.sum(2)
    with np.errstate(divide="ignore", invalid="ignore"):  # edges of a signal that is off are infinite
        reached = (np.diff(edges, axis=2).max(1) > 0).sum(1) + 2.0
        even = (edges == EVEN).all((1, 2))
        prior = np.where(even, CERTAIN, HALF)
        prior_sum = np.where(even, BINS, reached) * prior
        bet = np.log1p(DILUTION * ((odd_shares(shares) / shares)[:, :, None] - 1.0))
    null = grained(rising(by_bin[:, :, None, :], n[:, None]))
    found = {
        "log_weight": np.log(weight),
        "alpha": by_bin,
        "alpha_sum": total,
        "prior": prior,
        "prior_sum": prior_sum,
        "null": null,
        "null_sum": rising(total, n[:, None, None]),
        "steps": (np.diff(null, axis=2) / GRAIN).astype(np.int32),
        "kt": grained(rising(prior[:, None], n)),
        "kt_sum": rising(prior_sum, n[:, None]),
        "log_gamma": _log_gamma(by_bin),
        "log_gamma_sum": _log_gamma(total),
        "log_gamma_prior": _log_gamma(prior),
        "log_gamma_prior_sum": _log_gamma(prior_sum),
        "bet": grained(bet),
        "active": active.astype(np.uint8),
    }
    return _record(found | _of_sequence(sequence, heard, shares))


def sequence_table(
    sequence: NDArray[np.float64], heard: NDArray[np.float64], shares: NDArray[np.float64]
) -> NDArray[Any]:
    """What a sequence model is asked by, without a law: (1,), as in `_tables`."""
    return _record(_of_sequence(sequence, heard, shares))


def _of_sequence(
    sequence: NDArray[np.float64], heard: NDArray[np.float64], shares: NDArray[np.float64]
) -> dict[str, NDArray[Any]]:
    n, taught, total = np.arange(TABLE), (sequence != 0.0).any(1), sequence.sum(1)
    said = grained(sequence[:, :, None] * np.log1p(n / (BELIEF * shares)[:, :, None]))
    return {
        "sequence": sequence,
        "sequence_sum": total,
        "believed": BELIEF * shares,
        "heard": heard,
        "taught": taught.astype(np.uint8),
        "speaks": np.asarray(taught.any(), np.uint8),
        "said": said,
        "said_sum": grained(total * np.log1p(n / BELIEF)[:, None]),
        "said_steps": (np.diff(said, axis=2) / GRAIN).astype(np.int32),
    }


def _record(found: dict[str, NDArray[Any]]) -> NDArray[Any]:
    record = np.zeros(1, np.dtype([(name, array.dtype, array.shape) for name, array in found.items()], align=True))
    for name, array in found.items():
        record[name][0] = array
    return record


def odd_shares(shares: NDArray[np.float64]) -> NDArray[np.float64]:
    """u (F, BINS): where the odd queries among honest ones are expected, from the honest shares p0: evenly in the RARE
    bins. Spread over all bins, most of the bet would be on what honest clients do every day, and differ in.
    """
    rare = np.asarray(shares < RARE, np.float64)
    rare[rare.sum(1) == 0] = 1.0
    return np.asarray(rare / rare.sum(1, keepdims=True), np.float64)


def _log_gamma(base: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.array([lgamma(value) for value in base.flat]).reshape(base.shape)


def grained(nats: NDArray[np.float64]) -> NDArray[np.float64]:
    """To the nearest multiple of GRAIN."""
    return np.asarray(np.rint(nats / GRAIN) * GRAIN, np.float64)


def rising(base: NDArray[np.float64], n: NDArray[np.int64]) -> NDArray[np.float64]:
    """log of base (base + 1) ... (base + n - 1)."""
    return np.asarray(gammaln(base + n) - gammaln(base), np.float64)
