"""A second profile on the same records, told to nobody: what it would say is recorded in a store of its own.

Its store is saved before the main one's. So after a crash it stands where the main one does, or ahead: records that
its state includes already are not given to it again. It is behind only when the settings left it out for a time. Then
it has missed a part of the log, which the main one must not wait for: it goes on from here, and the span that it has
seen without a hole begins anew.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Collection, Sequence
from pathlib import Path

import msgspec
import structlog
from msgspec.structs import replace

from detector.entities import Entities
from detector.errors import SettingsError
from detector.pipeline import FOREVER_US
from detector.profile import artefact
from detector.query import Chunk
from detector.run.judge import Judge, check_groups
from detector.settings import Settings

MARK = "shadow"

log = structlog.get_logger(__name__)


class Mark(msgspec.Struct, frozen=True):
    """What a shadow has seen. since: log time, microseconds, from which it missed nothing; 0: no record yet.

    whole: it began with the log that the main one reads, at the earliest of its records.
    """

    since: int = 0
    judged: int = 0
    whole: bool = False


class Shadow:
    """The judge of the settings' `[shadow]`. Raises what Judge raises, and SettingsError."""

    def __init__(self, profile: Path, folder: Path, settings: Settings) -> None:
        if folder.resolve() == Path(settings.store.path).resolve():
            raise SettingsError("shadow.store: it is the store that is run; give the shadow one of its own")
        loaded = artefact.load(profile)
        check_groups(settings, loaded)
        self.judge = Judge(folder, loaded, settings)
        self._mark = Mark()

    def restore(self, main: Judge) -> None:
        """Goes on from its last snapshot, where `main` stands or ahead of it."""
        judge = self.judge
        body = judge.restore().get(MARK)
        self._mark = msgspec.msgpack.decode(body, type=Mark) if body is not None else Mark(whole=True)
        behind = {s: at for s, at in main.positions.items() if judge.positions.get(s, -1) < at}
        if any(stream in judge.positions for stream in behind):
            log.warning("The shadow missed a part of the log: what it has seen counts from now", streams=len(behind))
        if behind:
            self._mark = Mark(since=main.pipeline.newest_clock)
        judge.positions |= behind

    def advance(self, chunk: Chunk) -> None:
        """Takes the records of a chunk that its state does not include."""
        at = self.judge.positions.get(chunk.stream, 0)
        if chunk.next_offset <= at:
            return
        step = self.judge.advance(chunk.part(bisect_left(chunk.offsets, at), len(chunk.offsets)))
        self.judge.settle(step)
        self._mark = replace(self._mark, judged=self._mark.judged + step.judged)

    def tick(self, streams: Sequence[str] | None) -> None:
        self.judge.settle(self.judge.pipeline.tick(streams))

    def snapshot(self, streams: Sequence[str], idle: Collection[str]) -> None:
        if self._mark.whole:
            first = _first(self.judge.pipeline.clients)
            self._mark = replace(self._mark, since=min(first, self._mark.since or first))
        self.judge.snapshot(streams, idle, {MARK: msgspec.msgpack.encode(self._mark)})
        self.tick(streams)


def _first(clients: Entities) -> int:
    """The time of the first query of all, microseconds; 0 before there is one."""
    rows = clients.rows[: len(clients)]
    return int(rows["first_at"][rows["n"] > 0].min(initial=FOREVER_US)) % FOREVER_US
