"""Random steps: children of natural seeds in random directions, for the thief without a copy to differentiate."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from detector.query import F64
from detector.redteam.attacks.contract import Ask, Block, asked

SEEDS = 150
STEP = 0.1


def random_step(ask: Ask, seeds: F64, rng: np.random.Generator, budget: int) -> Iterator[Block]:
    """SEEDS natural images, then x + 0.1 * (random signs or Gaussian noise), half of each.

    The ablation of Jacobian augmentation: Papernot et al. 2017 with the gradient taken away.
    """
    x = seeds[rng.permutation(len(seeds))[: min(SEEDS, budget)]]
    yield asked(ask, x)
    left = budget - len(x)
    if left > 0:
        parents = x[rng.integers(len(x), size=left)]
        noise = rng.standard_normal(parents.shape)
        signs = rng.random((left, 1)) < 0.5
        yield asked(ask, np.clip(parents + STEP * np.where(signs, np.sign(noise), noise), 0.0, 1.0))
