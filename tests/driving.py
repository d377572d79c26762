"""The pipeline, driven over chunks, and all that came out of it."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple

from detector.alert import Alert
from detector.decide import Case
from detector.entities import Entities
from detector.logs.native import decode_many
from detector.pipeline import Pipeline, Step
from detector.policy import Dated, Policy
from detector.profile.artefact import Profile
from detector.query import Chunk, DeadLetter
from detector.tape import Point
from tests import people


class Outcome(NamedTuple):
    """Clients' alerts and points in the order of the log, groups' in the order of (time, id); letters by place; the
    bytes of every row.
    """

    alerts: list[Alert]
    points: list[Point]
    letters: list[DeadLetter]
    rows: dict[tuple[str, str], bytes]
    cases: dict[bytes, Case]
    counts: dict[str, int]
    held: list[Alert]


def pipeline(profile: Profile | None, policies: Sequence[Dated] = (), **options: Any) -> Pipeline:
    policy = profile.summary.policy if profile else Policy("none", {})
    return Pipeline(profile, policies or [Dated(0, policy)], decode_many, **options)


def drive(pipeline: Pipeline, chunks: Iterable[Chunk], *, streams: Sequence[str] = (people.STREAM,)) -> Outcome:
    """Ticks close as the streams pass them, after each chunk, and all of them at the end."""
    return outcome(pipeline, [*steps(pipeline, chunks, streams=streams), pipeline.tick()])


def steps(pipeline: Pipeline, chunks: Iterable[Chunk], *, streams: Sequence[str] = (people.STREAM,)) -> list[Step]:
    return [step for chunk in chunks for step in (pipeline.advance(chunk), pipeline.tick(streams))]


def outcome(pipeline: Pipeline, steps: Sequence[Step]) -> Outcome:
    alerts = [alert for step in steps for alert in step.alerts]
    points = [point for step in steps for point in step.points]
    letters = [letter for step in steps for letter in step.letters]
    counted = ("records", "judged", "retries", "unidentified", "other_models")
    return Outcome(
        sorted(alerts, key=lambda a: ("", "") if a.entity.kind == "client" else (a.at, a.entity.id)),
        sorted(points, key=lambda p: (-1, "") if p.kind == "client" else (p.at, p.id)),
        sorted(letters, key=lambda letter: (letter.stream, letter.offset, letter.row)),
        rows(pipeline),
        dict(pipeline.cases),
        {name: sum(getattr(step, name) for step in steps) for name in counted},
        [alert for step in steps for alert in step.held],
    )


def rows(pipeline: Pipeline) -> dict[tuple[str, str], bytes]:
    return {
        (table.kind, id_): table.rows[slot].tobytes() for table in pipeline.tables for slot, id_ in enumerate(table.ids)
    }


def saved_rows(tables: Iterable[Entities]) -> list[tuple[str, str, bytes]]:
    """What a snapshot holds of rows that were written since the last one."""
    found = []
    for table in tables:
        changed = zip(table.changed_names(), table.changed(), strict=True)
        found += [(kind, id_, row) for (_, _, kind, id_), (_, row) in changed]
    return found
