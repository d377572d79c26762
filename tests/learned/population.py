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
from detector.learned.looks import Look
from detector.learned.oneclass import OneClass, learn
from detector.learned.successor import First, InForce, Rules, scales_of, succeed, supremum_levels
from detector.learned.teaching import Caps, Teaching, keep, packed, rows, teach
from detector.learned.witnesses import Ended, Witness, Witnesses, witness
from detector.profile.calibration import threshold
from detector.tape import level_of, score_of

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


def first(people: list[Entity], model: OneClass) -> First:
    """As `fit` would leave it, with these as the scale set."""
    return First(model.taught, tuple((look.n, packed(look)) for one in people for look in one.looks))


def witnessed(one: Entity) -> Witness:
    """As it would be kept with its horizon closed."""
    looks = tuple((look.n, packed(look)) for look in one.looks)
    return Witness(one.ended.key, one.ended.unit, one.ended.first_at, looks, one.ended.kernel)


def in_force(rng: np.random.Generator, share: float, choice: Choice | None = None, seed: int = 1) -> InForce:
    """As `fit` leaves it: three sets of 900 honest clients."""
    model = taught(honest(rng, 900, b"L"), choice, seed)
    origin = first(honest(rng, 900, b"S"), model)
    scale = scales_of(model, origin.scale)
    levels = supremum_levels([witnessed(one) for one in honest(rng, 900, b"C")], model, scale, 0.0)
    return InForce(model, scale, threshold(np.sort(levels), share), origin)


def scored(now: InForce, people: list[Entity], rules: Rules) -> NDArray[np.float64]:
    """Combined suprema, as scores of the tape."""
    levels = supremum_levels([witnessed(one) for one in people], now.model, now.scales, rules.slope)
    return np.array([score_of(int(level)) for level in levels])


def named(now: InForce, people: list[Entity], bar: float, rules: Rules) -> set[bytes]:
    """Keys of those at or above a score."""
    scores = scored(now, people, rules)
    return {one.ended.key for one, score in zip(people, scores, strict=True) if score >= bar}


def like(people: list[Entity], rng: np.random.Generator) -> list[Entity]:
    """Fresh entities of the same sort (by the letter of their keys)."""
    sort = people[0].ended.key.lstrip(b"\0")[:1]
    return {b"l": loud, b"q": quiet}[sort](rng, len(people), b"x")


def epoch(people: list[Entity], suspects: set[bytes]) -> tuple[Teaching, Witnesses]:
    """What an epoch leaves behind."""
    teaching, kept = Teaching(), Witnesses()
    looks = [look for one in people for look in one.looks]
    teach(teaching, looks, suspects, SECRET, Caps())
    witness(kept, looks, [one.ended for one in people], 30 * DAY_US, SECRET)
    return teaching, kept


def rounds(
    now: InForce, rng: np.random.Generator, count: int, rules: Rules, clients: int, suspicion: float = 1.1
) -> list[tuple[int, float]]:
    """`count` successors, each taking over: (judges, share of 500 fresh honest clients that it names)."""
    found = []
    for i in range(count):
        people = honest(rng, clients, b"r%d" % i)
        teaching, kept = epoch(people, named(now, people, suspicion, rules))
        after = succeed(now, teaching, kept, rules, 40 * DAY_US, SECRET)
        now = after.in_force(now.first)
        fresh = scored(now, honest(rng, 500, b"f"), rules)
        found.append((after.after.judges, float(np.mean(fresh >= after.threshold.score))))
    return found
