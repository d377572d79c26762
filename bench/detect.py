"""What is found, how soon, and who is named wrongly: the report half of MNIST, never used for tuning, and PRADA beside.

python -m bench.detect [--quick]
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import msgspec
import numpy as np
from scipy.stats import betabinom

from bench.logs import reader
from bench.results import BUILD, OURS, QUIET, THEIRS, figure, save, save_plot, say, table
from bench.worlds import mnist_world
from detector.alert import ATTACKS
from detector.logs import DECODERS
from detector.policy import Storm
from detector.profile import fit, honest, sets
from detector.profile.artefact import Profile
from detector.profile.calibration import entities_needed
from detector.profile.training import Training
from detector.redteam.attacks import attack_named
from detector.redteam.campaign import read_campaign
from detector.redteam.cloning import ENOUGH, fidelities
from detector.redteam.detectors import prada
from detector.redteam.detectors.conformal import interval
from detector.redteam.traffic import Traffic
from detector.redteam.world import World, simulate
from detector.run.replay import Replayed, replay

PROMISE = 0.01
BUDGET = 1000
SEED_FIT, SEED_TEST, SEED_SPLIT = 9001, 9002, 17  # the development seeds are others
HONEST_FIT, HONEST_TEST, CAMPAIGNS = 1000, 1000, 40
GOALS = {"uniform": 10, "data-free": 10, "foreign": 10, "line-search": 20, "jacobian": 250, "random-step": 250}
BEYOND = (
    "dfme", "textures", "active", "active-natural", "blends", "data-free@30%", "foreign@30%", "line-search@30%",
    "jacobian@30%", "data-free@10%", "line-search@10%", "line-search/10", "harvest",
)  # fmt: skip
BEYOND_CAMPAIGNS = 20


class Found(NamedTuple):
    """One detector on the accounts of one kind: how many there were, and after how many queries each was named."""

    accounts: int
    queries: list[int]

    def row(self) -> dict[str, Any]:
        low, high = interval(len(self.queries), self.accounts)
        return {
            "accounts": self.accounts,
            "detected": len(self.queries),
            "share": len(self.queries) / self.accounts,
            "interval": [low, high],
            "median": float(np.median(self.queries)) if self.queries else None,
            "least": min(self.queries, default=None),
            "most": max(self.queries, default=None),
            "queries": sorted(self.queries),
        }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="a trial on the development half that saves nothing")
    quick = parser.parse_args().quick
    began = time.monotonic()
    world = mnist_world("development" if quick else "report")
    log, today = logs(world, quick)
    profile, calibrating = fitted(world, log)
    done = replayed(profile, today, log.parent)
    ours = by_kind(today, first_alerts(done))
    say("PRADA on the same clients")
    delta, alarms = prada_alarms(log.traffic, calibrating, today)
    theirs = by_kind(today, alarms)
    found = summary(profile, done, ours, theirs, delta, len(calibrating))
    if not quick:
        found["attacks"]["harvest"]["clone"] = cloned(today, first_alerts(done))
    found["seconds"] = time.monotonic() - began
    if quick:
        print(page(found))
        return
    save("detect", found, page(found))
    save_plot("detect", drawn(found))


class Log(NamedTuple):
    """Honest traffic, and the file that it was written to."""

    traffic: Traffic
    path: Path

    @property
    def parent(self) -> Path:
        return self.path.parent


def honest_log(world: World, seed: int, clients: int, folder: Path) -> Log:
    """Honest clients to learn from."""
    folder.mkdir(parents=True, exist_ok=True)
    say(f"simulating {clients:,} honest clients for the fit")
    log = Log(simulate(world, seed=seed, honest=clients), folder / "honest.jsonl")
    log.traffic.write(log.path)
    return log


def logs(world: World, quick: bool) -> tuple[Log, Traffic]:
    """The honest log that is learned from, and fresh honest clients with attackers among them."""
    learned = honest_log(world, SEED_FIT, HONEST_FIT, BUILD / "detect")
    attackers = dict.fromkeys(GOALS, 3 if quick else CAMPAIGNS)
    attackers |= {} if quick else dict.fromkeys(BEYOND, BEYOND_CAMPAIGNS)
    say(f"simulating {HONEST_TEST:,} fresh honest clients and {sum(attackers.values())} campaigns")
    return learned, simulate(world, seed=SEED_TEST, honest=HONEST_TEST, attackers=attackers, budget=BUDGET)


def fitted(world: World, log: Log) -> tuple[Profile, list[str]]:
    """The profile as `querywarden fit --horizon log` makes it, and the clients that calibrated it."""
    options = fit.Options(promise=PROMISE, horizon_us=None, seed=SEED_SPLIT)
    training = Training(world.train.pixels, world.train.classes.astype(np.int32))
    read, decode = reader(log.path), DECODERS["native"]
    profile = fit.fit(read, decode, training, options, say)
    survey = honest.survey(read, decode, None)
    kinds, _ = honest.judged_kinds(survey, ())
    need = entities_needed(PROMISE, None)
    everybody = np.ones(len(survey.index), np.bool_)
    siblings = {kind: survey.groups_of(kind) for kind in kinds}
    drawn = sets.draw(survey.clients, siblings, everybody, SEED_SPLIT, [need] * len(kinds))
    calibrating = [client for client, stands in zip(survey.clients, drawn.stands, strict=True) if stands]
    assert len(calibrating) == profile.level("client").calibrated
    return profile, calibrating


def replayed(profile: Profile, today: Traffic, folder: Path) -> Replayed:
    path = folder / "today.jsonl"
    today.write(path)
    say(f"replaying {len(today):,} queries")
    # Hundreds of attackers in one log are a storm, and what is measured here is when each would have been named alone.
    policy = msgspec.structs.replace(profile.summary.policy, storm=Storm(at_least=0))
    return replay(profile, policy, reader(path)(), DECODERS["native"])


def first_alerts(done: Replayed) -> dict[str, int]:
    """Client -> queries asked when it was first named, be it by itself or as a member."""
    first: dict[str, int] = {}
    for alert in done.alerts:
        if alert.action == "open" and alert.kind in ATTACKS:
            for client in (alert.entity.id,) if alert.entity.kind == "client" else alert.entity.members or ():
                first.setdefault(client, alert.queries)
    return first


def prada_alarms(learned: Traffic, calibrating: Sequence[str], today: Traffic) -> tuple[float, dict[str, int]]:
    """The threshold that flags at most PROMISE of honest clients, and client -> queries at its first alarm."""
    least = [trace.least for trace in _traces(learned, calibrating).values()]
    delta = prada.calibrate(least, PROMISE)
    alarms = {}
    for client, trace in _traces(today, list(today.truth)).items():
        at = trace.first_alarm(delta)
        if at is not None:
            alarms[client] = at
    return delta, alarms


def _traces(traffic: Traffic, clients: Sequence[str]) -> dict[str, prada.Trace]:
    rows, labels = traffic.rows(), traffic.labels
    return {client: prada.watch(traffic.inputs[rows[client]], labels[rows[client]]) for client in clients}


def by_kind(today: Traffic, first: Mapping[str, int]) -> dict[str, Found]:
    kinds: dict[str, Found] = {}
    for client, kind in today.truth.items():
        found = kinds.setdefault(kind, Found(0, []))
        queries = [first[client]] if client in first else []
        kinds[kind] = Found(found.accounts + 1, found.queries + queries)
    return kinds


def summary(
    profile: Profile, done: Replayed, ours: Mapping[str, Found], theirs: Mapping[str, Found], delta: float, m: int
) -> dict[str, Any]:
    level = profile.level("client")
    assert level.rank is not None
    honest_found = ours["honest"]
    law = betabinom(honest_found.accounts, level.calibrated + 1 - level.rank, level.rank)
    attacks = {}
    for kind in ours:
        if kind != "honest":
            attacks[kind] = {
                "title": title(kind),
                "goal": GOALS.get(kind),
                "querywarden": ours[kind].row(),
                "prada": theirs[kind].row(),
            }
    return {
        "promise": PROMISE,
        "queries": done.judged,
        "learned": level.learned,
        "scaled": level.scaled,
        "calibrated": level.calibrated,
        "unit": level.unit,
        "threshold": level.threshold,
        "slope": profile.laws["client"].slope,
        "prada_threshold": delta,
        "prada_calibrated": m,
        "honest": {
            "querywarden": honest_found.row(),
            "prada": theirs["honest"].row(),
            "beta_binomial_95": [int(law.ppf(0.025)), int(law.ppf(0.975))],
        },
        "attacks": attacks,
    }


def cloned(today: Traffic, first: Mapping[str, int]) -> dict[str, Any]:
    """How good the harvesters' copies become, and how many of them were named before theirs had ENOUGH of that."""
    found = fidelities(today, "harvest", SEED_TEST)
    enough = [fidelity.enough for fidelity in found.values()]
    before = [first.get(client, BUDGET + 1) <= fidelity.enough for client, fidelity in found.items()]
    return {
        "final": float(np.median([fidelity.final for fidelity in found.values()])),
        "enough": [int(np.min(enough)), float(np.median(enough)), int(np.max(enough))],
        "named_before": sum(before),
        "accounts": len(before),
    }


def title(kind: str) -> str:
    campaign = read_campaign(kind)
    text = attack_named(kind.partition("@")[0].partition("/")[0]).title
    if campaign.share < 1:
        text += f", {campaign.share:.0%} hidden in honest traffic"
    return text + (f", over {campaign.accounts} accounts" if campaign.accounts > 1 else "")


def page(found: Mapping[str, Any]) -> str:
    head = ["attack", "detected", "95% interval", "median queries [min, max]", "PRADA detected", "PRADA median"]
    goals = [(kind, row) for kind, row in found["attacks"].items() if row["goal"]]
    beyond = [(kind, row) for kind, row in found["attacks"].items() if not row["goal"]]
    honest_row = found["honest"]
    low, high = honest_row["beta_binomial_95"]
    ours, theirs = honest_row["querywarden"], honest_row["prada"]
    lines = [
        "# Detection on the report half of MNIST",
        "",
        f"`python -m bench.detect`. Promise: {found['promise']:.0%} of honest clients. Calibrated on "
        f"{found['calibrated']} honest clients, one for each organisation, and PRADA on the same. Attacks ask "
        f"{BUDGET:,} queries. The images of clients and thieves, the seeds and so the clients were never used for "
        "tuning.",
        "",
        table([*head, "asked for: median at most"], [[*_cells(row), row["goal"]] for _, row in goals]),
        "",
        f"Honest clients, never seen before, that were named: querywarden {ours['detected']} of {ours['accounts']:,} "
        f"({ours['share']:.1%}), PRADA {theirs['detected']} ({theirs['share']:.1%}). By the Beta-binomial law of the "
        f"promise, {low} to {high} are to be expected in 95 of 100 calibrations.",
    ]
    if beyond:
        lines += ["", "Without a goal of their own: other attacks, and the same ones hidden or shared out.", ""]
        lines += [table(head, [_cells(row) for _, row in beyond])]
    clone = found["attacks"].get("harvest", {}).get("clone")
    if clone:
        least, median, most = clone["enough"]
        lines += [
            "",
            f"A copy made of one harvest agrees with the victim on {clone['final']:.0%} of honest queries in the end, "
            f"and on {ENOUGH:.0%} of that after a median of {median:g} queries [{least}, {most}]: "
            f"{clone['named_before']} of {clone['accounts']} harvesters were named by then.",
        ]
    return "\n".join([*lines, "", "![Queries until the first alert](detect.png)"])


def _cells(row: Mapping[str, Any]) -> list[str]:
    ours, theirs = row["querywarden"], row["prada"]
    low, high = ours["interval"]
    median = f"{ours['median']:g} [{ours['least']}, {ours['most']}]" if ours["detected"] else "-"
    theirs_median = f"{theirs['median']:g}" if theirs["detected"] else "-"
    return [
        row["title"], f"{ours['share']:.0%} of {ours['accounts']}", f"{low:.1%} - {high:.0%}", median,
        f"{theirs['share']:.0%}", theirs_median,
    ]  # fmt: skip


def drawn(found: Mapping[str, Any]) -> Any:
    """Share of the accounts that were named by so many queries: ours against PRADA, an attack a panel."""
    kinds = list(GOALS)
    drawing, axes = figure(9, 5.2, nrows=2, ncols=3, sharex=True, sharey=True)
    for axis, kind in zip(axes.flat, kinds, strict=True):
        row = found["attacks"][kind]
        for name, colour in (("prada", THEIRS), ("querywarden", OURS)):
            queries, of = np.array(row[name]["queries"]), row[name]["accounts"]
            x = np.concatenate([[1], queries, [BUDGET]])
            y = np.concatenate([[0], np.arange(1, len(queries) + 1), [len(queries)]]) / of
            axis.step(x, y, where="post", color=colour, lw=2.2, label={"prada": "PRADA"}.get(name, name))
        axis.axvline(row["goal"], color=QUIET, ls=":", lw=1.2)
        axis.set(title=row["title"].partition(" (")[0], xscale="log", xlim=(1, BUDGET), ylim=(-0.03, 1.05))
        axis.set_yticks([0, 0.5, 1], ["0", "50%", "100%"])
        axis.set_xticks([1, 10, 100, 1000], ["1", "10", "100", "1,000"])
    axes[0, 0].legend(loc="center", bbox_to_anchor=(0.66, 0.5), frameon=False)
    drawing.supxlabel("queries asked; dotted: the goal for the median")
    drawing.supylabel("accounts named")
    return drawing


if __name__ == "__main__":
    main()
