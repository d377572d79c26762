"""JSON lines from standard input: nothing to find again, nothing to resume."""

from __future__ import annotations

import os
import select
import time
import uuid
from collections.abc import Collection, Mapping

import msgspec

from detector.errors import SettingsError
from detector.query import Chunk
from detector.sources.bounds import SLACK_US, Clock, wall_clock
from detector.sources.lines import LineCutter

_BLOCK = 1 << 20


class StdinSettings(
    msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, tag_field="type", tag="stdin"
):
    """Standard input, one JSON record a line.

    batch_size: records read at a time. max_record_bytes: a longer line becomes a dead letter.

    >>> StdinSettings().batch_size
    4000
    """

    batch_size: int = 4000
    max_record_bytes: int = 10 * 1024 * 1024

    def __post_init__(self) -> None:
        if self.batch_size < 1 or self.max_record_bytes < 1:
            raise SettingsError("stdin: batch_size and max_record_bytes must be at least 1")

    def connect(self) -> StdinSource:
        return StdinSource(self, run_id=uuid.uuid4().hex)


class StdinSource:
    """Lines of one run. The stream carries `run_id`, so that another run's positions never hide them."""

    def __init__(self, settings: StdinSettings, *, run_id: str, fd: int = 0, clock: Clock = wall_clock) -> None:
        self._settings = settings
        self._stream = f"stdin:{run_id}"
        self._fd = fd
        self._clock = clock
        self._cutter = LineCutter(at=0, longest=settings.max_record_bytes)
        self._ended = False

    def open(self, positions: Mapping[str, int]) -> None:
        """Nothing to do: what was read in another run cannot come again."""

    def read(self, timeout_s: float) -> list[Chunk]:
        until = time.monotonic() + timeout_s
        while not self._cutter.ready and not self._ended and self._readable(until):
            block = os.read(self._fd, _BLOCK)
            if block:
                self._cutter.feed(block)
            else:
                self._ended = True
                self._cutter.finish()
        if not self._cutter.ready:
            return []
        payloads, offsets = self._cutter.take(self._settings.batch_size)
        bounds = [self._clock() + SLACK_US] * len(payloads)
        return [Chunk(self._stream, payloads, offsets, self._cutter.at, bounds)]

    def streams(self) -> list[str]:
        return [] if self.exhausted else [self._stream]

    def positions(self) -> dict[str, int]:
        """Where the stream stands: everything before was returned by `read`."""
        return {self._stream: self._cutter.at}

    def drained(self, streams: Collection[str]) -> set[str]:
        """None: it is the only stream, and nobody waits for it."""
        return set()

    def commit(self, positions: Mapping[str, int]) -> None:
        """Nobody asks standard input how far it was read."""

    def lag(self) -> dict[str, int]:
        return {self._stream: self._cutter.held}

    @property
    def exhausted(self) -> bool:
        return self._ended and not self._cutter.ready

    def close(self) -> None:
        """Standard input belongs to the process, not to this source."""

    def _readable(self, until: float) -> bool:
        ready, _, _ = select.select([self._fd], [], [], max(0.0, until - time.monotonic()))
        return bool(ready)
