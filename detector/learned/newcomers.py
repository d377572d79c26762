"""Whether the promise still covers the clients that come: a test that may be looked at after every one of them.

The promise covers clients exchangeable with those that calibrated. Each newcomer, when its first horizon closed, gives
a supremum; among the calibration's and all newcomers' before it, its rank is uniform if they are exchangeable (a
smoothed conformal p-value, ties broken by a keyed hash). These p-values are independent, which those against the
calibration alone would not be: that one's sampling error would look like a change after enough newcomers.

Attackers among the newcomers are no change of the honest: only suprema strictly below the calibration's 90th percentile
count, on both sides. Given that percentile, what lies below is exchangeable still.

A bettor stakes one coin on "the p-values are not uniform" (the Simple Jumper of Vovk et al. 2021: bets 1 + e(p - 1/2),
e of -1, 0 or 1, of which a thousandth changes at each step). Its wealth is a martingale, so it ever reaches 100 with a
probability of at most 1% (Ville 1939). In quiet times a jumper loses by and by, and would sleep through a late change;
so the coin is dealt out: when the k-th jumper is down to a tenth of its stake, 1/(k(k+1)), the next one begins.

Honest scores below the tape's floor (0.75) are one level; that costs power, not truth.

Sources: Vovk, Gammerman, Shafer 2005, ch. 7; Vovk, Petej, Nouretdinov, Ahlberg, Carlsson, Gammerman 2021, "Retrain or
not retrain: conformal test martingales for change-point detection".
"""

from __future__ import annotations

from collections.abc import Iterable
from math import ceil

import msgspec
import numpy as np
from numpy.typing import NDArray

from detector.learned.teaching import keyed
from detector.tape import TOP_LEVEL

COUNTED = 0.9
SLOPES = (-1.0, 0.0, 1.0)
JUMP = 0.001
SPENT = 0.1
CROWD = 1_000.0  # a bet that doubles nobody's money while at most half score high; a tenth of honest newcomers do


class Newcomer(msgspec.Struct, frozen=True):
    """key; at: the log time at which its first horizon closed; supremum: the highest grid level of its score in it."""

    key: bytes
    at: int
    supremum: int


class Watch(msgspec.Struct):
    """What the test remembers. `newcomers` changes it in place.

    below: suprema count that are below this level; crowd: the bet that more than half of the newcomers are not below
    it. counts: of each such level, calibration and newcomers. seen: counted newcomers. purse, capital, stakes: see the
    module. limit: the wealth at which the promise is void. void_since: log time of that; higher: whether they score
    higher (or lower) than those that calibrated.
    """

    below: int
    counts: list[int]
    limit: float
    purse: float = 0.5
    capital: tuple[float, float, float] = (1 / 6, 1 / 6, 1 / 6)
    stakes: int = 1
    crowd: float = 1.0
    seen: int = 0
    void_since: int | None = None
    higher: bool | None = None

    @property
    def wealth(self) -> float:
        return self.purse + sum(self.capital)


def watch(suprema: NDArray[np.int64], false_void: float = 0.01) -> Watch:
    """Begins anew with the suprema (m,) that calibrated, grid levels. Do so at a takeover: later clients are compared
    with the new ones.
    """
    ordered = np.sort(suprema)
    below = int(ordered[min(ceil(COUNTED * len(ordered)), len(ordered) - 1)]) if len(ordered) else TOP_LEVEL + 1
    counts = np.bincount(ordered[ordered < below], minlength=below)
    return Watch(below, [int(count) for count in counts], 1.0 / false_void)


def newcomers(state: Watch, came: Iterable[Newcomer], secret: bytes) -> None:
    """The newcomers of one tick, in any order. Each client once, in the watch of the model that governed it
    (detector.learned.takeover), and none that calibrated, taught or set the scale of that model.
    """
    for one in sorted(came, key=lambda one: (one.at, one.key)):
        if state.void_since is not None:
            return
        if state.below > 0:  # else all that is honest lies below the tape's floor, and nobody is counted
            state.crowd = max(state.crowd, 1.0) * (0.5 if one.supremum < state.below else 1.5)
        # Where nearly everybody scores high, nobody is left to be counted: attackers are not most of the newcomers.
        if state.crowd >= CROWD:
            state.void_since, state.higher = one.at, True
        elif one.supremum < state.below:
            _bet(state, p_value(state, one, secret))
            state.counts[one.supremum] += 1
            state.seen += 1
            if state.wealth >= state.limit:
                state.void_since = one.at
                state.higher = state.capital[0] > state.capital[-1]


def p_value(state: Watch, one: Newcomer, secret: bytes) -> float:
    """Smoothed rank from the top among all that were counted, itself included: small for a high supremum."""
    above = sum(state.counts[one.supremum + 1 :])
    tie = (keyed(b"tie" + one.key, secret) + 0.5) / 2**63
    return (above + tie * (state.counts[one.supremum] + 1)) / (sum(state.counts) + 1)


def _bet(state: Watch, p: float) -> None:
    total = sum(state.capital)
    mixed = [(1 - JUMP) * c + JUMP * total / len(SLOPES) for c in state.capital]
    down, level, up = (c * (1 + e * (p - 0.5)) for c, e in zip(mixed, SLOPES, strict=True))
    state.capital = (down, level, up)
    if down + level + up < SPENT / (state.stakes * (state.stakes + 1)):
        _deal(state)


def _deal(state: Watch) -> None:
    """The jumper keeps what is left of its stake in the purse, and the next one begins."""
    state.stakes += 1
    stake = 1.0 / (state.stakes * (state.stakes + 1))
    state.purse += sum(state.capital) - stake
    state.capital = (stake / 3, stake / 3, stake / 3)
