"""Which attack it is: what alerts call extraction, membership inference, model inversion and evasion probing.

python -m bench.kinds [--half development|report] [--quick]
"""

from __future__ import annotations

import argparse
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

from bench.detect import fitted, honest_log, replayed, title
from bench.results import BUILD, OURS, figure, save, save_plot, table
from bench.worlds import mnist_world
from detector.alert import ATTACKS as NAMES
from detector.alert import Alert
from detector.redteam.attacks import attack_named
from detector.redteam.campaign import read_campaign
from detector.redteam.detectors.conformal import interval
from detector.redteam.world import World, digits_world, simulate

SEEDS = {"development": (5001, 5002), "report": (9101, 9102)}  # of the honest log, of the day that is judged
HONEST_FIT, HONEST_TEST, CAMPAIGNS, BUDGET = 1000, 200, 10, 1000
# What names and signals were developed on, and what was kept for the report.
DEVELOPED = (
    "uniform", "data-free", "dfme", "foreign", "textures", "line-search", "jacobian", "random-step", "active",
    "active-natural", "blends", "harvest", "member-once", "member-noise", "invert-evolve", "invert-climb",
    "evade-boundary", "evade-squares", "member-once@30%", "member-noise@30%", "invert-evolve@30%", "invert-climb@30%",
    "evade-boundary@30%", "evade-squares@30%",
)  # fmt: skip
UNSEEN = (
    "member-pairs", "member-shifts", "invert-differences", "evade-pixels", "evade-shrink", "member-pairs@30%",
    "member-shifts@30%", "invert-differences@30%", "evade-pixels@30%", "evade-shrink@30%",
)  # fmt: skip
NONE = "not named"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--half", choices=tuple(SEEDS), default="report")
    parser.add_argument("--quick", action="store_true", help="few campaigns, and nothing is saved")
    given = parser.parse_args()
    report = given.half == "report"
    kinds = DEVELOPED + UNSEEN if report else DEVELOPED
    digits = digits_world(1 if report else 0)
    found = {
        name: confusion(
            world, given.half, kinds, 2 if given.quick else CAMPAIGNS, HONEST_FIT // 2 if given.quick else HONEST_FIT
        )
        for name, world in (("MNIST", mnist_world(given.half)), ("digits", digits))
    }
    found_all = {"half": given.half, "unseen": UNSEEN if report else (), "worlds": found}
    text = page(found_all)
    if given.quick:
        print(text)
        return
    save("kinds", found_all, text)
    save_plot("kinds", drawn(found_all))


def confusion(world: World, half: str, kinds: Sequence[str], campaigns: int, honest: int) -> dict[str, Any]:
    """By campaign: what the first alert called each account, what the last did, and after how many queries."""
    folder = BUILD / "kinds"
    fit_seed, test_seed = SEEDS[half]
    profile, _ = fitted(world, honest_log(world, fit_seed, honest, folder))
    attackers = dict.fromkeys(kinds, campaigns)
    today = simulate(world, seed=test_seed, honest=HONEST_TEST, attackers=attackers, budget=BUDGET)
    names = names_of(replayed(profile, today, folder).alerts)
    found: dict[str, Any] = {}
    for kind in ("honest", *kinds):
        clients = [client for client, truth in today.truth.items() if truth == kind]
        told = [names.get(client, []) for client in clients]
        found[kind] = {
            "accounts": len(clients),
            "first": Counter(said[0][0] if said else NONE for said in told),
            "last": Counter(said[-1][0] if said else NONE for said in told),
            "queries": [said[-1][1] for said in told if said],
        }
    return found


def names_of(alerts: Sequence[Alert]) -> dict[str, list[tuple[str, int]]]:
    """Client -> the names that its alerts gave it, each with the queries until then."""
    found: dict[str, list[tuple[str, int]]] = {}
    for alert in alerts:
        if alert.entity.kind == "client" and alert.kind in NAMES and alert.action != "resolve":
            said = found.setdefault(alert.entity.id, [])
            if not said or said[-1][0] != alert.kind:
                said.append((alert.kind, alert.queries))
    return found


def aim_of(kind: str) -> str:
    return attack_named(read_campaign(kind).attack.name).aim


def shares(found: Mapping[str, Any], chosen: Sequence[str]) -> dict[str, Counter[str]]:
    """Aim -> what accounts with it were called in the end, over the chosen campaigns."""
    rows: dict[str, Counter[str]] = {}
    for kind in chosen:
        rows.setdefault(aim_of(kind), Counter()).update(found[kind]["last"])
    return rows


def page(found: Mapping[str, Any]) -> str:
    lines = [
        f"# Which attack it is, on the {found['half']} half",
        "",
        f"`python -m bench.kinds` (`--half {found['half']}`). {CAMPAIGNS} campaigns of each attack, {BUDGET:,} queries "
        "each; promise 1%. Rows: what the attack is after; columns: what the last alert called it. An account that no "
        "alert named is in no share.",
    ]
    for name, world in found["worlds"].items():
        for text, chosen in _parts(found, world):
            lines += ["", f"## {name}, {text}", "", _matrix(shares(world, chosen))]
        lines += ["", f"## {name}, attack by attack", "", _attacks(world)]
    return "\n".join([*lines, "", "![What accounts were called](kinds.png)"])


def _parts(found: Mapping[str, Any], world: Mapping[str, Any]) -> list[tuple[str, list[str]]]:
    kinds = [kind for kind in world if kind != "honest"]
    unseen = [kind for kind in kinds if kind in found["unseen"]]
    seen = [kind for kind in kinds if kind not in unseen]
    parts = []
    for text, chosen in (("families that it was developed on", seen), ("families never seen before", unseen)):
        pure, hidden = [k for k in chosen if "@" not in k], [k for k in chosen if "@" in k]
        parts += [(text, pure)] if pure else []
        parts += [(f"{text}, 30% hidden in honest traffic", hidden)] if hidden else []
    return parts


def _matrix(rows: Mapping[str, Counter[str]]) -> str:
    head = ["after", *NAMES, NONE, "right, of those named", "95% interval"]
    cells = []
    for aim, called in rows.items():
        named = sum(called.values()) - called[NONE]
        low, high = interval(called[aim], named) if named else (0.0, 1.0)
        right = f"{called[aim] / named:.0%}" if named else "-"
        cells.append([aim, *(called[name] for name in NAMES), called[NONE], right, f"{low:.1%} - {high:.1%}"])
    return table(head, cells)


def _attacks(world: Mapping[str, Any]) -> str:
    rows = [
        [title(kind), row["accounts"], _said(row["first"]), _said(row["last"])]
        for kind, row in world.items()
        if kind != "honest"
    ]
    honest = world["honest"]
    rows.append(["honest clients", honest["accounts"], _said(honest["first"]), _said(honest["last"])])
    return table(["attack", "accounts", "first called", "last called"], rows)


def _said(called: Mapping[str, int]) -> str:
    return ", ".join(f"{name} {count}" for name, count in sorted(called.items(), key=lambda one: -one[1]))


def drawn(found: Mapping[str, Any]) -> Any:
    """Of the accounts that were named, which share was called by its right name, attack by attack."""
    drawing, axes = figure(9, 7, ncols=len(found["worlds"]), sharey=True)
    for axis, (name, world) in zip(axes, found["worlds"].items(), strict=True):
        kinds = [kind for kind in reversed(world) if kind != "honest"]  # all: the axes share their names
        right = [_called_right(world[k], aim_of(k)) for k in kinds]
        axis.barh(range(len(kinds)), right, color=OURS)
        axis.set_yticks(range(len(kinds)), kinds)
        axis.set(title=name, xlim=(0, 1), xlabel="called by the right name")
    return drawing


def _called_right(row: Mapping[str, Any], aim: str) -> float:
    """Of the accounts that were named, the share that was called by its right name; 0 where none was."""
    last = row["last"]
    return float(last.get(aim, 0) / max(row["accounts"] - last.get(NONE, 0), 1))


if __name__ == "__main__":
    main()
