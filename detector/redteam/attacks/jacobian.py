"""Jacobian-based augmentation: children of natural seeds, each a step along the copy's own gradient."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from detector.query import F64
from detector.redteam.attacks.contract import Ask, Block, asked
from detector.redteam.substitute import Substitute

SEEDS = 150  # Papernot 2017: the initial set on MNIST
STEP = 0.1  # Papernot 2017: lambda


def jacobian(ask: Ask, seeds: F64, rng: np.random.Generator, budget: int) -> Iterator[Block]:
    """x + lambda * sign(J[the victim's label of x]) for all x known so far, in rounds, to the end of the budget.

    Papernot et al. 2017, "Practical Black-Box Attacks against Machine Learning". Until the seeds are over
    it cannot be told from an honest client.
    """
    x, answers = asked(ask, seeds[rng.permutation(len(seeds))[: min(SEEDS, budget)]])
    yield x, answers
    student, left = Substitute(x.shape[1], answers.shape[1], rng), budget - len(x)
    while left > 0:
        student.fit(x, answers)
        toward = np.eye(answers.shape[1])[answers.argmax(axis=1)]
        children = np.clip(x + STEP * np.sign(student.gradient(x, toward)), 0.0, 1.0)
        block = asked(ask, children[rng.permutation(len(children))[:left]])
        yield block
        left -= len(block[0])
        x, answers = np.concatenate([x, block[0]]), np.concatenate([answers, block[1]])
