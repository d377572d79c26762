"""The one-class model that `fit` teaches: River's view of how honest clients' signals go together.

Who teaches it are the looks at the learn set; its scale comes from the looks at the scale set. So what it says of the
calibration clients it says of strangers, and it is one channel more under the same promise.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from typing import NamedTuple

import msgspec

from detector.evidence.law import Law
from detector.learned import oneclass, teaching
from detector.learned.kinds import Choice
from detector.learned.looks import Look, Scales
from detector.learned.oneclass import OneClass
from detector.learned.successor import First, scales_of
from detector.learned.teaching import Caps, Teaching, packed
from detector.levels import Watch
from detector.profile.artefact import Profile
from detector.profile.learn import Measured
from detector.profile.trying import looks_at

MOST_SCALING = 3_000  # looks
Units = Sequence[tuple[bytes, bytes]]  # of each client: its key, and its group's or b""


class Watched(NamedTuple):
    """The model, its scales, and what it was made of."""

    model: OneClass
    scales: Scales
    first: First

    def watch(self, slope: float) -> Watch:
        """slope: of the boundary, the law's."""
        return lambda n, clock, vector: self.scales.channel(n, self.model.score(vector), slope)


def learn_watch(
    teachers: Measured, scalers: Measured, law: Law, units: Units, choice: Choice, secret: bytes, seed: int
) -> Watched:
    """Raises ProfileError where there are too few looks, SettingsError for a choice that cannot be."""
    taught = Teaching()
    teaching.keep(taught, _looks(teachers, law, units), secret, Caps())
    kit = teachers.kit
    rows = teaching.rows(taught, len(kit.signals))
    model = oneclass.learn(choice, rows, kit.names, seed)
    scale = tuple((look.n, packed(look)) for look in _looks(scalers, law, units)[:MOST_SCALING])
    return Watched(model, scales_of(model, scale), First(model.taught, scale))


def restored(first: First) -> Watched:
    """From what was saved. Raises ProfileError when another version of River taught it."""
    return _restored(msgspec.msgpack.encode(first))


@lru_cache(maxsize=2)
def _restored(packed: bytes) -> Watched:
    """Learning again takes a tenth of a second; who asks a model changes nothing in it, so all may share it."""
    first = msgspec.msgpack.decode(packed, type=First)
    model = OneClass(first.taught)
    return Watched(model, scales_of(model, first.scale), first)


def watched_of(profile: Profile) -> Watched | None:
    """The model of a profile, where it has one."""
    return None if profile.first is None else restored(profile.first)


def _looks(measured: Measured, law: Law, units: Units) -> list[Look]:
    first: dict[int, int] = {}
    owners, clocks = measured.owner.tolist(), measured.clock.tolist()
    for owner, clock in zip(owners, clocks, strict=True):
        first.setdefault(owner, clock)
    return [
        Look(units[owners[i]][0], n, clocks[i], vector, first[owners[i]], units[owners[i]][1])
        for i, n, vector in looks_at(measured, law)
    ]
