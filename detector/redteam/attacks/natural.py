"""Extraction with natural images of the victim's own world: asked as they are, or blended."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from detector.query import F64
from detector.redteam.attacks.contract import Ask, Block, asked


def harvest(ask: Ask, seeds: F64, rng: np.random.Generator, budget: int) -> Iterator[Block]:
    """The thief's own images in random order, again from the start when they run out.

    Orekondy et al. 2019, "Knockoff Nets", with the victim's own distribution: no shape gives it away.
    """
    rounds = -(-budget // len(seeds))
    rows = np.concatenate([rng.permutation(len(seeds)) for _ in range(rounds)])[:budget]
    yield asked(ask, seeds[rows])


def blends(ask: Ask, seeds: F64, rng: np.random.Generator, budget: int) -> Iterator[Block]:
    """a + u * (b - a) of two natural images, u uniform.

    Zhang et al. 2018, "mixup: Beyond Empirical Risk Minimization", used as queries.
    """
    a, b = seeds[rng.integers(len(seeds), size=(2, budget))]
    yield asked(ask, a + rng.random((budget, 1)) * (b - a))
