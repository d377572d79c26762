"""Model inversion: what does the model take for the very picture of a class? Walks towards high confidence for it."""

from __future__ import annotations

from collections.abc import Callable, Iterator

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

Step = Callable[[F64], F64]  # from how likely the class was for each picture, log, to the next one


def evolve(ask: Ask, seeds: F64, rng: np.random.Generator, budget: int) -> Iterator[Block]:
    """Natural evolution strategies from noise, one class after the other.

    Fredrikson et al. 2015, "Model Inversion Attacks that Exploit Confidence Information"; gradients by queries as in
    Ilyas et al. 2018, "Black-box Adversarial Attacks with Limited Queries and Information".
    """

    def looked(x: F64) -> tuple[F64, Step]:
        noise = rng.standard_normal((PAIRS, len(x)))
        tries = np.clip(x + SPREAD * np.concatenate([noise, -noise]), 0.0, 1.0)

        def step(likely: F64) -> F64:
            slope = (likely[1 : PAIRS + 1] - likely[PAIRS + 1 :]) @ noise
            return np.clip(x + STEP * np.sign(slope), 0.0, 1.0)

        return tries, step

    return _uphill(ask, budget, 2 * PAIRS, lambda: rng.random((1, seeds.shape[1]))[0], looked)


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

    def looked(x: F64) -> tuple[F64, Step]:
        pixels = rng.permutation(len(x))[:COORDINATES]
        tries = np.repeat(x[None], len(pixels), axis=0)
        tries[np.arange(len(tries)), pixels] = np.clip(x[pixels] + DIFFERENCE, 0.0, 1.0)

        def step(likely: F64) -> F64:
            found = x.copy()
            found[pixels] = np.clip(x[pixels] + 2 * STEP * np.sign(likely[1:] - likely[0]), 0.0, 1.0)
            return found

        return tries, step

    return _uphill(ask, budget, COORDINATES, lambda: seeds.mean(axis=0), looked)


def _uphill(
    ask: Ask, budget: int, tries: int, start: Callable[[], F64], looked: Callable[[F64], tuple[F64, Step]]
) -> Iterator[Block]:
    """Class after class from `start`: asks for a picture and what `looked` tries around it, at most `tries`, and steps
    on by how likely the class was for each (log), until it is sure or PATIENCE ends.
    """
    left, target = budget, 0
    while left > 0:
        x = start()
        for _ in range(PATIENCE // (tries + 1)):
            around, step = looked(x)
            block = asked(ask, np.concatenate([x[None], around])[:left])
            yield block
            left -= len(block[0])
            if left <= 0:
                return
            target %= block[1].shape[1]
            likely = np.log(block[1][:, target] + 1e-12)
            if likely[0] > np.log(SURE):
                break
            x = step(likely)
        target += 1
