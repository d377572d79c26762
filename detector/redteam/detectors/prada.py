"""PRADA, the detector to compare with: do a client's distances to its own earlier queries look normally distributed?

Juuti, Szyller, Marchal & Asokan 2019, "PRADA: Protecting Against DNN Model Stealing Attacks", and the code that they
published (SSGAalto/prada-protecting-against-dnn-model-stealing-attacks). They choose a threshold for W
by hand; `calibrate` chooses it from honest clients so that at most a share of them is ever flagged, which is the rule
that querywarden itself is held to.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

import numpy as np
from scipy.stats import shapiro

from detector.query import F64, I64
from detector.redteam.detectors import conformal
from detector.redteam.detectors.contract import Asked

LEAST = 100  # W is looked at once there are more distances than this
OUTLIER = 3.0  # distances beyond this many standard deviations are left out of W
EVERY = 10  # queries between two looks, in the authors' code
LARGEST = 5000  # scipy's W is exact up to here; later distances are judged by the last 5,000


@dataclass
class _GrowingSet:
    """The remembered queries of one predicted class, their distances when they came, and the threshold to come in."""

    members: F64
    size: int = 1
    distances: list[float] = field(default_factory=lambda: [0.0])
    threshold: float = 0.0

    def nearest(self, x: F64) -> float:
        gaps = self.members[: self.size] - x
        return math.sqrt(float(np.einsum("ij,ij->i", gaps, gaps).min()))

    def admit(self, x: F64, distance: float) -> None:
        """x joins when it is farther than the threshold, which never falls."""
        if distance <= self.threshold:
            return
        if self.size == len(self.members):
            self.members = np.concatenate([self.members, np.empty_like(self.members)])
        self.members[self.size] = x
        self.size += 1
        self.distances.append(distance)
        self.threshold = max(self.threshold, float(np.mean(self.distances) - np.std(self.distances)))


@dataclass(frozen=True)
class Trace:
    """One client under PRADA. `looks` (m,) query counts at which W was computed, `w` (m,) its values."""

    looks: I64
    w: F64

    @property
    def least(self) -> float:
        """The lowest W ever; infinity when the client never had enough queries to be judged."""
        return float(self.w.min()) if len(self.w) else math.inf

    @property
    def running_least(self) -> F64:
        """(m,) the lowest W up to each look."""
        return np.minimum.accumulate(self.w)

    def first_alarm(self, delta: float) -> int | None:
        """Queries asked when W first fell below delta; None when it never did."""
        below = np.flatnonzero(self.w < delta)
        return int(self.looks[below[0]]) if len(below) else None


def distances(inputs: F64, labels: I64) -> tuple[F64, F64]:
    """Each query's distance to the growing set of its class, NaN for the first of a class; and the sizes of all sets.

    Inputs (n, d) in the order asked, labels (n,) as the victim predicted them -> (n,), (n,).
    """
    sets: dict[int, _GrowingSet] = {}
    nearest, sizes = np.full(len(inputs), np.nan), np.empty(len(inputs))
    for i, (x, label) in enumerate(zip(np.asarray(inputs, dtype=np.float64), labels.tolist(), strict=True)):
        known = sets.get(label)
        if known is None:
            sets[label] = _GrowingSet(np.repeat(x[None], 8, axis=0))
        else:
            nearest[i] = known.nearest(x)
            known.admit(x, nearest[i])
        sizes[i] = sum(s.size for s in sets.values())
    return nearest, sizes


def watch(inputs: F64, labels: I64, *, every: int = 1, in_class: int = 1) -> Trace:
    """Run PRADA over one client's queries, inputs (n, d) in the order asked and predicted labels (n,).

    W is computed after each `every`-th query over the classes that have `in_class` distances. The authors' code does so
    with 10 and 10; the defaults look as often and as early as the method allows. Distances are counted after the
    outliers are gone, as the code does.
    """
    nearest, _ = distances(inputs, labels)
    known = ~np.isnan(nearest)
    looks, w = [], []
    for i in range(every - 1, len(nearest), every):
        seen, of = nearest[: i + 1][known[: i + 1]], labels[: i + 1][known[: i + 1]]
        kept = without_outliers(seen[np.bincount(of)[of] >= in_class])
        if len(kept) > LEAST:
            looks.append(i + 1)
            w.append(float(shapiro(kept[-LARGEST:]).statistic))
    return Trace(np.array(looks, dtype=np.int64), np.array(w))


def without_outliers(D: F64) -> F64:
    """The distances within OUTLIER standard deviations of their mean."""
    if not len(D):
        return D
    kept: F64 = D[np.abs(D - D.mean()) <= OUTLIER * D.std()]
    return kept


def calibrate(least: Iterable[float], share: float) -> float:
    """The delta under which at most `share` of new honest clients ever fall, from the lowest W of m honest clients.

    Split conformal: -W takes the place of a score's supremum, and the threshold is the ceil((1 - share)(m + 1))-th
    smallest of those; clients that were never judged count with the lowest score. Minus infinity (no alarm, ever)
    when m is too small for the share.

    >>> calibrate([0.91, 0.95, 0.97, 0.98, 0.99, 0.96, 0.94, 0.93, 0.92], 0.2)
    0.92
    """
    return -conformal.threshold((-w for w in least), share)


class Prada:
    """PRADA as a detector of the range: W after every EVERY-th query, as in the authors' code."""

    def __init__(self) -> None:
        self._delta = -math.inf

    def fit(self, honest: Sequence[Asked], share: float) -> int:
        least = [watch(one.inputs, one.labels, every=EVERY).least for one in honest]
        self._delta = calibrate(least, share)
        return len(least)

    def first_alarm(self, client: Asked) -> int | None:
        return watch(client.inputs, client.labels, every=EVERY).first_alarm(self._delta)
