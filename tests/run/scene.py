"""Runs of the local runner over a log in memory that is written and read as a test says, and its crashes."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import msgspec

from detector.policy import Policy
from detector.query import Chunk
from detector.run.forgetting import ask
from detector.run.local import LocalRunner
from detector.run.store import request_policy
from detector.settings import settings_of
from tests import people


class Turn(NamedTuple):
    """What happens before the source is read: a stream gets so many records, time passes, someone wants a policy, or a
    client to be forgotten.
    """

    stream: str
    records: int
    passes_s: float = 0.0
    policy: Policy | None = None
    forget: str | None = None


class Log:
    """Streams of records, of which so many are written."""

    def __init__(self, streams: Mapping[str, Sequence[bytes]]) -> None:
        self.streams = streams
        self.written = dict.fromkeys(streams, 0)

    def write(self, stream: str, records: int) -> None:
        self.written[stream] = min(self.written[stream] + records, len(self.streams[stream]))


class LogSource:
    """Gives what is written, at most `size` records of a stream at a time; `turn` is called whenever nothing is left
    and says whether there is more to come. `start` is where streams begin that the store does not know; a source that
    `joins` is given its streams when it reads first, like a member of a group.
    """

    def __init__(self, log: Log, turn: Callable[[], bool], size: int, start: Mapping[str, int], joins: bool) -> None:
        self._log, self._turn, self._size = log, turn, size
        self._joined = not joins
        self._at = {stream: start.get(stream, 0) for stream in log.streams}
        self._ended = False

    def open(self, positions: Mapping[str, int]) -> None:
        self._at |= positions

    def read(self, timeout_s: float) -> list[Chunk]:
        self._joined = True
        if not any(self.lag().values()):
            self._ended = not self._turn()
        return [self._chunk(stream) for stream, behind in self.lag().items() if behind]

    def streams(self) -> list[str]:
        return list(self.positions())

    def positions(self) -> dict[str, int]:
        return dict(self._at) if self._joined else {}

    def drained(self, streams: Collection[str]) -> set[str]:
        return {stream for stream in streams if not self.lag()[stream]}

    def commit(self, positions: Mapping[str, int]) -> None:
        pass

    def lag(self) -> dict[str, int]:
        return {stream: self._log.written[stream] - at for stream, at in self._at.items()}

    @property
    def exhausted(self) -> bool:
        return self._ended

    def close(self) -> None:
        pass

    def _chunk(self, stream: str) -> Chunk:
        start = self._at[stream]
        stop = self._at[stream] = min(start + self._size, self._log.written[stream])
        payloads = list(self._log.streams[stream][start:stop])
        return Chunk(stream, payloads, list(range(start, stop)), stop, [people.END_US] * len(payloads))


class LogSettings(msgspec.Struct, frozen=True):
    source: LogSource

    def connect(self) -> LogSource:
        return self.source


class Scene:
    """A log, the time, and a store that outlives its runners."""

    def __init__(
        self, folder: Path, profile: Path | None, streams: Mapping[str, Sequence[bytes]], turns: Iterable[Turn]
    ) -> None:
        self.folder = folder
        self.log = Log(streams)
        self.now = 0.0
        self._profile = profile
        self._turns = iter(turns)

    def runner(
        self, size: int = 50, start: Mapping[str, int] = {}, joins: bool = False, **sections: Any
    ) -> LocalRunner:
        """One that goes on from where the last one came to."""
        settings = settings_of(document(self.folder, self._profile, **sections))
        source = LogSource(self.log, self._turn, size, start, joins)
        settings = msgspec.structs.replace(settings, source=LogSettings(source))
        return LocalRunner(settings, monotonic=lambda: self.now)

    def run(self, *fuses: int, **options: Any) -> None:
        """Runs to the end of the log, through a crash for each fuse that burns down before."""
        for moments in fuses:
            if not crashed(self.runner(**options), moments):
                return
        self.runner(**options).run()

    def _turn(self) -> bool:
        turn = next(self._turns, None)
        if turn is not None:
            self.log.write(turn.stream, turn.records)
            self.now += turn.passes_s
            if turn.policy is not None:
                request_policy(self.folder / "store" / "state.sqlite", turn.policy)
            if turn.forget is not None:
                ask(self.folder / "store" / "state.sqlite", "client", turn.forget, keep_alerts=False)
        return turn is not None


def document(folder: Path, profile: Path | None, **sections: Any) -> dict[str, Any]:
    """Settings as TOML would give them, with these sections put over them."""
    made: dict[str, Any] = {
        "source": {"type": "file", "paths": [str(folder / "log.jsonl")]},
        "profile": {"path": str(profile)} if profile else {},
        "store": {"path": str(folder / "store"), "snapshot_s": 1.0, "tape_days": 400},
        "telemetry": {"port": 0},
        "delivery": {"drain_s": 5.0},
    }
    for name, body in sections.items():
        made[name] = made.get(name, {}) | body if isinstance(body, dict) else body
    return made


class Crash(BaseException):
    """kill -9, as far as the files can tell: no snapshot, nothing told."""


def crashed(runner: LocalRunner, moments: int) -> bool:
    """Runs it until so many moments at which something becomes durable have come, before and after each."""
    left = moments

    def burn() -> None:
        nonlocal left
        left -= 1
        if left < 0:
            raise Crash

    def around(call: Callable[..., Any]) -> Callable[..., Any]:
        def burning(*args: Any, **named: Any) -> Any:
            burn()
            done = call(*args, **named)
            burn()
            return done

        return burning

    for judge in runner._judges:
        for name in ("put", "erase"):
            setattr(judge.outbox, name, around(getattr(judge.outbox, name)))
        for name in ("save", "dead_letter", "prune_tape", "journal_policy"):
            setattr(judge.store, name, around(getattr(judge.store, name)))
        judge.forgettings.erase = around(judge.forgettings.erase)  # type: ignore[method-assign]
    try:
        runner.run()
    except Crash:
        return True
    return False
