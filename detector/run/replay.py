"""`replay`: the decisions that production would have made on a log, offline, with the same pipeline."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import msgspec

from detector.alert import UNNAMED, Alert
from detector.logs.contract import Decode
from detector.pipeline import Pipeline, Step
from detector.policy import Dated, Policy
from detector.profile.artefact import Profile
from detector.query import Chunk
from detector.sources.files import FileSettings


@dataclass(slots=True)
class Replayed:
    """The finished pipeline (its rows and cases), the alerts, those that were held, and what was counted; `letters` by
    reason.
    """

    pipeline: Pipeline
    alerts: list[Alert]
    letters: dict[str, int]
    held: list[Alert] = field(default_factory=list)
    records: int = 0
    judged: int = 0

    def take(self, step: Step, each: Callable[[Step], None]) -> None:
        self.alerts += step.alerts
        self.held += step.held
        self.records, self.judged = self.records + step.records, self.judged + step.judged
        for letter in step.letters:
            self.letters[letter.reason] = self.letters.get(letter.reason, 0) + 1
        each(step)


class Logs(Iterator[Chunk]):
    """The records of files, each read once to its end, in the order given. `progress` is told how many records came.

    Raises SourceBusy when a path matches no file; SourceRefused, after all else was read, for files that are not whole.
    """

    def __init__(self, paths: Sequence[str], progress: Callable[[int], None] = lambda records: None) -> None:
        self._sources = [FileSettings(paths=(path,)).connect() for path in paths]
        for source in self._sources:
            source.open({})
        self._progress = progress
        self._chunks = self._read()

    def __next__(self) -> Chunk:
        return next(self._chunks)

    def streams(self) -> list[str]:
        """Those that may still give records."""
        return [stream for source in self._sources for stream in source.streams()]

    def _read(self) -> Iterator[Chunk]:
        for source in self._sources:
            while not source.exhausted:
                for chunk in source.read(0.0):
                    yield chunk
                    self._progress(len(chunk.payloads))


def read_logs(paths: Sequence[str], progress: Callable[[int], None] = lambda records: None) -> Logs:
    return Logs(paths, progress)


def replay(
    profile: Profile,
    policy: Policy,
    chunks: Iterator[Chunk],
    decode: Decode,
    each: Callable[[Step], None] = lambda step: None,
    also_versions: Sequence[str] = (),
    unnamed_members: Sequence[str] = UNNAMED,
) -> Replayed:
    """Runs the pipeline over a whole log. `each` is given every step as it comes, for whoever writes or draws.

    Ticks close while `Logs` are read; with other chunks nobody knows which streams are still to come, so at the end.
    """
    pipeline = Pipeline(
        profile, [Dated(0, policy)], decode, also_versions=also_versions, unnamed_members=unnamed_members
    )
    done = Replayed(pipeline, [], {})
    for chunk in chunks:
        done.take(pipeline.advance(chunk), each)
        if isinstance(chunks, Logs):
            done.take(pipeline.tick(chunks.streams()), each)
    done.take(pipeline.tick(), each)
    return done


def write_alerts(alerts: Sequence[Alert], path: Path) -> None:
    encode = msgspec.json.Encoder().encode
    with path.open("wb") as file:
        file.writelines(encode(alert) + b"\n" for alert in alerts)
