"""Triage: a classifier that learns from analysts' verdicts which open case is likely an attack. It orders, and no more.

Its word is no evidence: nothing that decides knows this file, so no verdict can raise, lower or suppress an alert, and
the promised share of false alarms is that of the calibration whatever is said here.

River's logistic regression behind River's scaler, taught in the order in which verdicts were given. Nothing of it is
saved: verdicts are kept with the evidence that they were given on, and whoever asks learns again, which gives the same
bits under the same version of River. Cases that the range made (redteam/made.py) may be among them. Every verdict is
shown PASSES times, since analysts give few. Before LEAST of either answer there is no probability: the base rate of a
handful of verdicts is no knowledge.

What it misses: an attack unlike all that was judged is ordered by what it shares with them. Who trips it innocently: an
analyst who calls honest clients of one habit attackers teaches that the habit is one; the note and the name stay.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from math import copysign, exp, log, log1p, log2
from typing import Any, Literal, NamedTuple

import msgspec

from detector.alert import Attack
from detector.exposure.known import MEASURES
from detector.learned.kinds import SCALERS, Step, classifier
from detector.tape import Point, score_of

Answer = Literal["attack", "honest", "automation", "unsure"]
ANSWERS: tuple[Answer, ...] = ("attack", "honest", "automation", "unsure")
ATTACKED: Mapping[Answer, bool | None] = {"attack": True, "honest": False, "automation": False, "unsure": None}
LEAST = 12  # verdicts of either answer; with fewer the score alone orders better (bench/triage.py)
PASSES = 10  # chosen on development cases (bench/triage.py)
SCALER = Step("river.preprocessing.StandardScaler")
MODEL = Step("river.linear_model.LogisticRegression", {"learning_rate": 0.02, "l2": 0.05})
SEQUENCE, SCORE, QUERIES = "sequence.sweep", "score", "queries"
_SURE = 1e-6  # a logit stays finite
_DECIBAN = 10 / log(10)


class Evidence(msgspec.Struct, frozen=True):
    """What a verdict was given on: the point of the tape at which the entity's score was highest since its case began.

    signals: names, in the order of `odds` and `evidence`; those and `sequence` as in `tape.Point`. exposed: odds per
    measure (known.MEASURES), empty where nothing was known. attack: the name that the evidence gave.
    """

    signals: tuple[str, ...]
    odds: tuple[int, ...]
    evidence: tuple[int, ...]
    exposed: tuple[int, ...]
    sequence: int
    queries: int
    level: int
    attack: Attack


class Contribution(NamedTuple):
    """What one number of the evidence adds, in decibans of the odds; below zero it speaks for honest."""

    name: str
    decibans: float


class Word(NamedTuple):
    """probability: that a case is an attack; verdicts: that taught; because: strongest first."""

    probability: float
    verdicts: int
    because: tuple[Contribution, ...]


def evidence_of(point: Point, signals: Sequence[str]) -> Evidence:
    """What is kept of a point of the tape that is no budget's."""
    names = tuple(signals[: len(point.odds)])
    exposed = point.exposed.odds if point.exposed else ()
    return Evidence(names, point.odds, point.evidence, exposed, point.sequence, point.n, point.level, point.attack)


def vector(of: Evidence) -> dict[str, float]:
    """The numbers that River sees: always the same names, since it ignores one that the first vector lacks."""
    found = {name: _pressed(odds) for name, odds in zip(of.signals, of.odds, strict=True)}
    exposed = of.exposed or (0,) * len(MEASURES)
    found |= {name: _pressed(odds) for name, odds in zip(MEASURES, exposed, strict=True)}
    score = max(score_of(of.level), 0.0)
    return found | {SEQUENCE: _pressed(of.sequence), SCORE: log1p(score), QUERIES: log2(max(of.queries, 1))}


def _pressed(odds: int) -> float:
    """Hundredths of the score's unit, which run into the thousands for noise, on a scale where that is not all."""
    return copysign(log1p(abs(odds) / 100), odds)


class Triage:
    """The classifier. `learn` changes it, `word` never does."""

    def __init__(self, model: Step = MODEL, passes: int = PASSES) -> None:
        self._scaler: Any = SCALERS[SCALER.kind]()
        self._model: Any = classifier(model)
        self._passes = passes
        self._seen: list[tuple[dict[str, float], bool]] = []

    def learn(self, of: Evidence, answer: Answer) -> None:
        """A verdict; `unsure` teaches nothing."""
        attacked = ATTACKED[answer]
        if attacked is None:
            return
        x = vector(of)
        self._seen.append((x, attacked))
        self._scaler.learn_one(x)
        for _ in range(self._passes):
            self._model.learn_one(self._scaler.transform_one(x), attacked)

    @property
    def speaks(self) -> bool:
        """Whether enough verdicts of either answer taught it."""
        attacked = sum(attacked for _, attacked in self._seen)
        return min(attacked, len(self._seen) - attacked) >= LEAST

    def word(self, of: Evidence, most: int = 3) -> Word | None:
        """None before LEAST verdicts of either answer taught. most: contributions that are told."""
        if not self.speaks:
            return None
        x = self._scaler.transform_one(vector(of))
        logit = self._logit(x)
        # Scaled numbers have a mean of 0: what a number adds is what goes when it is as usual.
        parts = [Contribution(name, _DECIBAN * (logit - self._logit({**x, name: 0.0}))) for name in x]
        strongest = sorted(parts, key=lambda part: (-abs(part.decibans), part.name))[:most]
        return Word(1 / (1 + exp(-logit)), len(self._seen), tuple(p for p in strongest if p.decibans))

    def _logit(self, x: dict[str, float]) -> float:
        p = min(max(self._model.predict_proba_one(x).get(True, 0.5), _SURE), 1 - _SURE)
        return log(p / (1 - p))


def taught(verdicts: Iterable[tuple[Evidence, Answer]], model: Step = MODEL) -> Triage:
    """A classifier that learned verdicts, in their order; the same ones always give the same.

    >>> from detector.learned.triage import Evidence, taught
    >>> odd = Evidence(("spacing",), (300,), (900,), (), 0, 64, 96, "extraction")
    >>> usual = Evidence(("spacing",), (60,), (90,), (), 0, 64, 30, "extraction")
    >>> triage = taught([(odd, "attack"), (usual, "honest")] * 12)
    >>> triage.word(odd).probability > 0.5 > triage.word(usual).probability
    True
    """
    made = Triage(model)
    for of, answer in verdicts:
        made.learn(of, answer)
    return made
