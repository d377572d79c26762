"""Follows files that others write, rotate and cut."""

from __future__ import annotations

import time
from collections.abc import Collection, Mapping

import structlog

from detector.errors import SourceBusy
from detector.query import Chunk
from detector.sources.bounds import Clock, wall_clock
from detector.sources.carrier import Carrier, FileKey, Found, find, unreadable
from detector.sources.fingerprint import Names, beginning_of

log = structlog.get_logger()

LOOK_EVERY_US = 1_000_000  # a busy source looks for new and cut files this often; an idle one at every read
IDLE_AFTER_US = 60_000_000
_PAUSE_S = 0.2


class FileFollower:
    """An unbounded source: the lines of all matching files as they come.

    A file that was renamed is read to its end before the one that took its name, and stays open for late writers.
    One that gave nothing for a minute, and is not the newest of its pattern, no longer counts as a stream until it
    grows: a rotated file must not hold up the watermark.
    """

    def __init__(
        self, paths: tuple[str, ...], *, batch_size: int, max_record_bytes: int, clock: Clock = wall_clock
    ) -> None:
        self._paths = paths
        self._batch_size = batch_size
        self._longest = max_record_bytes
        self._clock = clock
        self._names = Names()
        self._positions: dict[str, int] = {}
        self._open: dict[FileKey, Carrier] = {}
        self._spent: dict[FileKey, tuple[int, int]] = {}  # read to the end at this size and time of change
        self._looked_at = 0

    def open(self, positions: Mapping[str, int]) -> None:
        self._positions = {stream: at for stream, at in positions.items() if stream.startswith("file:")}
        self._look()

    def read(self, timeout_s: float) -> list[Chunk]:
        until = time.monotonic() + timeout_s
        if not 0 <= self._clock() - self._looked_at < LOOK_EVERY_US:
            self._look()
        while not (chunks := self._read_all()):
            self._look()
            if chunks := self._read_all():
                break
            left_s = until - time.monotonic()
            if left_s <= 0:
                break
            time.sleep(min(_PAUSE_S, left_s))
        return chunks

    def streams(self) -> list[str]:
        return [carrier.stream for carrier in self._open.values()]

    def positions(self) -> dict[str, int]:
        """Where each stream stands: everything before was returned by `read`."""
        return dict(self._positions)

    def drained(self, streams: Collection[str]) -> set[str]:
        """The files that are read to their end; a line that has begun waits for the rest of it."""
        return {carrier.stream for carrier in self._open.values() if carrier.drained} & set(streams)

    def commit(self, positions: Mapping[str, int]) -> None:
        """A file keeps no account of its readers."""

    def lag(self) -> dict[str, int]:
        """Bytes as stored: those of a compressed file count compressed."""
        return {carrier.stream: carrier.lag() for carrier in self._open.values()}

    @property
    def exhausted(self) -> bool:
        return False

    def close(self) -> None:
        for carrier in self._open.values():
            carrier.close()
        self._open.clear()

    def _read_all(self) -> list[Chunk]:
        """What the open files give, up to a batch. A file gets its turn when all that were opened before are at their
        end: so a renamed file comes before its successor, and a backlog in the order in which it was written.
        """
        chunks: list[Chunk] = []
        room = self._batch_size
        for carrier in self._open.values():
            if (chunk := carrier.chunk(room, self._clock())) is not None:
                carrier.idle_since = None
                self._positions[carrier.stream] = chunk.next_offset
                chunks.append(chunk)
                room -= len(chunk.payloads)
            if room <= 0 or not carrier.at_end:
                break
        return chunks

    def _look(self) -> None:
        """Opens what is new, leaves what was cut, and closes what has come to rest."""
        self._looked_at = self._clock()
        files = find(self._paths)
        for file in files:
            self._look_at(file)
        newest = {file.pattern: file.key for file in files}
        for key, carrier in list(self._open.items()):
            if carrier.at_end and (carrier.packed or self._rests(carrier, live=key in newest.values())):
                self._leave(carrier)

    def _look_at(self, file: Found) -> None:
        carrier = self._open.get(file.key)
        if carrier is not None and carrier.packed:
            return
        if self._spent.get(file.key) == (file.size, file.changed_ns):
            return
        try:
            begins = beginning_of(file.path, grows=True)
        except FileNotFoundError:
            return  # removed since it was found: the next look sees what took its place
        except OSError as error:
            raise unreadable(file.path, error) from error
        if carrier is not None and (file.size < carrier.position or not self._is(carrier, begins.marks)):
            log.info("file was cut or rewritten", path=str(file.path), stream=carrier.stream, position=carrier.position)
            self._leave(carrier)
            carrier = None
        if carrier is not None:
            carrier.path = file.path
        elif begins.marks:
            self._begin(file, self._names.name(begins.marks, self._positions), packed=begins.packed)

    def _is(self, carrier: Carrier, marks: tuple[str, ...]) -> bool:
        return bool(marks) and self._names.name(marks, self._positions) == carrier.stream

    def _begin(self, file: Found, stream: str, *, packed: bool) -> None:
        at = self._positions.get(stream, 0)
        if any(carrier.stream == stream for carrier in self._open.values()):
            return  # a copy of a log that is being read: its turn comes when that file is left
        if not packed and file.size <= at:
            self._spent[file.key] = (file.size, file.changed_ns)
            return
        try:
            carrier = Carrier(file, stream, at=at, longest=self._longest, ends=packed)
        except SourceBusy:
            return  # removed since
        self._positions.setdefault(stream, 0)
        self._open[file.key] = carrier
        log.info("file opened", path=str(file.path), stream=stream, position=at)

    def _rests(self, carrier: Carrier, *, live: bool) -> bool:
        carrier.idle_since = self._clock() if carrier.idle_since is None else carrier.idle_since
        return not live and self._clock() - carrier.idle_since >= IDLE_AFTER_US

    def _leave(self, carrier: Carrier) -> None:
        if carrier.torn:
            # Perhaps its compressor is still at work: it is read on when it has changed.
            log.warning("file is not whole", path=str(carrier.path), found=carrier.torn)
        carrier.close()
        del self._open[carrier.key]
        if carrier.packed:
            self._spent[carrier.key] = carrier.seen
