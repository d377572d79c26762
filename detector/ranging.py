"""`querywarden range`: its options, and what it writes and says."""

from __future__ import annotations

import argparse
import os
import tempfile
from pathlib import Path

from detector.errors import SettingsError

JSON, HTML = "range.json", "report.html"
PRADA = "prada"  # compares distances within classes, of which text has none


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--profile", type=Path, help="default: one is fitted to the victim's simulated honest clients")
    parser.add_argument("--config", type=Path, help="take the policy from these settings, not the profile's")
    parser.add_argument(
        "--attacks", default="pure", metavar="LIST",
        help="all, pure, hidden, split, adaptive, slow, or campaigns: jacobian,line-search+sorted@10%%/50 (pure)",
    )  # fmt: skip
    parser.add_argument("--victim", default="digits", help="digits, an http:// address, or python:MODULE:FUNCTION")
    parser.add_argument(
        "--data", type=Path, metavar="FILE", help=".npz of inputs (and labels) for a victim of your own"
    )
    parser.add_argument(
        "--detector", action="append", default=[], metavar="NAME",
        help="querywarden, prada, mmd, mmd-1500 or python:MODULE:CLASS, again for more; default: those four",
    )  # fmt: skip
    parser.add_argument("--texts", type=Path, metavar="FILE", help="a language model instead: texts to make sweeps of")
    parser.add_argument(
        "--honest-log",
        action="append",
        default=[],
        metavar="LOG",
        help="of text: honest clients to judge beside sweeps",
    )
    parser.add_argument(
        "--learned-log", action="append", default=[], metavar="LOG",
        help="of text: honest clients who teach the other detectors, such as the profile's own log",
    )  # fmt: skip
    parser.add_argument("--clients", type=_count, default=10, metavar="N", help="campaigns of each kind (10)")
    parser.add_argument("--budget", type=_count, default=1000, metavar="N", help="queries of each campaign (1000)")
    parser.add_argument(
        "--honest", type=_count, default=300, metavar="N", help="fresh honest clients beside them (300)"
    )
    parser.add_argument("--learned", type=_count, default=900, metavar="N", help="honest clients to learn from (900)")
    parser.add_argument("--promise", type=float, default=0.01, help="share of honest clients, without a profile (0.01)")
    parser.add_argument("--days", type=float, default=30.0, metavar="N", help="that the simulated log spans (30)")
    parser.add_argument(
        "--rings", action="store_true", help="without a profile: look for accounts that are one hand, too"
    )
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument(
        "--report", required=True, type=Path, metavar="DIR", help=f"where {JSON} and {HTML} are written"
    )
    parser.add_argument(
        "--cases", type=Path, metavar="FILE", help="write what was seen of whom, to teach triage (of a --profile)"
    )
    parser.set_defaults(command=command)


def command(arguments: argparse.Namespace) -> int:
    import msgspec

    from detector.profile import artefact
    from detector.progress import Progress
    from detector.redteam import outcome
    from detector.redteam.detectors import BASELINES, OURS, detector_named
    from detector.redteam.grounds import grounds
    from detector.redteam.made import Gathered
    from detector.redteam.page import page
    from detector.redteam.terminal import told
    from detector.redteam.text_trial import of_text
    from detector.redteam.trial import Plan, run
    from detector.settings import load

    policy = load(arguments.config, os.environ).policy if arguments.config else None
    others = [name for name, _ in BASELINES if not (arguments.texts and name == PRADA)]
    names = arguments.detector or [OURS, *others]
    detectors = [(name, None if name == OURS else detector_named(name)) for name in dict.fromkeys(names)]
    profile = artefact.load(arguments.profile) if arguments.profile else None
    if arguments.cases and (profile is None or arguments.texts):
        raise SettingsError("--cases are those of a --profile of numbers: what another one saw teaches nothing")
    promise = profile.summary.promise if profile else arguments.promise
    if promise is None:
        raise SettingsError(f"{arguments.profile} promises nothing, so no other detector can be held to it")
    plan = Plan(
        attacks=arguments.attacks, clients=arguments.clients, budget=arguments.budget, seed=arguments.seed,
        honest=arguments.honest, learned=arguments.learned, promise=promise, span_days=arguments.days,
        rings=arguments.rings,
    )  # fmt: skip
    arguments.report.mkdir(parents=True, exist_ok=True)
    with Progress("range") as progress, tempfile.TemporaryDirectory(prefix="querywarden-range-") as work:
        if arguments.texts:
            if profile is None or not arguments.honest_log:
                raise SettingsError(
                    "--texts needs the --profile of its model, and an --honest-log that this has not seen"
                )
            report = of_text(
                arguments.texts, arguments.honest_log, arguments.learned_log, plan, profile, policy, detectors, progress
            )
        else:
            progress.stage("meeting the victim")
            ground = grounds(arguments.victim, arguments.data, arguments.seed)
            gathered = Gathered(profile) if arguments.cases and profile else None
            report, _ = run(plan, ground, profile, detectors, Path(work), progress, policy, gathered)
            if gathered:
                arguments.cases.write_bytes(b"".join(msgspec.json.encode(one) + b"\n" for one in gathered.made))
    outcome.save(report, arguments.report / JSON)
    (arguments.report / HTML).write_text(page(report), encoding="utf-8")
    for line in told(report):
        print(line)  # noqa: T201
    print(f"\nReport: {arguments.report / HTML}; for comparison: {arguments.report / JSON}")  # noqa: T201
    return 0


def _count(text: str) -> int:
    value = int(text)
    if value < 1:
        raise argparse.ArgumentTypeError(f"{text} is not at least 1")
    return value
