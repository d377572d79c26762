"""Runs of the local runner over a log in memory that is written, and read, as a test says; and what they leave."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import msgspec

from detector.alert import Alert
from detector.decide import NO_CASE, decide
from detector.pipeline import State
from detector.policy import Policy, in_force
from detector.query import Chunk
from detector.run.local import LocalRunner
from detector.run.outbox import Outbox
from detector.run.store import Reader, request_policy
from detector.settings import settings_of
from detector.tape import Point
from tests import people

STREAMS = ("made:0", "made:1", "made:2")


class Turn(NamedTuple):
    """What happens before the source is read: a stream gets so many records, time passes, someone wants a policy."""

    stream: str
    records: int
    passes_s: float
    policy: Policy | None = None


class Log:
    """Streams of records, of which so many are written."""

    def __init__(self, streams: Mapping[str, Sequence[bytes]]) -> None:
        self.streams = streams
        self.written = dict.fromkeys(streams, 0)

    def write(self, stream: str, records: int) -> None:
        self.written[stream] = min(self.written[stream] + records, len(self.streams[stream]))


class LogSource:
    """Gives what is written, at most `size` records of a stream at a time; `turn` is called whenever nothing is left
    and says whether there is more to come.
    """

    def __init__(self, log: Log, turn: Callable[[], bool], size: int) -> None:
        self._log, self._turn, self._size = log, turn, size
        self._at = dict.fromkeys(log.streams, 0)
        self._ended = False

    def open(self, positions: Mapping[str, int]) -> None:
        self._at |= positions

    def read(self, timeout_s: float) -> list[Chunk]:
        if not any(self.lag().values()):
            self._ended = not self._turn()
        return [self._chunk(stream) for stream, behind in self.lag().items() if behind]

    def streams(self) -> list[str]:
        return list(self._at)

    def positions(self) -> dict[str, int]:
        return dict(self._at)

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
        self, folder: Path, profile: Path, streams: Mapping[str, Sequence[bytes]], turns: Iterable[Turn]
    ) -> None:
        self.folder = folder
        self.log = Log(streams)
        self._turns = iter([*turns])
        self.now = 0.0
        self.profile = profile

    def runner(self, size: int = 50, **sections: Any) -> LocalRunner:
        """One that goes on from where the last one came to."""
        settings = settings_of(document(self.folder, self.profile, **sections))
        source = LogSource(self.log, self._turn, size)
        settings = msgspec.structs.replace(settings, source=LogSettings(source))
        return LocalRunner(settings, monotonic=lambda: self.now)

    def _turn(self) -> bool:
        turn = next(self._turns, None)
        if turn is not None:
            self.log.write(turn.stream, turn.records)
            self.now += turn.passes_s
            if turn.policy is not None:
                request_policy(self.folder / "store" / "state.sqlite", turn.policy)
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
    return {
        name: made.get(name, {}) | body if isinstance(body, dict) else body for name, body in (made | sections).items()
    }


class Kept(NamedTuple):
    """What a store holds, in no order; told: the alerts of the outbox, by entity, in theirs."""

    rows: dict[tuple[str, str], bytes]
    cases: dict[bytes, bytes]
    tape: list[Point]
    positions: dict[str, int]
    clocks: dict[str, int]
    letters: set[tuple[str, int, int, str]]
    told: dict[tuple[str, str], list[str]]


def kept(folder: Path) -> Kept:
    reader = Reader(folder / "store" / "state.sqlite")
    read = reader.db.read
    named = read("SELECT kind, id, row FROM names JOIN rows USING (key)")
    state = msgspec.msgpack.decode(dict(read("SELECT name, body FROM extras"))["state"], type=State)
    found = Kept(
        {(kind, id_): row for kind, id_, row in named},
        dict(read("SELECT key, body FROM cases")),
        sorted(reader.tape(), key=lambda point: (point.key, point.n, point.budget)),
        dict(read("SELECT stream, next_offset FROM positions")),
        state.clocks,
        {(one.stream, one.offset, one.row, one.reason) for one in reader.dead_letters(10_000)},
        told(folder),
    )
    reader.close()
    return found


def alerts(folder: Path) -> list[Alert]:
    """All that the outbox holds, in its order."""
    outbox = Outbox(folder / "store" / "outbox.sqlite")
    found = [waiting.alert for waiting in outbox.undelivered("nobody", after=0, limit=100_000)]
    outbox.close()
    return found


def told(folder: Path) -> dict[tuple[str, str], list[str]]:
    return by_entity(alerts(folder))


def by_entity(alerts: Iterable[Alert]) -> dict[tuple[str, str], list[str]]:
    found: dict[tuple[str, str], list[str]] = {}
    for alert in alerts:
        found.setdefault((alert.entity.kind, alert.entity.id), []).append(alert.id)
    return found


def retold(folder: Path) -> dict[tuple[str, str], list[str]]:
    """The alerts that follow from the tape and the journal of policies: what must have been told, and nothing else."""
    reader = Reader(folder / "store" / "state.sqlite")
    policies = reader.policies()
    cases: dict[bytes, Any] = {}
    found: dict[tuple[str, str], list[str]] = {}
    for point in reader.tape():
        case, decision = decide(in_force(policies, point.at), cases.get(point.key, NO_CASE), point)
        cases[point.key] = case
        if decision is not None:
            found.setdefault((point.kind, point.id), []).append(decision.alert_id)
    reader.close()
    return found
