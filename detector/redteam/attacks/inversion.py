"""Model inversion: what does the model take for the very picture of a class? Walks towards high confidence for it."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from detector.query import F64
from detector.redteam.attacks.contract import Ask, Block, asked

SURE = 0.999  # of the class: the walk is over
PAIRS = 10  # antithetic samples of a gradient estimate
SPREAD = 0.1  # of those samples, per pixel
STEP = 0.05  # of the walk, per pixel
PROPOSED = 0.15  # hill climbing: size of a proposed change, per pixel
TOUCHED = 0.2  # hill climbing: share of the pixels that a proposal changes
PATIENCE = 300  # queries of a walk
COORDINATES = 32  # finite differences of a step
DIFFERENCE = 0.05


def evolve(ask: Ask, seeds: F64, rng: np.random.Generator, budget: int) -> Iterator[Block]:
    """Natural evolution strategies from noise, one class after the other.

    Fredrikson et al. 2015, "Model Inversion Attacks that Exploit Confidence Information"; gradients by queries as in
    Ilyas et al. 2018, "Black-box Adversarial Attacks with Limited Queries and Information".
    """
    left, target = budget, 0
    while left > 0:
        x = rng.random((1, seeds.shape[1]))[0]
        for _ in range(PATIENCE // (2 * PAIRS + 1)):
            noise = rng.standard_normal((PAIRS, len(x)))
            tries = np.clip(x + SPREAD * np.concatenate([noise, -noise]), 0.0, 1.0)
            block = asked(ask, np.concatenate([x[None], tries])[:left])
            yield block
            left -= len(block[0])
            if left <= 0:
                return
            target %= block[1].shape[1]
            likely = np.log(block[1][:, target] + 1e-12)
            if likely[0] > np.log(SURE):
                break
            slope = (likely[1 : PAIRS + 1] - likely[PAIRS + 1 :]) @ noise
            x = np.clip(x + STEP * np.sign(slope), 0.0, 1.0)
        target += 1


def climb(ask: Ask, seeds: F64, rng: np.random.Generator, budget: int) -> Iterator[Block]:
    """Hill climbing from a grey picture: a random change is kept where the class becomes surer.

    Fredrikson et al. 2015, without gradients.
    """
    left, target = budget, 0
    while left > 0:
        x = np.full(seeds.shape[1], 0.5)
        best = -1.0
        for _ in range(PATIENCE):
            change = PROPOSED * rng.standard_normal(len(x)) * (rng.random(len(x)) < TOUCHED)
            tried = np.clip(x + change, 0.0, 1.0)
            block = asked(ask, tried[None])
            yield block
            left -= 1
            if left <= 0:
                return
            target %= block[1].shape[1]
            sure = float(block[1][0, target])
            if sure > best:
                x, best = tried, sure
            if best > SURE:
                break
        target += 1


def differentiate(ask: Ask, seeds: F64, rng: np.random.Generator, budget: int) -> Iterator[Block]:
    """Steps along finite differences of some pixels, from the mean of the thief's own pictures.

    Fredrikson et al. 2015 with numerical gradients, as libraries do it against a black box.
    """
    left, target = budget, 0
    while left > 0:
        x = seeds.mean(axis=0)
        for _ in range(PATIENCE // (COORDINATES + 1)):
            pixels = rng.permutation(len(x))[:COORDINATES]
            tries = np.repeat(x[None], len(pixels) + 1, axis=0)
            tries[np.arange(1, len(tries)), pixels] = np.clip(x[pixels] + DIFFERENCE, 0.0, 1.0)
            block = asked(ask, tries[:left])
            yield block
            left -= len(block[0])
            if left <= 0:
                return
            target %= block[1].shape[1]
            likely = np.log(block[1][:, target] + 1e-12)
            if likely[0] > np.log(SURE):
                break
            x = x.copy()
            x[pixels] = np.clip(x[pixels] + 2 * STEP * np.sign(likely[1:] - likely[0]), 0.0, 1.0)
        target += 1
