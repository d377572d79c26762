"""What `fit` learns of rings: the scale on honest accounts that are thrown together and linked, and how high honest
populations come by themselves, linked, grown and judged as production does it.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import msgspec
import numpy as np
from numpy.typing import NDArray

from detector.entities import BINS, Entities
from detector.evidence import kernels
from detector.evidence.law import Law
from detector.levels import TICK_US, Asked
from detector.profile import calibration, promised
from detector.profile.artefact import Level, account_row, ring_row
from detector.profile.learn import FOREVER_US, Measured, Nulls, bins_of
from detector.profile.scaling import unscaled, with_scale
from detector.profile.sets import CALIBRATE, SCALE, Sets, keyed
from detector.rings.accounts import ACCOUNT, RING
from detector.rings.judging import FEWEST, Judging, Together, no_suprema
from detector.rings.level import Learned, RingLevel
from detector.rings.linking import Limits
from detector.tape import FLOOR, score_of
from features.kit import Kit

FEWEST_ACCOUNTS = 50  # that set the scale, or are a population
POPULATION = 100  # accounts in one, where there are enough
REDRAWS = 400
MOST_DRAWN = 64  # accounts in a redraw
LOOK_TICKS = 6 * 360  # six hours: how often pools are looked at for their scale
UNSCALED = Together(0.0, 1.0, 1.0, 0.3)


class Asking(NamedTuple):
    """The clients of the log: names, and what stands behind their keys."""

    measured: Measured
    names: list[str]
    model: str
    secret: bytes


class Ringed(NamedTuple):
    """The level of rings; suprema: grid levels of the highest score of each population, ascending."""

    level: Level
    law: Law
    learned: Learned
    suprema: NDArray[np.int64]


def learn_rings(asking: Asking, drawn: Sets, kept: NDArray[np.bool_], found: Nulls, seed: int) -> Ringed | None:
    """None where the log has too few clients, or no signal that adds up over accounts."""
    kit = asking.measured.kit
    scaling = np.flatnonzero((drawn.of == SCALE) & kept)
    populations = _populations(asking, drawn, (drawn.of == CALIBRATE) & kept, seed)
    if not found.active[kit.additive].any() or len(scaling) < FEWEST_ACCOUNTS or not populations:
        return None
    bins = bins_of(asking.measured, found.edges)[:, kit.additive]
    law = _scaled(_law(found, kit), _counts(asking.measured.owner, bins, scaling), seed)
    together = _together(asking, bins, scaling, law)
    accounts = min(map(len, populations))
    learned = Learned(Limits(), together, accounts)
    highest = [_highest(_level(asking, law, together), asking, bins, those) for those in populations]
    suprema = np.sort(np.array(highest, np.int64))
    return Ringed(_told(suprema, accounts, len(scaling)), law, learned, suprema)


def _told(suprema: NDArray[np.int64], accounts: int, scaled: int) -> Level:
    """Rings are found among all accounts there are, so what calibrates is a population, and there are few."""
    many, top = len(suprema), max(score_of(int(suprema[-1]) + 1), FLOOR)
    note = (
        f"observes only, `querywarden digest` lists them: 0 in {many} populations of {accounts:,} and more honest "
        f"accounts came to {top:.2f}, which promises little"
    )
    return msgspec.structs.replace(promised.level(RING, None, (0, scaled), suprema, None, 0, None), note=note)


def _populations(asking: Asking, drawn: Sets, chosen: NDArray[np.bool_], seed: int) -> list[NDArray[np.int64]]:
    """The calibration clients, cut into disjoint populations; siblings stay together."""
    clients = np.flatnonzero(chosen)
    if len(clients) < FEWEST_ACCOUNTS:
        return []
    many = max(len(clients) // POPULATION, 1)
    place: dict[int, int] = {}
    for client in sorted(clients.tolist(), key=lambda client: keyed(asking.names[client], seed)):
        place.setdefault(int(drawn.unit[client]), len(place) % many)
    of = np.array([place[int(drawn.unit[client])] for client in clients.tolist()])
    return [clients[of == population] for population in range(many)]


def _law(found: Nulls, kit: Kit) -> Law:
    """The clients' honest law of the signals that add up, without a scale."""
    of = kit.additive
    honest = Nulls(found.active[of], found.edges[of], found.weight[of], found.alpha[of], found.shares[of], ())
    return unscaled(honest, honest.active, [kit.signals[f] for f in of.tolist()])


def _counts(owner: NDArray[np.int64], bins: NDArray[np.uint8], clients: NDArray[np.int64]) -> NDArray[np.int64]:
    """(clients, signals, BINS), ever."""
    counts = np.zeros((int(owner.max(initial=-1)) + 1, bins.shape[1], BINS), np.int64)
    for f in range(bins.shape[1]):
        present = bins[:, f] != kernels.NO_BIN
        np.add.at(counts, (owner[present], f, bins[present, f]), 1)
    return counts[clients]


def _scaled(law: Law, counts: NDArray[np.int64], seed: int) -> Law:
    """The law with its scale: that of honest accounts thrown together, one after the other."""
    rng = np.random.default_rng([seed, 0])
    judging, highest = Judging(law), no_suprema(REDRAWS, law)
    most = min(MOST_DRAWN, len(counts))
    for draw in range(REDRAWS):
        many = int(np.exp(rng.uniform(np.log(FEWEST), np.log(most + 1))))
        drawn = np.cumsum(counts[rng.choice(len(counts), many, replace=False)], 0)
        for pooled in drawn[FEWEST - 1 :]:
            judging.raise_suprema(pooled, highest[draw])
    return with_scale(law, highest)


def _together(asking: Asking, bins: NDArray[np.uint8], clients: NDArray[np.int64], law: Law) -> Together:
    """The scale of being one hand, of honest pools that were linked."""
    level, judging = _level(asking, law, UNSCALED), Judging(law)
    highest: dict[int, float] = {}
    for _ in _looks(level, asking, bins, clients):
        for ring, pool in level.linking.pools.items():
            if len(pool.members) >= FEWEST:
                highest[ring] = max(highest.get(ring, -np.inf), judging.together(pool.counts, pool.apart))
    return Together(*calibration.standard(np.array(list(highest.values()))))


def _highest(level: RingLevel, asking: Asking, bins: NDArray[np.uint8], clients: NDArray[np.int64]) -> int:
    """The highest grid level that any ring of these clients comes to."""
    asked = _asked(asking, bins, clients)
    level.gather(asked)
    return max((point.level for point in level.close(int(asked.tick.max()) + 1, ended=True)), default=0)


def _looks(level: RingLevel, asking: Asking, bins: NDArray[np.uint8], clients: NDArray[np.int64]) -> Iterator[None]:
    asked = _asked(asking, bins, clients)
    level.gather(asked)
    for tick in np.unique(asked.tick // LOOK_TICKS).tolist():
        level.close((tick + 1) * LOOK_TICKS)
        yield


def _asked(asking: Asking, bins: NDArray[np.uint8], clients: NDArray[np.int64]) -> Asked:
    measured = asking.measured
    mine = np.flatnonzero(np.isin(measured.owner, clients))
    names = [asking.names[owner] for owner in measured.owner[mine].tolist()]
    clock = measured.clock[mine]
    return Asked(clock // TICK_US, mine, clock, bins[mine], [""] * len(mine), names)


def _level(asking: Asking, law: Law, together: Together) -> RingLevel:
    kit = asking.measured.kit
    accounts = Entities(asking.model, ACCOUNT, account_row(kit), asking.secret)
    rings = Entities(asking.model, RING, ring_row(kit), asking.secret)
    return RingLevel(kit, accounts, rings, law, Learned(Limits(), together, 0), FOREVER_US // 4)
