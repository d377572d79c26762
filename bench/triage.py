"""Triage: what a classifier of cases knows after so many verdicts of an analyst, on attacks that nobody showed it.

python -m bench.triage [--half development|report] [--choose]
"""

from __future__ import annotations

import argparse
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import msgspec
import numpy as np

from bench.detect import fitted, honest_log, title
from bench.results import BUILD, INK, OURS, QUIET, figure, save, save_plot, say, table
from bench.worlds import mnist_world
from detector.alert import ATTACKS
from detector.learned.kinds import Step
from detector.learned.triage import LEAST, MODEL, PASSES, Answer, Evidence, Triage, evidence_of
from detector.logs import DECODERS
from detector.pipeline import Step as Pipelined
from detector.policy import Storm, Threshold
from detector.redteam.world import simulate
from detector.run.replay import read_logs, replay
from detector.tape import Point, score_of

# Of the honest log, of the month that is judged, of the one that is made to teach first.
SEEDS = {"development": (6001, 6002, 6003), "report": (9201, 9202, 9203)}
HONEST_FIT, HONEST_TEST, CAMPAIGNS, BUDGET = 600, 900, 14, 400
LOOKED_AT_US = 86_400_000_000  # an analyst looks at a case a day after it was opened
LOOSE = 0.10  # of honest clients: an analyst must see false alarms to learn from
FAMILIES = (
    "foreign", "line-search", "jacobian", "random-step", "active-natural", "blends", "harvest", "member-noise",
    "invert-climb", "evade-boundary@30%",
)  # fmt: skip
AFTER = (10, 20, 50, 100)  # verdicts
BINS = 5
EDGE = 0.001  # no probability counts as surer
RIVALS: dict[str, tuple[Step, int]] = {
    "logistic regression": (MODEL, PASSES),
    "logistic regression, one pass": (MODEL, 1),
    "logistic regression, no penalty": (Step(MODEL.kind, {"learning_rate": 0.02}), PASSES),
    "logistic regression, faster": (Step(MODEL.kind, {"learning_rate": 0.05, "l2": 0.05}), PASSES),
    "Hoeffding tree": (Step("river.tree.HoeffdingTreeClassifier", {"grace_period": 10}), 1),
    "adaptive random forest": (Step("river.forest.ARFClassifier", {"seed": 1, "grace_period": 10}), 1),
}


class Case(NamedTuple):
    """An opened case: whose it is (a family, or `honest`), when an analyst looked at it and what he saw."""

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
        print(rivals(cases))
        return
    found = {"half": given.half, "cases": counted(cases), **measured(cases, opened(given.half, 2))}
    save("triage", found, page(found))
    save_plot("triage", drawn(found))


def opened(half: str, month: int = 1) -> list[Case]:
    """The first case of each client, in the order of log time; kept in build/, since it takes minutes."""
    kept = BUILD / "triage" / f"{half}-{month}.json"
    if not kept.exists():
        kept.parent.mkdir(parents=True, exist_ok=True)
        kept.write_bytes(msgspec.json.encode(_opened(half, month)))
    return msgspec.json.decode(kept.read_bytes(), type=list[Case])


def _opened(half: str, month: int) -> list[Case]:
    world, folder = mnist_world(half), BUILD / "triage"  # type: ignore[arg-type]
    fit_seed, test_seed = SEEDS[half][0], SEEDS[half][month]
    profile, _ = fitted(world, honest_log(world, fit_seed, HONEST_FIT, folder))
    attackers = dict.fromkeys(FAMILIES, CAMPAIGNS)
    today = simulate(world, seed=test_seed, honest=HONEST_TEST, attackers=attackers, budget=BUDGET)
    path = folder / "today.jsonl"
    today.write(path)
    loose = Threshold("low", float(np.quantile([_score(s) for s in profile.suprema["client"]], 1 - LOOSE)))
    policy = msgspec.structs.replace(profile.summary.policy, thresholds={"client": (loose,)}, storm=Storm(at_least=0))
    say(f"replaying {len(today):,} queries at a threshold of {loose.score:.2f}")
    points: dict[str, list[Point]] = {}

    def keep(step: Pipelined) -> None:
        for point in step.points:
            if point.kind == "client" and not point.budget:
                points.setdefault(point.id, []).append(point)

    done = replay(profile, policy, read_logs([str(path)]), DECODERS["native"], keep)
    found: dict[str, Case] = {}
    for alert in done.alerts:
        who = alert.entity.id
        if alert.entity.kind == "client" and alert.action == "open" and alert.kind in ATTACKS and who not in found:
            opened_at = next(point.at for point in points[who] if point.n == alert.queries)
            until = opened_at + LOOKED_AT_US
            of = max((p for p in points[who] if opened_at <= p.at <= until), key=lambda p: (p.level, p.n))
            found[who] = Case(today.truth[who], until, evidence_of(of, profile.kit.names))
    return sorted(found.values(), key=lambda case: case.at)


def _score(level: int) -> float:
    return max(score_of(int(level)), 0.0)


def counted(cases: Sequence[Case]) -> dict[str, int]:
    return {truth: sum(case.truth == truth for case in cases) for truth in ("honest", *FAMILIES)}


def measured(cases: Sequence[Case], made: Sequence[Case]) -> dict[str, Any]:
    return {
        "families": left_out(cases, MODEL, PASSES),
        "made_first": left_out(cases, MODEL, PASSES, made),
        "made": counted(made),
        "along": along(cases, MODEL, PASSES),
    }


def left_out(cases: Sequence[Case], model: Step, passes: int, made: Sequence[Case] = ()) -> dict[str, dict[str, Any]]:
    """Family -> figures of cases of a family that no verdict was of, beside honest ones that none was of: by verdicts.

    Half of the honest cases teach and half are asked about, and the other way round; the figures are means of both.
    made: cases that teach before the first verdict, without the family.
    """
    honest = [case for case in cases if case.truth == "honest"]
    found: dict[str, dict[str, Any]] = {}
    for family in FAMILIES:
        rounds = []
        for half in (0, 1):
            asked = honest[half::2]
            stream = [case for case in cases if case.truth != family and case not in asked]
            triage = Triage(model, passes)
            for case in made:
                if case.truth != family:
                    triage.learn(case.of, case.answer)
            rounds.append(_round(triage, stream, [case for case in cases if case.truth == family], asked))
        found[family] = {name: np.mean([one[name] for one in rounds], 0) for name in rounds[0]}
    return found


def _round(triage: Triage, stream: Sequence[Case], attacked: Sequence[Case], honest: Sequence[Case]) -> dict[str, Any]:
    """auc and loss by AFTER; score: the AUC of the score alone; base: the loss of the stream's base rate."""
    told = 0
    base = float(np.mean([case.answer == "attack" for case in stream]))
    levels = [np.array([case.of.level for case in of], float) for of in (attacked, honest)]
    auc, loss = [], []
    for after in AFTER:
        for case in stream[told:after]:
            triage.learn(case.of, case.answer)
        told = after
        high, low = (_said(triage, of, base) for of in (attacked, honest))
        knows = triage.word(honest[0].of) is not None
        auc.append(_auc(high, low) if knows else _auc(*levels))
        # In the mix of the stream: of the family alone there are few.
        loss.append(float(-base * np.log(high).mean() - (1 - base) * np.log(1 - low).mean()))
    entropy = -base * np.log(base) - (1 - base) * np.log(1 - base)
    return {"auc": auc, "loss": loss, "score": _auc(*levels), "base": entropy}


def along(cases: Sequence[Case], model: Step, passes: int) -> dict[str, Any]:
    """Each case is asked about before its verdict is told: the probabilities by BINS, and what they were worth."""
    triage = Triage(model, passes)
    said, true = [], []
    for case in cases:
        word = triage.word(case.of)
        if word is not None:
            said.append(word.probability)
            true.append(case.answer == "attack")
        triage.learn(case.of, case.answer)
    p, attacked = np.clip(said, EDGE, 1 - EDGE), np.array(true)
    bins = np.minimum((p * BINS).astype(int), BINS - 1)
    held = [bins == b for b in range(BINS) if (bins == b).any()]
    rows = [{"cases": int(of.sum()), "said": float(p[of].mean()), "attacks": float(attacked[of].mean())} for of in held]
    off = sum(row["cases"] * abs(row["said"] - row["attacks"]) for row in rows) / len(p)
    loss = float(-np.where(attacked, np.log(p), np.log(1 - p)).mean())
    return {"bins": rows, "off": off, "loss": loss, "auc": _auc(p[attacked], p[~attacked])}


def _said(triage: Triage, cases: Sequence[Case], base: float) -> Any:
    words = [triage.word(case.of) for case in cases]
    return np.clip([base if word is None else word.probability for word in words], EDGE, 1 - EDGE)


def _auc(high: Any, low: Any) -> float:
    """How often an attack stands before an honest case; ties count half."""
    return float((high[:, None] > low).mean() + (high[:, None] == low).mean() / 2)


def rivals(cases: Sequence[Case]) -> str:
    """Means over the families left out, after each number of verdicts, and how calibrated each is along the log."""
    rows = []
    for name, (model, passes) in RIVALS.items():
        found, each = left_out(cases, model, passes).values(), along(cases, model, passes)
        auc, loss = (np.mean([one[of] for one in found], 0) for of in ("auc", "loss"))
        rows.append([name, *(f"{a:.2f} / {b:.2f}" for a, b in zip(auc, loss, strict=True)), f"{each['off']:.3f}"])
    scores = [f"{np.mean([one[of] for one in found]):.2f}" for of in ("score", "base")]
    rows.append(["the score alone / the base rate", " / ".join(scores), "", "", "", ""])
    return table(["AUC / log loss", *(f"after {n}" for n in AFTER), "off by"], rows)


def page(found: Mapping[str, Any]) -> str:
    each, along_log = found["families"], found["along"]
    head = ["family left out", "cases", "score alone", *(f"after {n}" for n in AFTER), "log loss", "of the base rate"]
    rows = [
        [
            title(family),
            found["cases"][family],
            f"{one['score']:.2f}",
            *(f"{auc:.2f}" for auc in one["auc"]),
            f"{one['loss'][-1]:.2f}",
            f"{one['base']:.2f}",
        ]
        for family, one in each.items()
    ]
    rows += [_mean("mean", each), _mean("mean, taught by made cases first", found["made_first"])]
    bins = [[f"{row['said']:.0%}", row["cases"], f"{row['attacks']:.0%}"] for row in along_log["bins"]]
    return "\n".join(
        [
            f"# Triage by verdicts, on the {found['half']} half",
            "",
            f"`python -m bench.triage` (`--half {found['half']}`). MNIST. A threshold at which {LOOSE:.0%} of the "
            "honest clients that calibrated would be named, so that there are false alarms: "
            f"{found['cases']['honest']} cases of {HONEST_TEST} fresh honest clients, beside {CAMPAIGNS} campaigns of "
            f"{BUDGET} queries of each family. An analyst who knows the truth looks at each case a day after it was "
            "opened.",
            "",
            "## Attacks that no verdict was of",
            "",
            "How often an attack of the family stands before a false alarm (AUC), after so many verdicts on the other "
            "families and on half of the honest cases; the other half is asked about. Before triage has "
            f"{LEAST} verdicts of either answer it says nothing, and the score orders. Log loss: after "
            f"{AFTER[-1]} verdicts, in the mix of the stream. Made cases: of another month, the family that is asked "
            f"about left out of them, {found['made']['honest']} of them honest.",
            "",
            table(head, rows),
            "",
            "## What a probability is worth",
            "",
            "Each case is asked about before its verdict is told, in the order of the log, all families: the mean "
            f"probability, and the share that were attacks. They are {along_log['off']:.1%} apart on the mean case; "
            f"AUC {along_log['auc']:.2f}, log loss {along_log['loss']:.2f}.",
            "",
            table(["said", "cases", "attacks"], bins),
            "",
            "![AUC by verdicts, and reliability](triage.png)",
        ]
    )


def _mean(name: str, each: Mapping[str, Mapping[str, Any]]) -> list[str]:
    mean = {of: np.mean([one[of] for one in each.values()], 0) for of in ("score", "auc", "loss", "base")}
    auc = [f"{one:.2f}" for one in mean["auc"]]
    return [name, "", f"{mean['score']:.2f}", *auc, f"{mean['loss'][-1]:.2f}", f"{mean['base']:.2f}"]


def drawn(found: Mapping[str, Any]) -> Any:
    """The AUC of each family left out against verdicts, and the share of attacks against the probability."""
    drawing, (curves, reliability) = figure(9, 4, ncols=2)
    each = list(found["families"].values())
    for one in each:
        curves.plot(AFTER, one["auc"], color=QUIET, linewidth=0.8)
    curves.plot(
        AFTER, np.mean([one["auc"] for one in each], 0), color=OURS, linewidth=2.5, label="mean of the families"
    )
    score = float(np.mean([one["score"] for one in each]))
    curves.axhline(score, color=INK, linestyle="--", linewidth=1, label="the score alone")
    curves.set(xlabel="verdicts", ylabel="AUC on the family left out", ylim=(0.4, 1.02))
    curves.legend(frameon=False)
    rows = found["along"]["bins"]
    reliability.plot([0, 1], [0, 1], color=QUIET, linewidth=1)
    reliability.plot([row["said"] for row in rows], [row["attacks"] for row in rows], "o-", color=OURS)
    reliability.set(xlabel="probability that was said", ylabel="share that were attacks", xlim=(0, 1), ylim=(0, 1.02))
    return drawing


if __name__ == "__main__":
    main()
