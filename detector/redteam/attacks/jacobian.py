"""Jacobian-based augmentation: children of natural seeds, each a step along the copy's own gradient."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np

from detector.query import F64
from detector.redteam.attacks.contract import Ask, Block, asked
from detector.redteam.substitute import Substitute

SEEDS = 150  # Papernot 2017: the initial set on MNIST
STEP = 0.1  # Papernot 2017: lambda


SUBSTEPS = 5  # Juuti 2019: of the iterated step

Step = Callable[[Substitute, F64, F64, np.random.Generator], F64]
"""(copy, points (n, d), the victim's answers (n, k) for them, rng) -> their children (n, d), not clipped yet."""


def jacobian(ask: Ask, seeds: F64, rng: np.random.Generator, budget: int) -> Iterator[Block]:
    """x + lambda * sign(J[the victim's label of x]) for all x known so far, in rounds, to the end of the budget.

    Papernot et al. 2017, "Practical Black-Box Attacks against Machine Learning". Until the seeds are over
    it cannot be told from an honest client.
    """
    return _augmented(ask, seeds, rng, budget, _away)


def targeted(ask: Ask, seeds: F64, rng: np.random.Generator, budget: int) -> Iterator[Block]:
    """The same, in small steps towards a random other class of each point.

    Juuti et al. 2019, "PRADA: Protecting Against DNN Model Stealing Attacks" (T-RND with the iterated step).
    """
    return _augmented(ask, seeds, rng, budget, _towards_another)


def _augmented(ask: Ask, seeds: F64, rng: np.random.Generator, budget: int, step: Step) -> Iterator[Block]:
    x, answers = asked(ask, seeds[rng.permutation(len(seeds))[: min(SEEDS, budget)]])
    yield x, answers
    student, left = Substitute(x.shape[1], answers.shape[1], rng), budget - len(x)
    while left > 0:
        student.fit(x, answers)
        children = np.clip(step(student, x, answers, rng), 0.0, 1.0)
        block = asked(ask, children[rng.permutation(len(children))[:left]])
        yield block
        left -= len(block[0])
        x, answers = np.concatenate([x, block[0]]), np.concatenate([answers, block[1]])


def _away(student: Substitute, x: F64, answers: F64, rng: np.random.Generator) -> F64:
    toward = np.eye(answers.shape[1])[answers.argmax(axis=1)]
    children: F64 = x + STEP * np.sign(student.gradient(x, toward))
    return children


def _towards_another(student: Substitute, x: F64, answers: F64, rng: np.random.Generator) -> F64:
    k = answers.shape[1]
    other = (answers.argmax(axis=1) + rng.integers(1, k, size=len(x))) % k
    toward, children = np.eye(k)[other], x
    for _ in range(SUBSTEPS):
        children = np.clip(children + STEP / SUBSTEPS * np.sign(student.gradient(children, toward)), 0.0, 1.0)
    return children
