"""Foreign pictures that are chosen as the answers come in, and pictures of the own world that were changed."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np

from detector.query import F64
from detector.redteam.attacks.contract import Ask, Block, asked
from detector.redteam.attacks.foreign import dead_leaves
from detector.redteam.substitute import Substitute

BATCH = 16  # queries between two changes of the policy
RATE = 1.0  # of the policy's gradient step
FOREIGN_SHARE = 2 / 3  # Correia-Silva 2018 asks more pictures of other worlds than of the victim's
CHANGE = 0.1  # largest shift of brightness and noise of a changed picture

Pictures = Callable[[int, int, np.random.Generator], F64]
"""(n, d, rng) -> (n, d) square pictures in [0, 1]."""


def knockoff_adaptive(ask: Ask, seeds: F64, rng: np.random.Generator, budget: int) -> Iterator[Block]:
    """A policy over kinds of foreign pictures, rewarded where the victim is sure, its answers vary, and the copy errs.

    Orekondy et al. 2019, "Knockoff Nets" (adaptive: gradient bandit; rewards certainty, diversity and loss, each
    brought to [0, 1], less their running mean). The kinds stand in for the classes of a public set of images.
    """
    liking, counts, mean = np.zeros(len(KINDS)), np.zeros(len(KINDS)), 0.0
    student, left = None, budget
    x, answers = seeds[:0], np.empty((0, 0))
    while left > 0:
        policy = np.exp(liking - liking.max())
        policy /= policy.sum()
        kind = int(rng.choice(len(KINDS), p=policy))
        block = asked(ask, KINDS[kind](min(BATCH, left), seeds.shape[1], rng))
        yield block
        left -= len(block[0])
        student = student or Substitute(seeds.shape[1], block[1].shape[1], rng)
        reward = _reward(block[1], answers if len(answers) else block[1], student.predict(block[0]))
        counts[kind] += 1
        mean += (reward - mean) / counts.sum()
        chosen = np.eye(len(KINDS))[kind]
        liking += RATE / counts[kind] * (reward - mean) * (chosen - policy)
        x = np.concatenate([x, block[0]])
        answers = np.concatenate([answers, block[1]]) if len(answers) else block[1]
        student.fit(*block, epochs=3)


def copycat(ask: Ask, seeds: F64, rng: np.random.Generator, budget: int) -> Iterator[Block]:
    """Two thirds pictures of other worlds; then own natural ones, mirrored, shifted, brighter or darker, and noisy.

    Correia-Silva et al. 2018, "Copycat CNN: Stealing Knowledge by Persuading Confession with Random Non-Labeled Data".
    """
    foreign = round(FOREIGN_SHARE * budget)
    if foreign:
        yield asked(ask, dead_leaves(foreign, seeds.shape[1], rng))
    if foreign < budget:
        yield asked(ask, changed(seeds[rng.integers(len(seeds), size=budget - foreign)], rng))


def changed(images: F64, rng: np.random.Generator) -> F64:
    """(n, d) square pictures, each mirrored or not, shifted by up to a pixel, with another brightness and noise."""
    side = round(images.shape[1] ** 0.5)
    out = images.reshape(-1, side, side).copy()
    mirrored = rng.random(len(out)) < 0.5
    out[mirrored] = out[mirrored, :, ::-1]
    for axis in (1, 2):
        by = rng.integers(-1, 2, size=len(out))
        for shift in (-1, 1):
            out[by == shift] = np.roll(out[by == shift], shift, axis=axis)
    out += rng.uniform(-CHANGE, CHANGE, (len(out), 1, 1)) + CHANGE / 2 * rng.standard_normal(out.shape)
    return np.clip(out, 0.0, 1.0).reshape(images.shape)


def _reward(told: F64, before: F64, guessed: F64) -> float:
    """The mean of three, each in [0, 1]: margin of the answers, how new their labels are, where the copy was wrong."""
    top = np.sort(told, axis=1)
    certain = float((top[:, -1] - top[:, -2]).mean())
    diverse = float(np.abs(told - before.mean(axis=0)).sum(axis=1).mean() / 2)
    lost = float(np.abs(told - guessed).sum(axis=1).mean() / 2)
    return (certain + diverse + lost) / 3


def _leaves(count: int) -> Pictures:
    return lambda n, d, rng: dead_leaves(n, d, rng, leaves=count)


def _clouds(cycles: float) -> Pictures:
    """Smooth noise: random waves of up to so many cycles a side."""

    def draw(n: int, d: int, rng: np.random.Generator) -> F64:
        waves: F64 = np.mean([_waves(n, d, rng, cycles * rng.random()) for _ in range(4)], axis=0)
        return waves

    return draw


def _gratings(cycles: float) -> Pictures:
    return lambda n, d, rng: _waves(n, d, rng, cycles)


def _waves(n: int, d: int, rng: np.random.Generator, cycles: float) -> F64:
    side = round(d**0.5)
    y, x = np.divmod(np.arange(d), side)
    angle, phase = rng.uniform(0, 2 * np.pi, (2, n, 1))
    along = (np.cos(angle) * x + np.sin(angle) * y) / side
    waves: F64 = 0.5 + 0.5 * np.sin(2 * np.pi * cycles * along + phase)
    return waves


KINDS: tuple[Pictures, ...] = (
    _leaves(6), _leaves(40), _leaves(160), _clouds(1.0), _clouds(3.0), _gratings(1.0), _gratings(2.0), _gratings(4.0),
)  # fmt: skip
