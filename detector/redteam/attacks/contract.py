"""What an attack is: a function that decides what to ask next from the answers so far."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np

from detector.query import F64

Ask = Callable[[F64], F64]
"""The victim: inputs (n, d) in [0, 1] -> probabilities (n, k)."""

Block = tuple[F64, F64]
"""Queries that were decided together: inputs (m, d) and the victim's probabilities (m, k), in the order asked."""

Run = Callable[[Ask, F64, np.random.Generator, int], Iterator[Block]]
"""(ask, seeds, rng, budget) -> blocks with exactly `budget` queries in all.

`seeds` (s, d) are natural images that the thief owns, disjoint from what the victim was trained on; an attack that
needs none only reads their shape.
"""


@dataclass(frozen=True)
class Attack:
    """A family of attacks under its name. `title` is for people; `extra` names the extra whose packages it needs.

    `pictures`: it asks square images, whatever the victim reads. `aim`: what it is after, as alerts name it
    (detector.alert.Attack). `candidates`: its seeds are half training records of the victim, half not, and it is after
    which are.
    """

    name: str
    title: str
    run: Run
    extra: str | None = None
    aim: str = "extraction"
    candidates: bool = False
    pictures: bool = False


def asked(ask: Ask, inputs: F64) -> Block:
    """The block of these inputs and their answers."""
    return inputs, ask(inputs)
