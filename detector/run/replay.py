"""`replay`: the decisions that production would have made on a log, offline, with the same pipeline."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

import msgspec

from detector.alert import Alert
from detector.logs.contract import Decode
from detector.pipeline import Pipeline, Step
from detector.policy import Dated, Policy
from detector.profile.artefact import Profile
from detector.query import Chunk
from detector.sources.files import FileSettings


class Replayed(NamedTuple):
    """The finished pipeline (its rows and cases), and what was counted."""

    pipeline: Pipeline
    alerts: list[Alert]
    records: int
    judged: int
    letters: dict[str, int]


def read_logs(paths: Sequence[str], progress: Callable[[int], None] | None = None) -> Iterator[Chunk]:
    """The records of the files, each read once to its end. `progress` is told how many records came."""
    for path in paths:
        source = FileSettings(paths=(path,)).connect()
        source.open({})
        try:
            while True:
                chunks = source.read(0.0)
                if not chunks and source.exhausted:
                    break
                for chunk in chunks:
                    yield chunk
                    if progress:
                        progress(len(chunk.payloads))
        finally:
            source.close()


def replay(
    profile: Profile,
    policy: Policy,
    chunks: Iterator[Chunk],
    decode: Decode,
    each: Callable[[Step], None] = lambda step: None,
) -> Replayed:
    """Runs the pipeline over a whole log. `each` is given every step as it comes, for whoever writes or draws."""
    pipeline = Pipeline(profile, [Dated(0, policy)], decode)
    alerts: list[Alert] = []
    letters: dict[str, int] = {}
    records = judged = 0
    seen: set[str] = set()
    for chunk in chunks:
        seen.add(chunk.stream)
        for step in (pipeline.advance(chunk), pipeline.tick([chunk.stream] if len(seen) == 1 else [])):
            alerts += step.alerts
            records, judged = records + step.records, judged + step.judged
            for letter in step.letters:
                letters[letter.reason] = letters.get(letter.reason, 0) + 1
            each(step)
    last = pipeline.tick()
    each(last)
    return Replayed(pipeline, alerts + last.alerts, records, judged, letters)


def write_alerts(alerts: Sequence[Alert], path: Path) -> None:
    encode = msgspec.json.Encoder().encode
    with path.open("wb") as file:
        file.writelines(encode(alert) + b"\n" for alert in alerts)
