"""A one-class model of honest entities: River's detector, learned once from ordered vectors, then only asked.

What scores must be what was calibrated, so `OneClass` never learns after it was made, and what is saved is what taught
it (`Taught`): loading learns again, in the same order, with the same seed, under the same version of River, and gives
the same bits. Nothing is pickled. Vectors are rounded to float32 before they teach or are scored, so that kept ones
score as they did when they came.

Quirks of River that are settled here: `HalfSpaceTrees` judges by the last *full* window alone, so the window is what
taught it, and needs the range of every signal, so that comes from the vectors; models for one number get one a signal,
and the oddest counts; a key that is absent from the first vector is ignored for ever, so all are always given; scalers
see all vectors before the detector sees one, and River's switch to learn while predicting has no effect.

Measured (bench/learning.py): 10 trees of height 8 learn 10,000 vectors of 12 signals in 0.1 s, score one in 17 µs and
take 1 MB; the default, 25 trees, 0.3 s, 32 µs and 2.4 MB. So all 10,000 may teach: learning again at every start is no
cost. `LocalOutlierFactor` takes milliseconds a score, and remembers the last 1,000 vectors alone.
Half-space trees score as arrays here (halves.py), bit for bit, in 2 µs.

Sources: Tan, Ting, Liu 2011 (half-space trees, IJCAI); Pevný 2016 (LODA); Breunig et al. 2000 (LOF).
"""

from __future__ import annotations

from collections.abc import Sequence
from importlib.metadata import version
from typing import Any

import msgspec
import numpy as np
from numpy.typing import NDArray

from detector.errors import ProfileError, SettingsError, nearest_name
from detector.learned.halves import HALF_SPACE_TREES, Halves, halves
from detector.learned.kinds import DETECTORS, SCALERS, Choice, Step, arguments_of, checked

MOST = 10_000  # vectors
LEAST = 50
VERY_ODD = 1e9  # stands for an infinite score
_MOST = 1e32  # of a coordinate: squares and sums of float32 stay finite in float64
_USUAL = 50  # vectors that stand for all that taught, when the very odd are compared with them
_FULL = 1e-12  # of a score that ends at 1
_PROBES = (1.0, 3.0, 10.0)  # ranges beyond the highest that taught
_RANGE = (0.01, 0.99)  # quantiles between which half-space trees are cut; beyond, all is one


class Taught(msgspec.Struct, frozen=True):
    """All that a one-class model is.

    choice: with every parameter that was settled. river: its version. signals: names, in the order of the columns.
    vectors: float32, little-endian, (n, F), in the order in which they taught. seed: of the model's own randomness.
    """

    choice: Choice
    river: str
    signals: tuple[str, ...]
    vectors: bytes
    seed: int

    def array(self) -> NDArray[np.float32]:
        """(n, F)"""
        return np.frombuffer(self.vectors, "<f4").reshape(-1, len(self.signals))


class OneClass:
    """The frozen model. Higher scores are odder; all are finite; they have no unit."""

    def __init__(self, taught: Taught) -> None:
        """Learns again. Raises ProfileError when another version of River taught it."""
        if taught.river != version("river"):
            raise ProfileError(
                f"the one-class model was taught by River {taught.river}, and River {version('river')} is installed: "
                f"install river=={taught.river}, or fit anew"
            )
        self.taught = taught
        kind = DETECTORS[taught.choice.detector.kind]
        self._bounded, self._univariate = kind.bounded, kind.univariate
        self._scalers = [SCALERS[step.kind](**_own(step.parameters)) for step in taught.choice.scalers]
        own = _own(taught.choice.detector.parameters)
        self._detectors = [kind.made(**own) for _ in range(len(taught.signals) if kind.univariate else 1)]
        # Of a signal that never varied, a model for one number would find every other value infinitely odd.
        self._varies = [bool(spread > 0) for spread in np.ptp(taught.array(), axis=0)]
        self._sign = 1.0
        self._halves: Halves | None = None
        self._learn(taught.array())

    def scores(self, vectors: NDArray[Any]) -> NDArray[np.float64]:
        """(n, F) -> (n,). NaN counts as zero: what the log does not carry says nothing."""
        return np.array([self._sign * self._odd(self._scaled(row)) for row in _row(vectors)], np.float64)

    def score(self, vector: NDArray[Any]) -> float:
        """(F,) -> how odd it is."""
        return self._sign * self._odd(self._scaled(_row(vector)))

    def _learn(self, vectors: NDArray[np.float32]) -> None:
        for scaler in self._scalers:
            for vector in vectors:
                scaler.learn_one(self._scaled(vector, until=scaler))
        for vector in vectors:
            self._detect(self._scaled(vector))
        if self.taught.choice.detector.kind == HALF_SPACE_TREES and self._detectors[0].trees[0].r_mass > 0:
            self._halves = halves(self._detectors[0], self.taught.signals)
        self._sign = self._orientation(vectors)

    def _scaled(self, vector: NDArray[np.float32], until: object = None) -> dict[str, float]:
        x = dict(zip(self.taught.signals, vector.tolist(), strict=True))
        for scaler in self._scalers:
            if scaler is until:
                break
            x = scaler.transform_one(x)
        return x

    def _detect(self, x: dict[str, float]) -> None:
        if self._univariate:
            for detector, value in zip(self._detectors, x.values(), strict=True):
                detector.learn_one(None, value)
        else:
            self._detectors[0].learn_one(x)

    def _odd(self, x: dict[str, float]) -> float:
        if self._univariate:
            of = zip(self._detectors, x.values(), self._varies, strict=True)
            raw = max([_finite(detector.score_one(None, value)) for detector, value, varies in of if varies] or [0.0])
        elif self._halves is not None:
            raw = self._halves.score(np.fromiter(x.values(), np.float64, len(x)))
        else:
            raw = _finite(self._detectors[0].score_one(x))
        # On a scale that ends at 1, everything very odd would be equally odd; the order stays the same.
        return float(-np.log(max(1.0 - raw, _FULL))) if self._bounded else raw

    def _orientation(self, vectors: NDArray[np.float32]) -> float:
        """-1 when the model calls vectors beyond all that taught *less* odd, as a linear SVM may. Raises ProfileError
        when it tells nothing apart.
        """
        usual = np.array([self._odd(self._scaled(vector)) for vector in vectors[:_USUAL]])
        high, spread = vectors.max(0), np.ptp(vectors, axis=0) + 1e-3
        beyond = np.array([self._odd(self._scaled(_row(high + far * spread))) for far in _PROBES])
        if np.ptp(np.concatenate([usual, beyond])) == 0.0:
            raise ProfileError(f"{self.taught.choice.detector.kind} finds all vectors alike: choose other parameters")
        return 1.0 if beyond.mean() >= np.median(usual) else -1.0


def learn(choice: Choice, vectors: NDArray[Any], signals: Sequence[str], seed: int) -> OneClass:
    """A model taught by `vectors` (n, F) of honest entities, in this order; the first 10,000 count.

    Raises SettingsError for a choice that cannot be, ProfileError for too few vectors.

    >>> rng = np.random.default_rng(1)
    >>> model = learn(Choice(), rng.normal(size=(500, 2)), ["spacing", "margin"], seed=7)
    >>> model.score(np.array([0.0, 0.0])) < model.score(np.array([9.0, 9.0]))
    True
    >>> OneClass(model.taught).score(np.array([1.0, 0.5])) == model.score(np.array([1.0, 0.5]))
    True
    """
    if len(vectors) < LEAST:
        raise ProfileError(f"{len(vectors)} vectors are too few to teach a one-class model: it takes {LEAST}")
    rows = _row(np.asarray(vectors)[:MOST])
    settled = _settled(checked(choice), rows, tuple(signals), seed)
    return OneClass(Taught(settled, version("river"), tuple(signals), rows.astype("<f4").tobytes(), seed))


def _settled(choice: Choice, rows: NDArray[np.float32], signals: tuple[str, ...], seed: int) -> Choice:
    """The choice with what depends on the vectors written out."""
    accepted = arguments_of(DETECTORS[choice.detector.kind].made)
    own = dict(choice.detector.parameters)
    if "seed" in accepted:
        own.setdefault("seed", seed)
    if "limits" in accepted:
        own["limits"] = _limits(choice, rows, signals) | _known(own.get("limits") or {}, signals)
        own.setdefault("window_size", len(rows))
        if own["window_size"] > len(rows):
            raise SettingsError(
                f"detector.parameters.window_size: {own['window_size']} is never reached by {len(rows)} vectors"
            )
    return Choice(Step(choice.detector.kind, own), choice.scalers)


def _limits(choice: Choice, rows: NDArray[np.float32], signals: tuple[str, ...]) -> dict[str, list[float]]:
    """The range of every signal, as the detector will see it."""
    seen = [dict(zip(signals, row.tolist(), strict=True)) for row in rows]
    for step in choice.scalers:
        scaler = SCALERS[step.kind](**step.parameters)
        for x in seen:
            scaler.learn_one(x)
        seen = [scaler.transform_one(x) for x in seen]
    scaled = np.array([list(x.values()) for x in seen])
    lows, highs = np.quantile(scaled, _RANGE, axis=0)
    # A signal that does not vary needs a range all the same, or a tree could not be cut there.
    return {name: [float(lo), float(max(hi, lo + 1e-3))] for name, lo, hi in zip(signals, lows, highs, strict=True)}


def _known(limits: dict[str, Any], signals: tuple[str, ...]) -> dict[str, Any]:
    for name in limits:
        if name not in signals:
            raise SettingsError(f"detector.parameters.limits.{name}: unknown key; {nearest_name(name, signals)}")
    return limits


def _own(parameters: dict[str, Any]) -> dict[str, Any]:
    """As River takes them: JSON has no pairs, only lists."""
    own = dict(parameters)
    if own.get("limits"):
        own["limits"] = {name: tuple(pair) for name, pair in own["limits"].items()}
    return own


def _row(vectors: NDArray[Any]) -> NDArray[np.float32]:
    """One vector or many as River gets to see them: float32, finite."""
    given = np.asarray(vectors, np.float64)
    return np.where(np.isnan(given), 0.0, np.clip(given, -_MOST, _MOST)).astype(np.float32)


def _finite(score: float) -> float:
    """A score that is no number says nothing, and so is least odd."""
    if np.isnan(score):
        return -VERY_ODD
    return float(np.clip(score, -VERY_ODD, VERY_ODD))
