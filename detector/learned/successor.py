"""The model of the next epoch: learned beside the one in force, calibrated anew, and shown with its before and after.

Teachers and judges are disjoint (teaching.py). The scale is set by looks at the scale set of `fit`, always the same
ones: attackers among fresh ones would widen the unit until the model has no voice, and leaving those out who score high
would narrow it from round to round. A judge's supremum is the larger of its kernel
channels' and of the new model's channel over its looks; thresholds come from those suprema by their conformal rank
(detector.profile.calibration). Nobody is left out for a high score. Judges that an analyst's verdict called an attack
count as suprema of +infinity: enough of them, and no successor can be had, which is right, since something is going on.

Half of what teaches is what taught the *first* model, at `fit`: whoever drifts a little every epoch, so that each model
finds the last one's odd usual (Kloft, Laskov 2010, "online anomaly detection under adversarial impact"), has at most
the other half to speak to.

A successor takes over by itself only if what it would change can be chance: the judges that the model in force names
are no more than its promise explains (Beta-binomial, one in a hundred), and the kept vectors of attacks are still
found. Otherwise a person looks first: judges are where contamination hides.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import NamedTuple

import msgspec
import numpy as np
from numpy.typing import NDArray
from scipy.stats import beta, betabinom

from detector.learned.looks import Scales, scales
from detector.learned.oneclass import MOST, OneClass, Taught, learn
from detector.learned.teaching import Sample, Teaching, keyed
from detector.learned.witnesses import Witness, Witnesses
from detector.profile.calibration import Threshold, threshold
from detector.tape import level_of, score_of

CHANCE = 0.01  # of asking a person for nothing
LOST = 0.05  # share of the kept attacks that may go unfound without a person looking


class First(msgspec.Struct, frozen=True):
    """What `fit` leaves for all that follow: what taught the first model, and looks (n, float32 vector) at the clients
    of its scale set, a few thousand at most. attacks: the share of kept attacks that it found, where there are any.
    """

    taught: Taught
    scale: tuple[tuple[int, bytes], ...]
    attacks: float | None = None


class InForce(NamedTuple):
    """The model that scores, its scales, and the threshold of the combined score with its rank's law."""

    model: OneClass
    scales: Scales
    threshold: Threshold
    first: First


class Rules(msgspec.Struct, frozen=True, kw_only=True):
    """share: of honest clients, promised. slope: of the boundary, the profile's. approval: always ask a person."""

    share: float
    horizon_us: int
    slope: float = 0.0
    confidence: float | None = None
    approval: bool = False
    anchored: float = 0.5
    most: int = MOST


class Side(msgspec.Struct, frozen=True):
    """How judges fare under one model: `named` of `judges`; low, high: 5th and 95th percentile of the honest share that
    passes, by Beta(named + 1, judges - named) (for the rank that was calibrated on them, exactly the promise's law).
    """

    threshold: float
    named: int
    judges: int
    low: float
    high: float
    attacks: float | None  # share of kept attacks at or above the threshold


class Successor(msgspec.Struct, frozen=True):
    """What takes over, from a log time at or after `closed_at` (detector.learned.takeover).

    suprema: grid levels of the judges, ascending. taken_out: judges that count as +infinity. automatic: it may take
    over by itself; why_not: sentences for the person who must approve it else.
    """

    taught: Taught
    scales: Scales
    suprema: tuple[int, ...]
    taken_out: int
    threshold: Threshold
    before: Side
    after: Side
    closed_at: int
    automatic: bool
    why_not: tuple[str, ...] = ()

    def in_force(self, first: First) -> InForce:
        return InForce(OneClass(self.taught), self.scales, self.threshold, first)


def succeed(
    now: InForce,
    teaching: Teaching,
    kept: Witnesses,
    rules: Rules,
    closed_at: int,
    secret: bytes,
    attacks: Sequence[Witness] = (),
    verdicts: Collection[bytes] = (),
) -> Successor:
    """At the close of an epoch. `verdicts`: keys that an analyst called an attack. `attacks`: kept ones, never learned.

    Call `teaching.forget` first. Raises PromiseRefused when the judges cannot carry the promise, ProfileError when
    there is too little to learn from: the model in force then stays.
    """
    model = _taught(now.first.taught, teaching.samples, rules, secret)
    scale = scales_of(model, now.first.scale)
    closed = [one for _, one in sorted(kept.judges.items()) if _is_closed(one, rules, closed_at)]
    judges = [one for one in closed if one.key not in verdicts]
    suprema = supremum_levels(judges, model, scale, rules.slope)
    out = len(closed) - len(judges)
    fired = threshold(np.sort(suprema), rules.share, excluded=out, confidence=rules.confidence)
    old = supremum_levels(judges, now.model, now.scales, rules.slope)
    before = _side(old, now.threshold.score, _found(attacks, now.model, now.scales, now.threshold.score, rules))
    after = _side(suprema, fired.score, _found(attacks, model, scale, fired.score, rules))
    why = _why_not(before, after, now, rules)
    return Successor(
        model.taught, scale, tuple(map(int, np.sort(suprema))), out, fired, before, after, closed_at, not why, why
    )


def scales_of(model: OneClass, looks: Sequence[tuple[int, bytes]]) -> Scales:
    """A model's scales from kept looks (n, float32 vector). Raises ProfileError for too few."""
    return scales([(n, model.score(np.frombuffer(vector, "<f4"))) for n, vector in looks])


def supremum_levels(witnesses: Sequence[Witness], model: OneClass, scale: Scales, slope: float) -> NDArray[np.int64]:
    """(witnesses,) grid levels: the larger of what the kernels said and what the model says of the looks."""
    found = []
    for one in witnesses:
        channel = [scale.channel(n, score, slope) for n, score in _scored(one, model)]
        found.append(max([level_of(value) for value in channel] + [one.kernel or 0]))
    return np.array(found, np.int64)


def _scored(one: Witness, model: OneClass) -> list[tuple[int, float]]:
    if not one.looks:
        return []
    return [(n, float(score)) for (n, _), score in zip(one.looks, model.scores(one.vectors()), strict=True)]


def _taught(first: Taught, samples: Sequence[Sample], rules: Rules, secret: bytes) -> OneClass:
    """A model of the anchors and of the fresh, mixed in the order of a keyed hash."""
    anchors = first.array()
    anchored = min(len(anchors), int(rules.anchored * rules.most))
    fresh = [np.frombuffer(sample.vector, "<f4") for sample in samples[: rules.most - anchored]]
    rows = np.concatenate([anchors[:anchored], np.reshape(fresh, (-1, anchors.shape[1]))])
    order = sorted(range(len(rows)), key=lambda i: keyed(i.to_bytes(4, "little") + rows[i].tobytes()[:56], secret))
    choice = first.choice
    detector = msgspec.structs.replace(choice.detector, parameters=_unsettled(choice.detector.parameters, len(anchors)))
    return learn(msgspec.structs.replace(choice, detector=detector), rows[order], first.signals, first.seed)


def _unsettled(parameters: dict[str, object], anchors: int) -> dict[str, object]:
    """Without the window that was all that taught the first model. Its ranges stay: trees are cut where they were."""
    own = dict(parameters)
    if own.get("window_size") == anchors:
        del own["window_size"]
    return own


def _is_closed(one: Witness, rules: Rules, closed_at: int) -> bool:
    return one.kernel is not None and one.first_at + rules.horizon_us <= closed_at


def _found(attacks: Sequence[Witness], model: OneClass, scale: Scales, score: float, rules: Rules) -> float | None:
    if not attacks:
        return None
    levels = supremum_levels(attacks, model, scale, rules.slope)
    return float(np.mean([score_of(int(level)) >= score for level in levels]))


def _side(levels: NDArray[np.int64], score: float, attacks: float | None) -> Side:
    named = int(sum(score_of(int(level)) >= score for level in levels))
    law = beta(named + 1, max(len(levels) - named, 1))
    return Side(score, named, len(levels), float(law.ppf(0.05)), float(law.ppf(0.95)), attacks)


def _why_not(before: Side, after: Side, now: InForce, rules: Rules) -> tuple[str, ...]:
    why = ["the policy asks for approval"] if rules.approval else []
    m, rank = now.threshold.entities + now.threshold.excluded, now.threshold.rank
    most = int(betabinom(before.judges, m + 1 - rank, rank).ppf(1 - CHANCE))
    if before.named > most:
        why.append(
            f"the model in force names {before.named} of {before.judges} judges, more than the {most} that its promise "
            "explains: the population moved, or attackers are among the judges"
        )
    if before.attacks is not None and after.attacks is not None:
        best = max(before.attacks, now.first.attacks or 0.0)  # the first too: a little each epoch is also a loss
        if after.attacks < best - LOST:
            why.append(f"of the kept attacks it finds {after.attacks:.0%} instead of {best:.0%}")
    return tuple(why)
