"""Is the promise kept? Refits on other honest clients, each judged on fresh ones, by the law that it states.

python -m bench.promise
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from bench.laws import Count, held
from bench.results import INK, LINE, OURS, QUIET, figure, save, save_plot, say, table
from bench.worlds import mnist_world
from detector.columns import AS_NUMBERS
from detector.entities import Name, entity_key
from detector.learned.kinds import Choice
from detector.profile import (
    calibration,
    exposing,
    honest,
    learn,
    lessons,
    projection,
    scaling,
    sequencing,
    sets,
    trying,
    watching,
)
from detector.query import Batch, Query
from detector.redteam.detectors.conformal import interval
from detector.redteam.world import World, simulate
from detector.tape import level_of
from features import NUMBERS, joint
from features.contract import Learned, Reference

SEED = 8101  # and one more for each refit
FIT, TEST, REFITS = 1_500, 600, 24
SHARES = (0.05, 0.02, 0.01, 0.005, 0.002)
FOREVER_US = 2**61
VOLUMES = (*trying.VOLUMES, 10**9)


class Judged(NamedTuple):
    """One refit under one promise: m calibration clients, rank k, and how many of n test clients passed."""

    share: float
    confidence: float | None
    m: int
    k: int
    n: int
    passed: int


def main() -> None:
    seen = _seen()
    judged: list[Judged] = []
    passed_by_volume = np.zeros(len(VOLUMES) - 1)
    seen_by_volume = np.zeros(len(VOLUMES) - 1)
    for refit in range(REFITS):
        found, passed, volume = _refit(seen, refit)
        judged += found
        place = np.digitize(volume, VOLUMES) - 1
        np.add.at(seen_by_volume, place, 1)
        np.add.at(passed_by_volume, place, passed)
        say(f"refit {refit + 1} of {REFITS}: " + ", ".join(f"{j.passed} of {j.n} at {j.share:.1%}" for j in found))
    rows = [_row([j for j in judged if (j.share, j.confidence) == which]) for which in _promises()]
    volumes = [_volume_row(i, passed_by_volume[i], seen_by_volume[i]) for i in range(len(seen_by_volume))]
    _draw(judged)
    save("promise", {"refits": [j._asdict() for j in judged], "volumes": volumes}, _page(rows, volumes, judged))


def _promises() -> list[tuple[float, float | None]]:
    return [*((share, None) for share in SHARES), (0.01, 0.9)]


class Seen(NamedTuple):
    """The world, and what `fit` learns of its training data, which depends on no client."""

    world: World
    projected: projection.Projection
    reference: Reference
    learned: Learned


def _seen() -> Seen:
    world = mnist_world("report")
    inputs, labels = honest.thinned(world.train.pixels, world.train.classes.astype(np.int32), SEED)
    projected = projection.learn(inputs, SEED)
    reference = Reference(projected.apply(inputs)[0], labels, SEED)
    return Seen(world, projected, reference, NUMBERS.learn(reference))


class Asked(NamedTuple):
    """What FIT + TEST clients asked that no other refit has, and their volumes."""

    batch: Batch
    raw: honest.Raw
    salts: NDArray[np.uint64]
    volume: NDArray[np.int64]


def _asked(seen: Seen, seed: int) -> Asked:
    traffic = simulate(seen.world, seed=seed, honest=FIT + TEST)
    inputs = np.round(traffic.inputs.astype(np.float64), 4)
    x, residual, roughness = seen.projected.apply(inputs)
    owner = traffic.account.astype(np.int64)
    top = np.sort(traffic.probabilities, axis=1)[:, :-3:-1].copy()
    n = len(traffic)
    batch = Batch(
        slots=owner,
        at=traffic.at,
        x=x,
        residual=residual,
        roughness=roughness,
        labels=traffic.labels,
        top=top,
        ids=np.arange(1, n + 1, dtype=np.uint64),
        odd=np.zeros(n, np.uint8),
        form=np.zeros((n, 0)),
    )
    keys = [entity_key(Name("mnist", "client", account.client), b"bench") for account in traffic.accounts]
    salts = np.array([int.from_bytes(key[:8], "little") for key in keys], np.uint64)
    raw = honest.Raw(owner, inputs, batch.form, top, traffic.probabilities.astype(np.float64), [])
    return Asked(batch, raw, salts, np.bincount(owner))


def _measured(
    seen: Seen, asked: Asked, of: NDArray[np.int8], refit: int
) -> tuple[learn.Measured, lessons.Lessons, Learned]:
    """The signals and the exposure of all clients, as `fit` learns to measure them from those that it drew, and what it
    learned for that: of (FIT + TEST,) is the set of each, -1 for those that are tested.
    """
    names = [str(client) for client in range(FIT + TEST)]
    imagining, teaching = lessons.drawn(names, of == sets.LEARN, refit)
    taught = lessons.prepared(asked.raw, imagining, teaching, seen.projected, refit)
    assert taught is not None
    reference = seen.reference._replace(lessons=(taught.honest, taught.made))
    learned = {**seen.learned, **joint.FEATURE.learn(reference)}
    known = exposing.learn(asked.batch, of == sets.LEARN, learned["cells"], refit)
    secret = np.uint64(refit)
    measured = learn.signals(NUMBERS, asked.batch, asked.salts, learned, known, FOREVER_US, secret)
    measured = lessons.out_of_sight(measured, taught)
    scalers = measured.of(of == sets.SCALE)
    return measured.exposed(exposing.scaled(known, scalers.owner, scalers.taught)), taught, learned


def _teachers(asked: Asked, chosen: NDArray[np.bool_], measured: learn.Measured) -> sequencing.Teachers:
    """sequencing.half_of, without a log."""
    order = np.argsort(asked.raw.owner, kind="stable")
    owner = asked.raw.owner[order]
    ordinal = np.arange(len(owner)) - np.searchsorted(owner, owner)
    rows = order[chosen[owner] & (ordinal < honest.SAMPLE_PER_CLIENT)]
    answers = zip(asked.batch.labels[rows].tolist(), asked.raw.probabilities[rows].tolist(), strict=True)
    inputs = asked.raw.inputs[rows].tolist()
    queries = [
        Query(0, "", "mnist", row, label=label, probabilities=told)
        for row, (label, told) in zip(inputs, answers, strict=True)
    ]
    return sequencing.Teachers(queries, asked.raw.owner[rows], measured.of(chosen), referees=False)


def _refit(seen: Seen, refit: int) -> tuple[list[Judged], NDArray[np.bool_], NDArray[np.int64]]:
    """Does with the first FIT clients what `fit` does between reading and saving, and judges the others.

    Also which of the tested clients passed the loosest threshold, and their volumes.
    """
    asked = _asked(seen, SEED + refit)
    need = calibration.entities_needed(min(SHARES), None)
    drawn = sets.draw([str(client) for client in range(FIT)], {}, np.ones(FIT, np.bool_), refit, [need])
    of = np.concatenate([drawn.of, np.full(TEST, -1, np.int8)])
    measured, taught, learned = _measured(seen, asked, of, refit)
    nulls = learn.learn_nulls(measured.of(of == sets.LEARN))
    scalers = measured.of(of == sets.SCALE)
    law = scaling.learn_scale(scalers, nulls, nulls.active)
    half = _teachers(asked, (of == sets.LEARN) & ~taught.clients, measured)
    known = sequencing.Known(NUMBERS, AS_NUMBERS, seen.projected, learned, nulls, worded=False, copy=taught.copy)
    spoken, why = sequencing.learn_sequences([half], scalers, known, refit)
    assert spoken is not None, why
    law = sequencing.speaking(law, spoken.weights, nulls, scalers)
    units = [(client.to_bytes(16, "little"), b"") for client in range(FIT + TEST)]
    teach = measured.of(of == sets.LEARN), scalers, law, units
    watch = watching.learn_watch(*teach, Choice(), b"bench", refit).watch(law.slope)
    suprema = np.sort(trying.try_clients(measured.of(of == sets.CALIBRATE), law, watch).suprema)
    reached = trying.try_clients(measured.of(of == -1), law, watch)
    found, loosest = [], np.zeros(TEST, np.bool_)
    for share, confidence in _promises():
        threshold = calibration.threshold(suprema, share, confidence=confidence)
        passed = reached.suprema >= level_of(threshold.score)
        found.append(Judged(share, confidence, len(suprema), threshold.rank, len(passed), int(passed.sum())))
        if share == max(SHARES):
            loosest = passed
    return found, loosest, asked.volume[reached.owners]


def _count(j: Judged) -> Count:
    return Count(j.m, j.k, j.n, j.passed)


def _row(of: list[Judged]) -> tuple[str, ...]:
    passed, tested = sum(j.passed for j in of), sum(j.n for j in of)
    outside, uniform = held([_count(j) for j in of], SEED)
    kept = sum(j.passed <= j.share * j.n for j in of)
    first = of[0]
    name = f"{first.share:.1%}" + (f" with confidence {first.confidence:.0%}" if first.confidence else "")
    return (
        name,
        str(first.m),
        f"{passed / tested:.2%}",
        f"{outside} of {len(of)}",
        f"{kept} of {len(of)}",
        f"{uniform:.2f}",
    )


def _volume_row(i: int, passed: float, seen: float) -> tuple[str, str, str, str]:
    low, high = interval(int(passed), int(seen))
    until = f"to {VOLUMES[i + 1] - 1}" if i + 2 < len(VOLUMES) else "or more"
    return f"{VOLUMES[i]} {until}", f"{int(seen):,}", f"{passed / seen:.2%}", f"{low:.2%} - {high:.2%}"


def _page(rows: list[tuple[str, ...]], volumes: list[Any], judged: list[Judged]) -> str:
    head = ["promise", "calibration clients", "passed, pooled", "outside 95% of the law", "at or below", "uniform, p"]
    return f"""# Is the promise kept?

`python -m bench.promise`. MNIST, report half. {REFITS} times: {FIT:,} honest clients to fit (learn, scale, calibrate),
{TEST} others to test, all of them fresh each time, so that the refits are independent. Each count of named clients has
its place in the Beta-binomial law of the promise; p is that of a Kolmogorov-Smirnov test that the places (randomised,
since counts are discrete) are uniform.

{table(head, rows)}

Flat in volume? Test clients that passed at {max(SHARES):.0%}, by how many queries they asked:

{table(["queries", "clients tested", "passed", "95% interval"], volumes)}

![Share of honest clients named, refit by refit; grey is where 95 of 100 belong](promise.png)
"""


def _draw(judged: list[Judged]) -> None:
    drawn, axes = figure(8, 3.6, ncols=len(SHARES))
    for axis, share in zip(axes, SHARES, strict=True):
        of = [j for j in judged if j.share == share and j.confidence is None]
        law = _count(of[0]).law
        axis.axhspan(100 * law.ppf(0.025) / of[0].n, 100 * law.ppf(0.975) / of[0].n, color=QUIET, alpha=0.2, lw=0)
        axis.axhline(100 * share, color=LINE, linewidth=1)
        axis.plot([100 * j.passed / j.n for j in of], "o", color=OURS, markersize=4)
        axis.set_title(f"promised {share:.1%}", color=INK)
        axis.set_xlabel("refit")
        axis.set_ylim(bottom=-0.02 * 100 * share)
    axes[0].set_ylabel("honest clients named, %")
    save_plot("promise", drawn)


if __name__ == "__main__":
    main()
