"""Who teaches the next model, and how much each may say.

Every unit (a client; the group where the log knows one) has one role for the life of a profile, by a keyed hash: it
teaches, or it judges. So no model ever learned from a client that calibrates it.

Of those that teach, entities whose score ever passed the profile's `suspicion` are left out; of each entity at most
four looks are kept, of each group at most a fiftieth of all. What is kept is the sample of least keyed hash: whoever
does not know the secret cannot aim at it, and the order of arrival is of no account. The caps on an entity, a group and
the whole are nested, so what they let in is a laminar matroid, and the cheapest basis of all that came is found by
keeping the cheapest basis of what was kept and what is new (Edmonds 1971).

What this does not stop: an attacker who looks honest in every signal teaches that he is. See docs/learning.md.
"""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Container, Iterable

import msgspec
import numpy as np
from numpy.typing import NDArray

from detector.learned.looks import Look

TEACHER, JUDGE = "teacher", "judge"
TEACHING = 0.5  # share of units


class Caps(msgspec.Struct, frozen=True, kw_only=True):
    """The most vectors that are kept, in all, of one entity and of one group."""

    all: int = 10_000
    entity: int = 4
    group: int = 200


class Sample(msgspec.Struct, frozen=True, gc=False):
    """A kept look. priority: its keyed hash, the least are kept. vector: float32, little-endian, (F,)."""

    priority: int
    key: bytes
    unit: bytes
    n: int
    at: int
    vector: bytes


class Teaching(msgspec.Struct):
    """The samples, of least priority first. The functions below change it in place."""

    samples: list[Sample] = []


def role_of(unit: bytes, secret: bytes) -> str:
    """
    >>> role_of(b"a" * 16, b"secret"), role_of(b"f" * 16, b"secret")
    ('judge', 'teacher')
    """
    return TEACHER if keyed(b"role" + unit, secret) < TEACHING * 2**63 else JUDGE


def keyed(data: bytes, secret: bytes) -> int:
    """63 bits that tell nothing to whoever lacks the secret (at most 64 bytes)."""
    return int.from_bytes(hashlib.blake2b(data, digest_size=8, key=secret).digest(), "little") >> 1


def teach(teaching: Teaching, looks: Iterable[Look], suspects: Container[bytes], secret: bytes, caps: Caps) -> None:
    """The looks of one tick, in any order. suspects: keys of entities whose score passed `suspicion`."""
    those = [look for look in looks if look.key not in suspects and role_of(look.unit, secret) == TEACHER]
    keep(teaching, those, secret, caps)


def keep(teaching: Teaching, looks: Iterable[Look], secret: bytes, caps: Caps) -> None:
    """The same for looks of which it is known that they teach: those of the learn set, at `fit`."""
    worst = teaching.samples[-1].priority if len(teaching.samples) >= caps.all else 2**63
    new = [sample for look in looks if (sample := _sample(look, secret)).priority < worst]
    if new:
        teaching.samples = _cheapest([*teaching.samples, *new], caps)


def rows(teaching: Teaching, width: int) -> NDArray[np.float32]:
    """(n, F) vectors in the order of their keyed hash, as `oneclass.learn` takes them."""
    return np.frombuffer(b"".join(sample.vector for sample in teaching.samples), "<f4").reshape(-1, width)


def forget(teaching: Teaching, suspects: Container[bytes], before: int) -> None:
    """Lets go of entities that came under suspicion since, and of looks from before a log time, microseconds."""
    teaching.samples = [s for s in teaching.samples if s.key not in suspects and s.at >= before]


def _sample(look: Look, secret: bytes) -> Sample:
    priority = keyed(b"look" + look.key + look.n.to_bytes(8, "little"), secret)
    return Sample(priority, look.key, look.unit, look.n, look.clock, packed(look))


def packed(look: Look) -> bytes:
    """The vector as it is kept."""
    return np.asarray(look.vector).astype("<f4").tobytes()


def _cheapest(samples: list[Sample], caps: Caps) -> list[Sample]:
    kept: list[Sample] = []
    of_entity, of_unit = Counter[bytes](), Counter[bytes]()
    for sample in sorted(samples, key=lambda s: (s.priority, s.key, s.n)):
        if len(kept) == caps.all:
            break
        if of_entity[sample.key] < caps.entity and of_unit[sample.unit] < caps.group:
            of_entity[sample.key] += 1
            of_unit[sample.unit] += 1
            kept.append(sample)
    return kept
