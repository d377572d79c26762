"""The whole range on the report half of MNIST: every attack in every form, four detectors, and what each clone learned.

python -m bench.range [--quick]
"""

from __future__ import annotations

import argparse
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec

from bench.results import BUILD, save, say, table
from bench.worlds import mnist_world
from detector.progress import Progress
from detector.redteam import outcome
from detector.redteam.campaigns import GROUPS
from detector.redteam.detectors import BASELINES, OURS, detector_named
from detector.redteam.grounds import grounds_of
from detector.redteam.outcome import Attacked, Report
from detector.redteam.page import page as for_a_browser
from detector.redteam.trial import Plan, run

PROMISE = 0.01
SEED, SEED_QUICK = 9501, 7501  # the development seeds are others
CLIENTS, CLIENTS_QUICK = 5, 2
ATTACKS, ATTACKS_QUICK = "all", "pure,adaptive"
BUDGET, HONEST, LEARNED, DAYS = 1000, 1000, 1000, 30.0


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="a trial on the development half that saves nothing")
    parser.add_argument("--attacks", help="others than all, for a trial")
    arguments = parser.parse_args()
    quick = arguments.quick or arguments.attacks is not None
    plan = Plan(
        attacks=arguments.attacks or (ATTACKS_QUICK if quick else ATTACKS),
        clients=CLIENTS_QUICK if quick else CLIENTS,
        budget=BUDGET,
        seed=SEED_QUICK if quick else SEED,
        honest=HONEST // 4 if quick else HONEST,
        learned=LEARNED,
        promise=PROMISE,
        span_days=DAYS,
    )
    ground = grounds_of(mnist_world("development" if quick else "report"), plan.seed)
    detectors = [(OURS, None), *((name, detector_named(name)) for name, _ in BASELINES)]
    with Progress("range") as progress, tempfile.TemporaryDirectory() as work:
        report, _ = run(plan, ground, None, detectors, Path(work), progress)
    folder = BUILD / "range"
    folder.mkdir(parents=True, exist_ok=True)
    outcome.save(report, folder / "range.json")
    (folder / "report.html").write_text(for_a_browser(report), encoding="utf-8")
    say(f"for a browser: {folder / 'report.html'}")
    if quick:
        print(page(report))
    else:
        save("range", compact(report), page(report))


def compact(report: Report) -> dict[str, Any]:
    """The report without the queries of each account, which are many."""
    found: dict[str, Any] = msgspec.to_builtins(report)
    for one in found["campaigns"]:
        for against in one["against"]:
            del against["each"]
    return found


def page(report: Report) -> str:
    lines = [
        "# The range on the report half of MNIST",
        "",
        f"`python -m bench.range`, which is `querywarden range --attacks all` on MNIST at 14x14: "
        f"{len(report.campaigns)} "
        f"kinds of campaigns of {report.budget:,} queries, each run {report.campaigns[0].campaigns} times. Promise: "
        f"{PROMISE:.0%} of honest clients, for every detector. A cell: share of the accounts named / median of their "
        "queries until then / fidelity of the clone then and in the end.",
    ]
    for name, forms in GROUPS.items():
        tables = list(_tables(report, forms))
        if name != "all" and tables:
            lines += ["", f"## {name.capitalize()}", *tables]
    if report.adapted:
        lines += ["", "## What adapting costs", "", *_costs(report)]
    lines += ["", "## Honest clients", ""]
    rows = [
        [judge.name, f"{judge.honest.named.named} of {judge.honest.named.of:,}", f"{judge.honest.named.share:.1%}",
         "-" if judge.honest.expected is None else "{} to {}".format(*judge.honest.expected)]
        for judge in report.detectors
    ]  # fmt: skip
    return "\n".join([*lines, table(["detector", "named", "share", "expected in 95 of 100 calibrations"], rows)])


def _tables(report: Report, forms: tuple[str, ...]) -> Iterator[str]:
    names = [judge.name for judge in report.detectors]
    for form in forms:
        rows = [[one.title, *_cells(one)] for one in report.campaigns if _form(one) == form]
        if rows:
            yield from ("", f"`attack{form}`", "", table(["attack", *names, "in the end"], rows))


def _cells(one: Attacked) -> Iterator[str]:
    for against in one.against:
        if against.each:
            then = against.copy.fidelity.median or 0.0
            yield f"{against.named.share:.0%} / {against.queries.median:g} / {then:.0%}"
        else:
            yield "0%"
    yield f"{one.end.fidelity.median:.0%}"


def _costs(report: Report) -> Iterator[str]:
    rows = [
        [one.campaign, f"{one.plain_fidelity:.0%}", f"{one.fidelity:.0%}", f"{one.cost:+.0%}"] for one in report.adapted
    ]
    yield table(["campaign", "plain", "adapted", "lost"], rows)


def _form(one: Attacked) -> str:
    cut = min((one.campaign.find(mark) for mark in "+@/" if mark in one.campaign), default=len(one.campaign))
    return one.campaign[cut:]


if __name__ == "__main__":
    main()
