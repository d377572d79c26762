"""Dilution: an attack hidden among honest queries of the same account."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np

from detector.query import F64
from detector.redteam.attacks.contract import Ask, Block, Run, asked

Cover = Callable[[int, np.random.Generator], F64]
"""(n, rng) -> (n, d) inputs as an honest client asks them."""


def dilute(attack: Run, honest: Cover, share: float) -> Run:
    """The attack with a `share` of the budget, its queries in their own order at random places among honest ones.

    The dummy queries that Juuti et al. 2019 name as the evasion of PRADA.
    """

    def run(ask: Ask, seeds: F64, rng: np.random.Generator, budget: int) -> Iterator[Block]:
        n = round(share * budget)
        is_attack = np.zeros(budget, dtype=np.bool_)
        is_attack[rng.permutation(budget)[:n]] = True
        inputs = np.empty((budget, seeds.shape[1]))
        cover, answers = asked(ask, honest(budget - n, rng))
        outputs = np.empty((budget, answers.shape[1]))
        inputs[~is_attack], outputs[~is_attack] = cover, answers
        blocks = list(attack(ask, seeds, rng, n)) if n else []
        if blocks:
            inputs[is_attack] = np.concatenate([b[0] for b in blocks])
            outputs[is_attack] = np.concatenate([b[1] for b in blocks])
        yield inputs, outputs

    return run
