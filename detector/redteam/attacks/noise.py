"""Uniform noise: the thief who owns nothing and learns nothing on the way (the weakest baseline of Tramèr 2016)."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from detector.query import F64
from detector.redteam.attacks.contract import Ask, Block, asked


def uniform_noise(ask: Ask, seeds: F64, rng: np.random.Generator, budget: int) -> Iterator[Block]:
    """Each pixel uniform in [0, 1], independent of all others.

    Tramèr et al. 2016, "Stealing Machine Learning Models via Prediction APIs".
    """
    yield asked(ask, rng.random((budget, seeds.shape[1])))
