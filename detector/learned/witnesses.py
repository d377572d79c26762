"""Whose looks are kept whole: the entities that judge the next model.

A witness is kept with all its looks inside its first horizon and, once that horizon closed, with the highest grid level
of its kernel channels in it. So whatever the next model is, its supremum on the witness can be computed exactly. High
scorers are witnesses like any other: leaving them out would ratchet (docs/mathematics.md, 5). Which units are kept is
decided by a keyed hash, and one entity stands for a group.
"""

from __future__ import annotations

from collections.abc import Iterable

import msgspec
import numpy as np
from numpy.typing import NDArray

from detector.evidence.kernels import FIRST_LOOK
from detector.learned.looks import LOOKS, Look
from detector.learned.teaching import JUDGE, keyed, packed, role_of

MOST = 3_000


class Ended(msgspec.Struct, frozen=True):
    """An entity's first horizon closed. n: its weighed queries in it; kernel: the highest grid level of its kernel
    channels (detector.tape).

    Needed of entities that were never looked at, too: whoever asks less than 16 queries is an honest client as well.
    """

    key: bytes
    first_at: int
    n: int
    kernel: int
    group: bytes = b""

    @property
    def unit(self) -> bytes:
        return self.group or self.key


class Witness(msgspec.Struct, frozen=True):
    """looks: (n, float32 vector) in the order of n. kernel: None while the first horizon is open."""

    key: bytes
    unit: bytes
    first_at: int
    looks: tuple[tuple[int, bytes], ...] = ()
    kernel: int | None = None

    def vectors(self) -> NDArray[np.float32]:
        """(looks, F)"""
        return np.stack([np.frombuffer(vector, "<f4") for _, vector in self.looks])


class Witnesses(msgspec.Struct):
    """By unit. The functions below change it in place."""

    judges: dict[bytes, Witness] = {}


def witness(kept: Witnesses, looks: Iterable[Look], ended: Iterable[Ended], horizon_us: int, secret: bytes) -> None:
    """What came in one tick, in any order. Looks after an entity's first horizon are not kept."""
    for look in sorted(looks, key=lambda look: (look.key, look.n)):
        if look.clock - look.first_at < horizon_us:
            new = Witness(look.key, look.unit, look.first_at, ((look.n, packed(look)),))
            _note(kept, new, look.n == FIRST_LOOK, secret)
    for end in sorted(ended, key=lambda end: end.key):
        _note(kept, Witness(end.key, end.unit, end.first_at, (), end.kernel), end.n < FIRST_LOOK, secret)
    if len(kept.judges) > MOST:
        for unit in sorted(kept.judges, key=lambda unit: keyed(b"kept" + unit, secret))[MOST:]:
            del kept.judges[unit]


def expire(kept: Witnesses, before: int) -> None:
    """Lets go of witnesses whose first query is older than a log time, microseconds."""
    for unit in [unit for unit, one in kept.judges.items() if one.first_at < before]:
        del kept.judges[unit]


def _note(kept: Witnesses, new: Witness, whole: bool, secret: bytes) -> None:
    """whole: nothing of the entity was missed. Whoever was let go for want of room must not come back in part: its
    supremum would be too low.
    """
    if role_of(new.unit, secret) != JUDGE:
        return
    old = kept.judges.get(new.unit)
    if old is not None and old.key == new.key:
        kept.judges[new.unit] = _joined(old, new)
    elif whole and (old is None or _stands(new, secret) < _stands(old, secret)):
        kept.judges[new.unit] = new


def _joined(old: Witness, new: Witness) -> Witness:
    looks = dict(old.looks) | dict(new.looks)
    kernel = new.kernel if old.kernel is None else old.kernel
    return Witness(old.key, old.unit, old.first_at, tuple(sorted(looks.items())[:LOOKS]), kernel)


def _stands(one: Witness, secret: bytes) -> int:
    return keyed(b"stands" + one.key, secret)
