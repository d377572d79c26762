"""Reads files once, each to its end, and says at the end which of them were not whole."""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping
from pathlib import Path

import structlog

from detector.errors import SourceBusy, SourceRefused
from detector.query import Chunk
from detector.sources.bounds import Clock, wall_clock
from detector.sources.carrier import Carrier, Found, find, unreadable
from detector.sources.fingerprint import Names, beginning_of

log = structlog.get_logger()


class FileReplay:
    """A bounded source: file after file. All files that are not finished count as streams from the beginning.

    A file that is cut short or damaged gives every whole line that it has. The others are read all the same; when
    nothing is left, `read` raises SourceRefused once, naming each such file and the byte.
    """

    def __init__(
        self, paths: tuple[str, ...], *, batch_size: int, max_record_bytes: int, clock: Clock = wall_clock
    ) -> None:
        self._paths = paths
        self._batch_size = batch_size
        self._longest = max_record_bytes
        self._clock = clock
        self._positions: dict[str, int] = {}
        self._waiting: list[tuple[Found, str]] = []
        self._current: Carrier | None = None
        self._copied: set[str] = set()  # streams of which there are several files
        self._complaints: list[str] = []

    def open(self, positions: Mapping[str, int]) -> None:
        files = find(self._paths)
        if not files:
            raise SourceBusy(f"no file matches {', '.join(self._paths)}")
        names = Names()
        plain: dict[str, float] = {}  # the longest plain file of each stream that has no compressed one
        for file in files:
            try:
                begins = beginning_of(file.path, grows=False)
            except OSError as error:
                raise unreadable(file.path, error) from error
            if not begins.marks:
                self._complain(file.path, begins.torn)
                continue
            stream = names.name(begins.marks, positions)
            if stream in plain:
                self._copied.add(stream)
            self._waiting.append((file, stream))
            plain[stream] = max(plain.get(stream, 0), math.inf if begins.packed else file.size)
        self._positions = {stream: positions.get(stream, 0) for stream in plain}
        for file, stream in self._waiting:
            if plain[stream] < self._positions[stream]:
                raise SourceRefused(f"{file.path} {_too_short(file.size, self._positions[stream])}")

    def read(self, timeout_s: float) -> list[Chunk]:
        """A file never makes anyone wait: `timeout_s` is not used."""
        while (carrier := self._carrier()) is not None:
            if (chunk := carrier.chunk(self._batch_size, self._clock())) is not None:
                self._positions[carrier.stream] = chunk.next_offset
                return [chunk]
            self._finish(carrier)
        if self._complaints:
            complaints, self._complaints = self._complaints, []
            raise SourceRefused(f"{'; '.join(complaints)}. Everything before was read")
        return []

    def streams(self) -> list[str]:
        current = [self._current.stream] if self._current else []
        return list(dict.fromkeys(current + [stream for _, stream in self._waiting]))

    def positions(self) -> dict[str, int]:
        """Where each stream stands: everything before was returned by `read`."""
        return dict(self._positions)

    def drained(self, streams: Collection[str]) -> set[str]:
        """None: a stream that is read to its end is no stream any more."""
        return set()

    def commit(self, positions: Mapping[str, int]) -> None:
        """A file keeps no account of its readers."""

    def lag(self) -> dict[str, int]:
        """Bytes as stored: those of a compressed file count compressed."""
        lag = {stream: file.size for file, stream in self._waiting}
        if self._current:
            lag[self._current.stream] = lag.get(self._current.stream, 0) + self._current.lag()
        return lag

    @property
    def exhausted(self) -> bool:
        return not (self._waiting or self._current or self._complaints)

    def close(self) -> None:
        if self._current:
            self._current.close()
        self._current, self._waiting = None, []

    def _carrier(self) -> Carrier | None:
        if self._current is None and self._waiting:
            file, stream = self._waiting.pop(0)
            at = self._positions[stream]
            ends = all(stream != other for _, other in self._waiting)  # else a copy may have more of the last line
            self._current = Carrier(file, stream, at=at, longest=self._longest, ends=ends)
        return self._current

    def _finish(self, carrier: Carrier) -> None:
        carrier.close()
        self._current = None
        self._complain(carrier.path, carrier.torn)
        # A shorter copy of a log has nothing new; the only file of one must reach the position that was stored.
        if carrier.missing and not carrier.torn and carrier.stream not in self._copied:
            self._complain(carrier.path, _too_short(carrier.position - carrier.missing, carrier.position))

    def _complain(self, path: Path, torn: str | None) -> None:
        if torn:
            self._complaints.append(f"{path} {torn}")
            log.error("file is not whole", path=str(path), found=torn)


def _too_short(size: int, position: int) -> str:
    return f"ends at byte {size}, before the stored position {position}: it was cut, or replaced by another log"
