"""Evasion probing: how is this one picture changed so that the model errs on it? Walks around one input at a time."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np

from detector.query import F64
from detector.redteam.attacks.contract import Ask, Block, asked

HALVINGS = 8
PROBES = 20  # of a gradient at the boundary, in the first round; they grow with the root of the rounds
ROUNDS = 6
PATIENCE = 250  # queries on one picture
STEP = 0.1  # of a change, per pixel
SQUARE = 0.35  # side of a square, of the picture's
START = 0.3  # noise in one direction, per pixel, at its full reach

Change = Callable[[int, np.random.Generator], F64]  # (d, rng) -> (d,) what is added


def boundary_walk(ask: Ask, seeds: F64, rng: np.random.Generator, budget: int) -> Iterator[Block]:
    """From another class's picture back to this one along the boundary, by labels alone.

    Chen, Jordan & Wainwright 2020, "HopSkipJumpAttack".
    """
    left = budget
    while left > 0:
        x, far = seeds[rng.integers(len(seeds), size=2)]
        block = asked(ask, np.stack([x, far])[:left])
        yield block
        left -= len(block[0])
        labels = block[1].argmax(axis=1)
        if left <= 0 or labels[0] == labels[1]:
            continue
        for turn in range(1, ROUNDS + 1):
            for _ in range(min(HALVINGS, left)):
                middle = (x + far) / 2 if turn == 1 else x + 0.9 * (far - x)
                block = asked(ask, middle[None])
                yield block
                left -= 1
                if int(block[1].argmax()) == labels[0]:
                    break
                far = middle
            if left <= 0:
                return
            size = 0.02 * float(np.linalg.norm(far - x)) + 0.01
            noise = rng.standard_normal((min(round(PROBES * turn**0.5), left), len(x)))
            noise /= np.linalg.norm(noise, axis=1, keepdims=True)
            block = asked(ask, np.clip(far + size * noise, 0.0, 1.0))
            yield block
            left -= len(noise)
            if left <= 0:
                return
            away = np.where(block[1].argmax(axis=1) == labels[0], -1.0, 1.0)
            towards = ((away - away.mean()) @ noise) + 1e-12
            far = np.clip(far + size * towards / np.linalg.norm(towards), 0.0, 1.0)


def squares(ask: Ask, seeds: F64, rng: np.random.Generator, budget: int) -> Iterator[Block]:
    """Random squares that are kept where the right class becomes less sure, until it is lost.

    Andriushchenko et al. 2020, "Square Attack".
    """
    return _searched(ask, seeds, rng, budget, _square)


def pixels(ask: Ask, seeds: F64, rng: np.random.Generator, budget: int) -> Iterator[Block]:
    """One pixel up or down at a time, kept where the right class becomes less sure.

    Guo et al. 2019, "Simple Black-box Adversarial Attacks" (SimBA, pixel basis).
    """
    return _searched(ask, seeds, rng, budget, _pixel)


def shrink(ask: Ask, seeds: F64, rng: np.random.Generator, budget: int) -> Iterator[Block]:
    """Noise in random directions, bisected until it is just enough to change the label: one picture, many directions.

    Cheng et al. 2019, "Query-Efficient Hard-label Black-box Attack" (its search along directions).
    """
    left = budget
    while left > 0:
        x = seeds[int(rng.integers(len(seeds)))]
        block = asked(ask, x[None])
        yield block
        left -= 1
        label, reach = int(block[1].argmax()), 1.0
        for _ in range(PATIENCE // HALVINGS):
            direction = START * rng.standard_normal(len(x))
            low, high = 0.0, reach
            for _ in range(HALVINGS):
                if left <= 0:
                    return
                middle = (low + high) / 2
                block = asked(ask, np.clip(x + middle * direction, 0.0, 1.0)[None])
                yield block
                left -= 1
                if int(block[1].argmax()) == label:
                    low = middle
                else:
                    high = middle
            reach = min(reach, 1.2 * high)


def _searched(ask: Ask, seeds: F64, rng: np.random.Generator, budget: int, change: Change) -> Iterator[Block]:
    left = budget
    while left > 0:
        x = seeds[int(rng.integers(len(seeds)))]
        block = asked(ask, x[None])
        yield block
        left -= 1
        label = int(block[1].argmax())
        least = float(block[1].max())
        for _ in range(PATIENCE):
            if left <= 0:
                return
            tried = np.clip(x + change(len(x), rng), 0.0, 1.0)
            block = asked(ask, tried[None])
            yield block
            left -= 1
            if float(block[1][0, label]) < least:
                x, least = tried, float(block[1][0, label])
            if int(block[1].argmax()) != label:
                break


def _square(d: int, rng: np.random.Generator) -> F64:
    side = round(d**0.5)
    size = max(1, round(SQUARE * side))
    top, left = rng.integers(side - size + 1, size=2)
    found = np.zeros((side, side))
    found[top : top + size, left : left + size] = STEP * rng.choice([-1.0, 1.0])
    return found.ravel()


def _pixel(d: int, rng: np.random.Generator) -> F64:
    found = np.zeros(d)
    found[int(rng.integers(d))] = STEP * rng.choice([-1.0, 1.0])
    return found
