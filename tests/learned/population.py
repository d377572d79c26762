"""Made-up populations: honest entities, loud attackers, and quiet ones who are odd only in all signals at once.

An honest entity has habits: most signals are ordinary, one or two may be its own; its evidence grows slowly with n. The
quiet attacker keeps every signal below what the kernels would find suspicious, and is odd only in that all are high
together.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from detector.learned.kinds import Choice
from detector.learned.looks import Look, Scales, scales
from detector.learned.oneclass import OneClass, learn
from detector.learned.teaching import Caps, Teaching, keep, rows
from detector.learned.witnesses import Ended
from detector.tape import level_of

DAY_US = 86_400_000_000
SIGNALS = tuple(f"signal.{i}" for i in range(8))
SECRET = b"made up"


class Entity(NamedTuple):
    """kernel: the highest standardised evidence over its looks, which the kernels would have found."""

    looks: list[Look]
    ended: Ended
    kernel: float


def honest(rng: np.random.Generator, count: int, name: bytes = b"h", at: int = 0, moved: float = 1.0) -> list[Entity]:
    """`moved`: everybody's evidence, times this. All signals are scaled so that 1 is about their 99th percentile."""
    return [_entity(rng, name, i, at, moved * rng.standard_gamma(0.6, len(SIGNALS)) / 3.5 - 0.1) for i in range(count)]


def loud(rng: np.random.Generator, count: int, name: bytes = b"l", at: int = 0) -> list[Entity]:
    return [_entity(rng, name, i, at, rng.uniform(1.5, 4.0, len(SIGNALS))) for i in range(count)]


def quiet(
    rng: np.random.Generator, count: int, name: bytes = b"q", at: int = 0, low: float = 0.45, high: float = 0.7
) -> list[Entity]:
    return [_entity(rng, name, i, at, rng.uniform(low, high, len(SIGNALS))) for i in range(count)]


def _entity(rng: np.random.Generator, name: bytes, i: int, at: int, habit: NDArray[np.float64]) -> Entity:
    key = (name + i.to_bytes(4, "big")).rjust(16, b"\0")
    first_at = at + int(rng.integers(DAY_US))
    many = int(rng.integers(1, 6))
    looks = []
    for j in range(many):
        vector = habit * (0.8 + 0.05 * j) + rng.normal(0, 0.05, len(SIGNALS))
        looks.append(Look(key, 16 << j, first_at + (j + 1) * DAY_US, vector, first_at))
    kernel = max(float(look.vector.max()) for look in looks)
    return Entity(looks, Ended(key, first_at, 16 << (many - 1), level_of(kernel)), kernel)


def taught(people: list[Entity], choice: Choice | None = None, seed: int = 1) -> OneClass:
    """As `fit` would: the capped sample of the learn set, in the order of its keyed hash."""
    teaching = Teaching()
    keep(teaching, [look for one in people for look in one.looks], SECRET, Caps())
    return learn(choice or Choice(), rows(teaching, len(SIGNALS)), SIGNALS, seed)


def scaled(people: list[Entity], model: OneClass) -> Scales:
    return scales([(look.n, model.score(look.vector)) for one in people for look in one.looks])
