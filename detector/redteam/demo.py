"""`querywarden demo`: the whole product on one seed, from a victim model to alerts, a table and a plot."""

from __future__ import annotations

import json
import shutil
import socket
import threading
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

import msgspec
import numpy as np

from detector import explain
from detector.alert import Alert
from detector.logs import DECODERS
from detector.profile import artefact, fit
from detector.profile.artefact import Profile
from detector.profile.report import report
from detector.profile.training import training_from
from detector.progress import Progress
from detector.redteam.traffic import Traffic
from detector.redteam.world import World, digits_world, simulate
from detector.run import journal_log
from detector.run.local import LocalRunner
from detector.run.replay import read_logs
from detector.settings import Settings, settings_of

ATTACKS = ("uniform", "data-free", "textures", "line-search", "jacobian")
CAMPAIGNS = 5  # of each attack
HONEST_FIT, HONEST_TEST = 900, 300
BUDGET = 500  # queries of one campaign
SPAN_DAYS = 10.0
SETTINGS = "querywarden.toml"  # for whoever goes on from there
PIECE = 2_000  # lines that the log grows by at a time


class Row(NamedTuple):
    """One line of the table: clients of a kind, how many were named, and after how many queries each."""

    kind: str
    clients: int
    queries: list[int]


def demo(out: Path, seed: int) -> list[Row]:
    """Writes everything below `out` (which is made anew) and prints what happened; returns the table."""
    shutil.rmtree(out, ignore_errors=True)
    out.mkdir(parents=True)
    journal_log.configure("warning")
    began = time.monotonic()
    with Progress("demo") as progress:
        progress.stage("training the victim, simulating honest clients and attackers")
        world = digits_world(seed)
        honest, today = _logs(world, seed)
        honest.write(out / "honest.jsonl")
        progress.stage("fitting a profile to the honest log")
        profile = _fitted(world, out, seed, progress)
        progress.stage("streaming today's log through the runner")
        _stream(today, _settings(out), progress)
    _write_settings(out)
    alerts = _alerts(out / "alerts.jsonl")
    rows = _table(today, alerts)
    _say(*report(profile), "", *_told(rows, profile, alerts, out))
    _draw(rows, profile, out / "demo.png")
    _say(f"Plot of the above: {out / 'demo.png'}", "", *_explained(today, profile, alerts, out))
    _say("", f"Done in {time.monotonic() - began:.0f} s. All files are in {out}/.")
    return rows


def _logs(world: World, seed: int) -> tuple[Traffic, Traffic]:
    """The honest log that is learned from, and today's, with fresh honest clients and the attackers."""
    honest = simulate(world, seed=1000 + seed, honest=HONEST_FIT, span_days=SPAN_DAYS)
    attackers = dict.fromkeys(ATTACKS, CAMPAIGNS)
    today = simulate(
        world, seed=2000 + seed, honest=HONEST_TEST, attackers=attackers, span_days=SPAN_DAYS, budget=BUDGET
    )
    return honest, today


def _fitted(world: World, out: Path, seed: int, progress: Progress) -> Profile:
    np.savez_compressed(out / "training.npz", inputs=world.train.pixels, labels=world.train.classes)
    training = training_from(str(out / "training.npz"))
    options = fit.Options(promise=0.01, horizon_us=None, seed=seed)
    log = str(out / "honest.jsonl")
    profile = fit.fit(lambda: read_logs([log], progress.add), DECODERS["native"], training, options, progress.stage)
    artefact.save(profile, out / "profile")
    return profile


def _settings(out: Path) -> Settings:
    document = {
        "source": {"type": "file", "paths": [str(out / "today.jsonl")], "follow": True},
        "profile": {"path": str(out / "profile")},
        "store": {"path": str(out / "store"), "snapshot_s": 5},
        "sinks": [{"type": "file", "path": str(out / "alerts.jsonl")}],
        "telemetry": {"port": 0},
    }
    return settings_of(document)


def _write_settings(out: Path) -> None:
    """For `querywarden run`, which goes on where the demo ended, with the dashboard beside it."""
    here = out.resolve()
    with socket.socket() as free:  # the Health page asks the runner there
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    quoted = {name: json.dumps(str(here / name)) for name in ("today.jsonl", "profile", "store", "alerts.jsonl")}
    (out / SETTINGS).write_text(
        f'[source]\ntype = "file"\npaths = [{quoted["today.jsonl"]}]\nfollow = true\n\n'
        f"[profile]\npath = {quoted['profile']}\n\n[store]\npath = {quoted['store']}\n\n"
        f'[[sinks]]\ntype = "file"\npath = {quoted["alerts.jsonl"]}\n\n'
        f'[telemetry]\nport = {port}\nlog_level = "warning"\nlog_json = false\n\n[dashboard]\nserve = true\n',
        encoding="utf-8",
    )


def _stream(today: Traffic, settings: Settings, progress: Progress) -> None:
    """Lets the log grow as a server's would, while the runner that production uses follows it."""
    runner = LocalRunner(settings)
    feeder = threading.Thread(target=_feed, args=(today, settings, runner, progress), name="feeder", daemon=True)
    feeder.start()
    runner.run()
    feeder.join()


def _feed(today: Traffic, settings: Settings, runner: LocalRunner, progress: Progress) -> None:
    path = Path(settings.source.paths[0])  # type: ignore[union-attr]
    with path.open("ab", buffering=0) as log:
        for piece in _pieces(today.lines()):
            log.write(b"".join(piece))
    read = 0
    while read < len(today):
        now = int(runner.telemetry.registry.get_sample_value("querywarden_records_total") or 0)
        progress.add(now - read)
        read = now
        time.sleep(0.1)
    runner.stop()


def _pieces(lines: Iterator[bytes]) -> Iterator[list[bytes]]:
    piece: list[bytes] = []
    for line in lines:
        piece.append(line)
        if len(piece) == PIECE:
            yield piece
            piece = []
    yield piece


def _alerts(path: Path) -> list[Alert]:
    lines = path.read_bytes().splitlines() if path.exists() else []
    found = [msgspec.json.decode(line, type=Alert) for line in lines]
    return [alert for alert in found if alert.kind != "health"]


def _table(today: Traffic, alerts: Sequence[Alert]) -> list[Row]:
    first: dict[str, int] = {}
    for alert in alerts:
        if alert.entity.kind == "client" and alert.action == "open":
            first.setdefault(alert.entity.id, alert.queries)
    rows = []
    for kind in (*ATTACKS, "honest"):
        clients = [client for client, what in today.truth.items() if what == kind]
        rows.append(Row(kind, len(clients), sorted(first[client] for client in clients if client in first)))
    return rows


def _told(rows: Sequence[Row], profile: Profile, alerts: Sequence[Alert], out: Path) -> list[str]:
    lines = [f"{'attack':<14}{'detected':>12}{'queries until the alert (median, range)':>44}"]
    for row in rows[:-1]:
        when = f"{np.median(row.queries):g} ({row.queries[0]} to {row.queries[-1]})" if row.queries else "-"
        lines.append(f"{row.kind:<14}{len(row.queries):>7} of {row.clients:<2}{when:>44}")
    honest = rows[-1]
    share = len(honest.queries) / honest.clients
    kept = f"{share:.2%} named, at most {profile.summary.promise:.2%} promised"
    lines += [
        f"{'honest':<14}{len(honest.queries):>7} of {honest.clients}{kept:>42}",
        "",
        f"Alerts ({len(alerts)}): {out / 'alerts.jsonl'}",
    ]
    return lines


def _explained(today: Traffic, profile: Profile, alerts: Sequence[Alert], out: Path) -> list[str]:
    """One attacker's story: the one that took longest to name, since it is the least obvious."""
    kinds = today.truth
    guilty = [a for a in alerts if a.action == "open" and a.entity.kind == "client" and kinds[a.entity.id] != "honest"]
    if not guilty:
        return ["No attacker was named, so there is nothing to explain."]
    chosen = max(guilty, key=lambda alert: alert.queries)
    log = str(out / "today.jsonl")
    policy = profile.summary.policy
    found = explain.explain(profile, policy, read_logs([log]), DECODERS["native"], chosen.entity.id)
    explain.draw(policy, found, profile.kit.signals, out / "explained.png")
    head = f"One alert explained ({kinds[chosen.entity.id]}; plot: {out / 'explained.png'}):"
    return [head, *(f"  {line}" for line in explain.sentences(profile, policy, found))]


def _draw(rows: Sequence[Row], profile: Profile, path: Path) -> None:
    """Queries until each client was named, by kind; those never named stand at the right edge."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(9, 4), layout="constrained")
    axes = figure.subplots()
    edge = 2.0 * BUDGET
    for place, row in enumerate(rows):
        spread = place + np.linspace(-0.25, 0.25, row.clients)
        never = row.clients - len(row.queries)
        named = np.array(row.queries + [edge] * never, float)
        colors = ["tab:red"] * len(row.queries) + ["tab:grey"] * never
        axes.scatter(named, spread, s=14, c=colors, alpha=0.7)
    labels = [f"{row.kind}\n{len(row.queries)} of {row.clients}" for row in rows]
    axes.set_yticks(range(len(rows)), labels, fontsize=8)
    axes.invert_yaxis()
    axes.set_xscale("log")
    axes.axvline(edge / 1.3, color="black", linewidth=0.5)
    axes.annotate("never named", (edge, -0.6), ha="center", fontsize=8, annotation_clip=False)
    axes.set_xlabel("queries until the first alert")
    axes.set_title(f"Who was named, and when (promise: at most {profile.summary.promise:.0%} of honest clients)")
    figure.savefig(path, dpi=120)


def _say(*lines: str) -> None:
    for line in lines:
        print(line)  # noqa: T201
