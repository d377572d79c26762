"""Clients of a made model with eight answers: each asks its own mix of them; a harvester asks them all alike."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from detector.query import Batch
from tests.asked import asked

CLIENTS, QUERIES, ANSWERS = 180, 150, 8
_CENTRES = np.random.default_rng(20261124).normal(0.0, 350.0, (ANSWERS, 16))


def population(clients: int, *, seed: int, mixes: NDArray[np.float64] | None = None, n: int = QUERIES) -> Batch:
    """n queries of each client, all clients taking turns; `mixes` (clients, ANSWERS), else each its own."""
    rng = np.random.default_rng(seed)
    mixes = rng.dirichlet(np.ones(ANSWERS), clients) if mixes is None else mixes
    answers = np.stack([rng.choice(ANSWERS, n, p=mix) for mix in mixes], 1).ravel()
    x = np.clip(_CENTRES[answers] + rng.normal(0.0, 700.0, (len(answers), 16)), -8191, 8191)
    return asked(len(answers), slots=np.tile(np.arange(clients), n), x=np.rint(x), labels=answers)


def harvesters(count: int, *, seed: int, n: int = QUERIES) -> Batch:
    return population(count, seed=seed, mixes=np.full((count, ANSWERS), 1.0 / ANSWERS), n=n)
