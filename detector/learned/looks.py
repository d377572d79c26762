"""When an entity is looked at, and the scale on which looks of all sizes compare.

An entity is looked at when 16, 32, 64, 128 ... of its queries were weighed. Its evidence grows with n, honest or not,
so a one-class score is put on the scale of the channels among honest entities *at the same look*: how rare it is. It
then is one channel more of the entity's score, beside those of the kernels, under the same boundary
(docs/mathematics.md, 4).
"""

from __future__ import annotations

from collections.abc import Sequence

import msgspec
import numpy as np
from numpy.typing import NDArray

from detector.errors import ProfileError
from detector.evidence.kernels import FIRST_LOOK
from detector.evidence.polya import doubled_of, standard
from detector.profile import calibration
from detector.profile.calibration import Scale

LOOKS = 24  # the last at 16 * 2^23 queries
FEW = 30  # scores that a look needs for a scale of its own; below, it borrows the nearest fuller look's
_GRAIN = 1e-6  # `calibration.standard` has a least spread, in nats; one-class scores have no unit
_LEAST = 0.05  # of the spread over all looks: a look at which all scores agree must not count more than others


class Look(msgspec.Struct, frozen=True, gc=False):
    """An entity as it stood after its n-th weighed query.

    key: 16 bytes. n: a power of two, at least 16. clock, first_at: microseconds of log time, now and at its first
    query. vector: (F,) float64, standardised evidence a signal. group: the key of its logged group, if any.
    """

    key: bytes
    n: int
    clock: int
    vector: NDArray[np.float64]
    first_at: int
    group: bytes = b""

    @property
    def unit(self) -> bytes:
        """What is drawn: the group where the log knows one, since siblings are not independent."""
        return self.group or self.key


class Scales(msgspec.Struct, frozen=True):
    """For each look: the scale of honest scores (calibration.Scale); seen: how many scores it has of its own."""

    of: tuple[Scale, ...]
    seen: tuple[int, ...]

    def channel(self, n: int, score: float, slope: float = 0.0) -> float:
        """A one-class score at look n, on the one scale, less the boundary.

        >>> Scales((Scale(0.2, 0.7, 0.1, 0.3),) * LOOKS, (99,) * LOOKS).channel(16, 0.7)
        0.5
        """
        channel: float = standard(score, *self.of[index_of(n)])
        boundary: float = slope * doubled_of(n)
        return channel - boundary


def index_of(n: int) -> int:
    """0 for the look at 16, 1 at 32 and so on; the last holds all beyond.

    >>> index_of(16), index_of(64)
    (0, 2)
    """
    return min(n.bit_length() - FIRST_LOOK.bit_length(), LOOKS - 1)


def scales(found: Sequence[tuple[int, float]]) -> Scales:
    """From (n, score) of the looks at honest entities of the scale set.

    Raises ProfileError when no look has enough.
    """
    index = np.array([index_of(n) for n, _ in found], np.int64)
    scores = np.array([score for _, score in found], np.float64)
    seen = np.bincount(index, minlength=LOOKS)
    full = np.flatnonzero(seen >= FEW)
    if not len(full):
        raise ProfileError(f"too few looks to set the scale of one-class scores: none of them has {FEW} clients")
    least = _LEAST * _scale(scores, 0.0).spread
    own = {int(i): _scale(scores[index == i], least) for i in full}
    lent = tuple(own[int(full[np.argmin(np.abs(full - i))])] for i in range(LOOKS))
    return Scales(lent, tuple(map(int, seen)))


def _scale(scores: NDArray[np.float64], least: float) -> Scale:
    """`least`: no spread is smaller, and no knee nearer to the centre."""
    centre, knee, spread, shape = calibration.standard(scores / _GRAIN)
    centre, knee = centre * _GRAIN, knee * _GRAIN
    return Scale(centre, max(knee, centre + least), max(spread * _GRAIN, least), shape)
