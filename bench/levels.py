"""Is the promise kept at each level? Whole fits and replays on fresh clients, counted by client and by organisation.

python -m bench.levels
"""

from __future__ import annotations

from collections import Counter
from typing import NamedTuple

import msgspec
import numpy as np

from bench.laws import Count, held
from bench.logs import reader
from bench.results import BUILD, save, say, table
from bench.worlds import mnist_world
from detector.logs import DECODERS
from detector.policy import Storm
from detector.profile import fit
from detector.profile.artefact import Profile
from detector.profile.training import Training
from detector.redteam.world import World, simulate
from detector.run.replay import replay

SEED = 8501  # and one more for each refit
FIT, TEST, REFITS = 1_500, 600, 12
PROMISE = 0.05  # a fifth of it is the organisations': as little as so many of them can carry
LEVELS = ("client", "organisation")


class Judged(NamedTuple):
    """One refit at one level: m calibration entities, rank k, and how many of n fresh ones were named."""

    level: str
    share: float
    m: int
    k: int
    n: int
    named: int


def main() -> None:
    world = mnist_world("report")
    judged: list[Judged] = []
    for refit in range(REFITS):
        found = _refit(world, SEED + refit)
        judged += found
        say(f"refit {refit + 1} of {REFITS}: " + ", ".join(f"{j.level} {j.named} of {j.n}" for j in found))
    save("levels", {"refits": [j._asdict() for j in judged]}, _page(judged))


def _refit(world: World, seed: int) -> list[Judged]:
    folder = BUILD / "levels"
    folder.mkdir(parents=True, exist_ok=True)
    learned, today = folder / "honest.jsonl", folder / "today.jsonl"
    simulate(world, seed=seed, honest=FIT).write(learned)
    fresh = simulate(world, seed=seed + 100, honest=TEST)
    fresh.write(today)
    training = Training(world.train.pixels, world.train.classes.astype(np.int32))
    options = fit.Options(promise=PROMISE, horizon_us=None, seed=seed)
    profile = fit.fit(reader(learned), DECODERS["native"], training, options, lambda what: None)
    policy = msgspec.structs.replace(profile.summary.policy, storm=Storm(at_least=0))
    done = replay(profile, policy, reader(today)(), DECODERS["native"])
    named = {(alert.entity.kind, alert.entity.id) for alert in done.alerts if alert.action == "open"}
    there = {"client": len(fresh.accounts), "organisation": len({account.organisation for account in fresh.accounts})}
    by_level = Counter(kind for kind, _ in named)
    return [_judged(profile, level, there[level], by_level[level]) for level in LEVELS]


def _judged(profile: Profile, level: str, n: int, named: int) -> Judged:
    known = profile.level(level)
    assert known.share is not None
    assert known.rank is not None
    return Judged(level, known.share, known.calibrated, known.rank, n, named)


def _row(of: list[Judged]) -> tuple[str, ...]:
    outside, uniform = held([Count(j.m, j.k, j.n, j.named) for j in of], SEED)
    named, tested = sum(j.named for j in of), sum(j.n for j in of)
    return (
        of[0].level, f"{of[0].share:.1%}", f"{min(j.m for j in of)}", f"{named / tested:.2%} of {tested:,}",
        f"{outside} of {len(of)}", f"{uniform:.2f}",
    )  # fmt: skip


def _page(judged: list[Judged]) -> str:
    head = ["level", "promise", "calibrate at least", "named, pooled", "outside 95% of the law", "uniform, p"]
    return f"""# Is the promise kept at each level?

`python -m bench.levels`. MNIST, report half. {REFITS} times `fit` on {FIT:,} honest clients with a promise of
{PROMISE:.0%} in all, and a replay of {TEST} others, fresh each time. Organisations have one to five clients. Each count
of named entities has its place in the Beta-binomial law of its level's share; p is that of a Kolmogorov-Smirnov test
that the places (randomised, since counts are discrete) are uniform.

{table(head, [_row([j for j in judged if j.level == level]) for level in LEVELS])}
"""


if __name__ == "__main__":
    main()
