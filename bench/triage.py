"""Triage: what a classifier of cases knows after so many verdicts of an analyst, on attacks that nobody showed it.

python -m bench.triage [--half development|report] [--choose]
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from typing import Any, NamedTuple

import msgspec
import numpy as np

from bench.detect import Log, fitted, reader, title
from bench.results import BUILD, INK, OURS, QUIET, figure, save, save_plot, say, table
from bench.worlds import mnist_world
from detector.alert import ATTACKS
from detector.learned.kinds import Step
from detector.learned.triage import MODEL, PASSES, Answer, Evidence, Triage, evidence_of
from detector.logs import DECODERS
from detector.pipeline import Step as Pipelined
from detector.policy import Storm, Threshold
from detector.redteam.world import simulate
from detector.run.replay import replay

SEEDS = {"development": (6001, 6002), "report": (9201, 9202)}  # of the honest log, of the month that is judged
HONEST_FIT, HONEST_TEST, CAMPAIGNS, BUDGET = 600, 900, 14, 400
LOOSE = 0.10  # of honest clients: an analyst must see false alarms to learn from
FAMILIES = (
    "foreign", "line-search", "jacobian", "random-step", "active-natural", "blends", "harvest", "member-noise",
    "invert-climb", "evade-boundary@30%",
)  # fmt: skip
AFTER = (10, 20, 50, 100)  # verdicts
BINS = 5
RIVALS: dict[str, tuple[Step, int]] = {
    "logistic regression": (MODEL, PASSES),
    "logistic regression, one pass": (MODEL, 1),
    "logistic regression, no penalty": (Step(MODEL.kind, {"learning_rate": 0.05}), PASSES),
    "Hoeffding tree": (Step("river.tree.HoeffdingTreeClassifier", {"grace_period": 10}), 1),
    "adaptive random forest": (Step("river.forest.ARFClassifier", {"seed": 1, "grace_period": 10}), 1),
}


class Case(NamedTuple):
    """An opened case: whose it is (a family, or `honest`), when it was opened and on what."""

    truth: str
    at: int
    of: Evidence

    @property
    def answer(self) -> Answer:
        return "honest" if self.truth == "honest" else "attack"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--half", choices=tuple(SEEDS), default="report")
    parser.add_argument("--choose", action="store_true", help="rival classifiers side by side; nothing is saved")
    given = parser.parse_args()
    cases = opened(given.half)
    if given.choose:
        print(
            table(
                _HEAD, [row for name, (model, passes) in RIVALS.items() for row in left_out(cases, model, passes, name)]
            )
        )
        return
    found = {"half": given.half, "cases": counted(cases), **measured(cases)}
    save("triage", found, page(found))
    save_plot("triage", drawn(found))


def opened(half: str) -> list[Case]:
    """The first case of each client, in the order of log time; kept in build/, since it takes minutes."""
    kept = BUILD / "triage" / f"{half}.json"
    if not kept.exists():
        kept.parent.mkdir(parents=True, exist_ok=True)
        kept.write_bytes(msgspec.json.encode(_opened(half)))
    return msgspec.json.decode(kept.read_bytes(), type=list[Case])


def _opened(half: str) -> list[Case]:
    world, folder = mnist_world(half), BUILD / "triage"  # type: ignore[arg-type]
    fit_seed, test_seed = SEEDS[half]
    say(f"simulating {HONEST_FIT:,} honest clients for the fit")
    log = Log(simulate(world, seed=fit_seed, honest=HONEST_FIT), folder / "honest.jsonl")
    log.traffic.write(log.path)
    profile, _ = fitted(world, log)
    attackers = dict.fromkeys(FAMILIES, CAMPAIGNS)
    today = simulate(world, seed=test_seed, honest=HONEST_TEST, attackers=attackers, budget=BUDGET)
    path = folder / "today.jsonl"
    today.write(path)
    loose = Threshold("low", float(np.quantile([_score(s) for s in profile.suprema["client"]], 1 - LOOSE)))
    policy = msgspec.structs.replace(profile.summary.policy, thresholds={"client": (loose,)}, storm=Storm(at_least=0))
    say(f"replaying {len(today):,} queries at a threshold of {loose.score:.2f}")
    points: dict[tuple[str, int], Any] = {}

    def keep(step: Pipelined) -> None:
        points.update({(p.id, p.n): p for p in step.points if p.kind == "client" and not p.budget})

    done = replay(profile, policy, reader(path)(), DECODERS["native"], keep)
    found: dict[str, Case] = {}
    for alert in done.alerts:
        who = alert.entity.id
        if alert.entity.kind == "client" and alert.action == "open" and alert.kind in ATTACKS and who not in found:
            point = points[who, alert.queries]
            found[who] = Case(today.truth[who], point.at, evidence_of(point, profile.kit.names))
    return sorted(found.values(), key=lambda case: case.at)


def _score(level: int) -> float:
    from detector.tape import score_of

    return max(score_of(int(level)), 0.0)


if __name__ == "__main__":
    main()
