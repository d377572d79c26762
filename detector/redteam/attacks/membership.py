"""Membership inference: was this record among the training data? The seeds are candidates, some of which were.

Each function asks a candidate as it is, and more or less around it: a model is surer, and more steadily so, of what it
was taught on.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from detector.query import F64
from detector.redteam.attacks.contract import Ask, Block, asked

NOISES = (0.0, 0.01, 0.02, 0.05, 0.1, 0.2)  # standard deviations, of pixels in [0, 1]
PAIR = 0.02  # how far the two of a pair lie apart, per pixel
SHIFTS = 4  # Choquette-Choo et al. 2021: translations by one pixel


def once(ask: Ask, seeds: F64, rng: np.random.Generator, budget: int) -> Iterator[Block]:
    """Every candidate once: the answer's confidence tells (Yeom et al. 2018, "Privacy Risk in Machine Learning")."""
    yield asked(ask, _candidates(seeds, rng, budget))


def noisy(ask: Ask, seeds: F64, rng: np.random.Generator, budget: int) -> Iterator[Block]:
    """Every candidate with growing noise, until its label changes: labels alone tell.

    Choquette-Choo et al. 2021, "Label-Only Membership Inference Attacks" (noise robustness).
    """
    left = budget
    for x in _candidates(seeds, rng, budget):
        label = None
        for noise in NOISES:
            block = asked(ask, np.clip(x + noise * rng.standard_normal(len(x)), 0.0, 1.0)[None])
            yield block
            left -= 1
            if left <= 0:
                return
            found = int(block[1].argmax())
            if label not in (None, found):
                break
            label = found


def paired(ask: Ask, seeds: F64, rng: np.random.Generator, budget: int) -> Iterator[Block]:
    """Every candidate and a neighbour of it, one after the other: at a member the answers differ more steeply.

    The neighbourhood comparison of Mattern et al. 2023, "Membership Inference Attacks against Language Models via
    Neighbourhood Comparison", for images.
    """
    x = _candidates(seeds, rng, -(-budget // 2))
    beside = np.clip(x + PAIR * rng.choice([-1.0, 1.0], x.shape), 0.0, 1.0)
    yield asked(ask, np.stack([x, beside], axis=1).reshape(-1, x.shape[1])[:budget])


def shifted(ask: Ask, seeds: F64, rng: np.random.Generator, budget: int) -> Iterator[Block]:
    """Every candidate and its SHIFTS translations by a pixel: augmentations of what was taught are known too.

    Choquette-Choo et al. 2021, "Label-Only Membership Inference Attacks" (translations).
    """
    x = _candidates(seeds, rng, -(-budget // (SHIFTS + 1)))
    side = round(x.shape[1] ** 0.5)
    images = x.reshape(-1, side, side)
    moved = [images] + [np.roll(images, step, axis) for axis in (1, 2) for step in (-1, 1)]
    yield asked(ask, np.stack(moved, axis=1).reshape(-1, x.shape[1])[:budget])


def _candidates(seeds: F64, rng: np.random.Generator, n: int) -> F64:
    """n of them in random order, again from the start when they run out."""
    rounds = -(-n // len(seeds))
    rows = np.concatenate([rng.permutation(len(seeds)) for _ in range(rounds)])[:n]
    found: F64 = seeds[rows]
    return found
