"""One client's evidence over time: replays its records alone, says what happened in sentences, and draws it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

from detector.alert import Alert
from detector.errors import MissingExtra, QuerywardenError
from detector.logs.contract import Decode
from detector.pipeline import Step
from detector.policy import Policy
from detector.profile.artefact import Profile
from detector.profile.report import span
from detector.query import Chunk
from detector.reasons import reasons, rfc3339
from detector.run.replay import replay
from detector.tape import Point
from features.contract import Signal

SHADES = {"informational": "grey", "low": "olive", "medium": "orange", "high": "orangered", "critical": "darkred"}


class Explained(NamedTuple):
    """points: the client's tape; alerts: what was said of it; queries: how many were judged."""

    client: str
    points: list[Point]
    alerts: list[Alert]
    queries: int


def explain(profile: Profile, policy: Policy, chunks: Iterator[Chunk], decode: Decode, client: str) -> Explained:
    """A client's state depends on its own records alone, so only those are replayed.

    Raises QuerywardenError when the log holds no judged query of the client.
    """
    points: list[Point] = []

    def keep(step: Step) -> None:
        points.extend(point for point in step.points if point.kind == "client")

    done = replay(profile, policy, only(chunks, decode, client), decode, keep)
    if not done.judged:
        raise QuerywardenError(f"the log holds no query of a client {client} that this profile can judge")
    alerts = [alert for alert in done.alerts if alert.entity.kind == "client"]
    return Explained(client, points, alerts, done.judged)


def only(chunks: Iterator[Chunk], decode: Decode, client: str) -> Iterator[Chunk]:
    """The records of one client."""
    for chunk in chunks:
        queries, sources, _ = decode(chunk.payloads)
        mine = sorted({source for query, source in zip(queries, sources, strict=True) if query.client == client})
        if mine:
            yield Chunk(
                chunk.stream,
                [chunk.payloads[i] for i in mine],
                [chunk.offsets[i] for i in mine],
                chunk.next_offset,
                [chunk.bounds_at[i] for i in mine],
            )


def sentences(profile: Profile, policy: Policy, found: Explained) -> list[str]:
    """What an analyst reads."""
    scored = [point for point in found.points if not point.budget]
    said = [f"Client {found.client} asked {found.queries:,} queries of the model {profile.summary.model}."]
    if not scored:
        return [*said, "Its score never left the ground: it asks like the honest clients that the profile knows."]
    highest = max(scored, key=lambda point: point.level)
    thresholds = policy.thresholds.get("client", ())
    against = "and this profile has no threshold: it only observes"
    if thresholds:
        lowest = thresholds[0].score
        against = f"{'above' if highest.score >= lowest else 'below'} the lowest threshold of {lowest:.2f}"
    said.append(
        f"Its score was highest after query {highest.n:,} ({rfc3339(highest.at)[:19]}Z): {highest.score:.2f}, "
        f"{against}."
    )
    said += [
        f"{alert.severity.capitalize()} alert ({alert.action}) at query {alert.queries:,}, id {alert.query_id}, "
        f"score {alert.score:.2f} against {alert.threshold:.2f}."
        for alert in found.alerts
    ]
    why = reasons(highest, profile.kit.signals)
    said.append("What speaks against it then:" if why else "No single signal speaks against it.")
    said += [f"  {reason.signal}, {reason.evidence_db:+.1f} decibans: {reason.text}" for reason in why]
    level = profile.level("client")
    if level.share is not None:
        said.append(
            f"The threshold is promised to name at most {level.share:.2%} of honest clients within "
            f"{span(profile.summary.horizon)} ({profile.summary.state}, {level.calibrated} calibration clients; the "
            f"share it really lets pass lies between {level.low:.2%} and {level.high:.2%} with probability 90%)."
        )
    return said


def draw(policy: Policy, found: Explained, signals: Sequence[Signal], path: Path) -> None:
    """Score and evidence per signal against the number of queries, as a PNG. Raises MissingExtra without matplotlib."""
    try:
        from matplotlib.figure import Figure
    except ImportError as error:
        raise MissingExtra("drawing a plot", "plot") from error
    scored = [point for point in found.points if not point.budget]
    n = [point.n for point in scored]
    figure = Figure(figsize=(9, 6), layout="constrained")
    upper, lower = figure.subplots(2, 1, sharex=True)
    upper.step(n, [max(point.score, 0.0) for point in scored], where="post", color="black")
    for threshold in policy.thresholds.get("client", ()):
        upper.axhline(threshold.score, linestyle="--", linewidth=1, color=SHADES[threshold.severity])
        upper.annotate(threshold.severity, (1.0, threshold.score), xycoords=("axes fraction", "data"), fontsize=8)
    for alert in found.alerts:
        upper.axvline(alert.queries, linewidth=1, color=SHADES[alert.severity])
    upper.set_yscale("symlog", linthresh=4)
    upper.set_ylabel("score")
    upper.set_title(f"Client {found.client}: {found.queries:,} queries")
    for f, signal in enumerate(signals):
        lower.step(n, [point.evidence[f] / 100 for point in scored], where="post", label=signal.name)
    lower.set_yscale("symlog", linthresh=20)
    lower.set_ylabel("evidence (decibans)")
    lower.set_xlabel("queries of the client")
    lower.set_xlim(0, found.queries)
    lower.legend(fontsize=8)
    figure.savefig(path, dpi=120)
