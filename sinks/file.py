"""Appends alerts to a file, one JSON object a line, and answers only when they are on the disk."""

from __future__ import annotations

import errno
import os
import stat
from collections import deque
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Annotated

import msgspec
import structlog

from detector.alert import Alert
from detector.errors import SinkBusy, SinkRefused
from sinks.contract import Delivery

REMEMBERED = 1000  # alerts at the end of the file whose ids are known; far more than one call can leave in doubt
BLOCK = 1 << 16
# What only a person can mend; any other failure (disk full, quota, a network share that is away) may pass by itself.
NEEDS_A_HUMAN = frozenset(
    (errno.EACCES, errno.EPERM, errno.EROFS, errno.ENOENT, errno.ENOTDIR, errno.EISDIR, errno.ELOOP, errno.ENAMETOOLONG)
)

log = structlog.get_logger()


class FileSettings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, tag="file", tag_field="type"):
    """`path`: the file to append to; its folder must exist. One process writes to it, others may read and rotate it."""

    path: str
    name: str = "file"
    batch_size: Annotated[int, msgspec.Meta(ge=1)] = 500

    def open(self) -> FileSink:
        return FileSink(self)


class FileSink:
    """At least once, and no doubles among the last 1,000 lines: their ids are read back when the file is opened.

    A partial last line (a crash in mid write) was never acknowledged and is cut off. When the file is moved away a
    new one is made; truncating in place works too. A restart right after a rotation sees only the new file: alerts
    in flight in that moment can come twice.
    """

    def __init__(self, settings: FileSettings) -> None:
        self._path = settings.path
        self._fd: int | None = None
        self._ids: deque[str] = deque(maxlen=REMEMBERED)

    def check(self) -> str:
        with self._explained():
            self._follow()
        return f"{self._path} is open for appending"

    def deliver(self, alerts: Sequence[Alert]) -> Delivery:
        with self._explained():
            fd = self._follow()
            known = set(self._ids)
            new = {alert.id: msgspec.json.encode(alert) + b"\n" for alert in alerts if alert.id not in known}
            if new:
                self._append(fd, b"".join(new.values()))
                self._ids.extend(new)
        return Delivery()

    def close(self) -> None:
        if self._fd is not None:
            os.close(self._fd)
            self._fd = None

    def _append(self, fd: int, data: bytes) -> None:
        end = os.fstat(fd).st_size
        try:
            rest = memoryview(data)
            while rest:
                rest = rest[os.write(fd, rest) :]
            os.fsync(fd)
        except OSError:
            # All of the call comes again: leave none of it behind. After a failed fsync nothing that this
            # descriptor says can be trusted, so the next call opens the file anew and reads what is there.
            with _suppressed_os_errors():
                os.ftruncate(fd, end)
            self.close()
            raise

    def _follow(self) -> int:
        """The descriptor of the file that has the path *now*: log rotation moves the open one away."""
        if self._fd is not None:
            try:
                there = os.stat(self._path)
            except FileNotFoundError:
                there = None
            if there is None or not os.path.samestat(there, os.fstat(self._fd)):
                log.info("alert file was rotated", path=self._path)
                self.close()
        if self._fd is None:
            self._fd = self._open()
        return self._fd

    def _open(self) -> int:
        existed = os.path.exists(self._path)
        # O_NONBLOCK: opening a pipe that nobody reads must fail rather than hang
        flags = os.O_RDWR | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC | os.O_NONBLOCK
        fd = os.open(self._path, flags, 0o640)
        try:
            if not stat.S_ISREG(os.fstat(fd).st_mode):
                raise SinkRefused(f"{self._path} is not a regular file: what is written there cannot be made durable")
            tail = _tail(fd, REMEMBERED)
            self._cut_partial_line(fd, tail)
            if not existed:
                _sync_folder(self._path)
            # a rotation forgets nothing: what is known stays known, the file's own lines come last
            self._ids.extend(id_ for id_ in _ids(tail) if id_ not in self._ids)
        except (OSError, SinkRefused):
            os.close(fd)
            raise
        return fd

    def _cut_partial_line(self, fd: int, tail: bytes) -> None:
        partial = len(tail) - (tail.rfind(b"\n") + 1)
        if not partial:
            return
        if not tail[-partial:].startswith(b"{"):
            raise SinkRefused(f"{self._path} ends in something that is not an alert: is this the right file?")
        os.ftruncate(fd, os.fstat(fd).st_size - partial)
        log.warning("partial last line was cut off", path=self._path, bytes=partial)

    @contextmanager
    def _explained(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            message = f"cannot append alerts to {self._path}: {error.strerror}"
            raise (SinkRefused if error.errno in NEEDS_A_HUMAN else SinkBusy)(message) from error


class _AlertId(msgspec.Struct):
    id: str


def _ids(tail: bytes) -> Iterator[str]:
    for line in tail.split(b"\n")[:-1]:
        try:
            yield msgspec.json.decode(line, type=_AlertId).id
        except (msgspec.DecodeError, UnicodeDecodeError):  # a line that someone else wrote
            continue


def _tail(fd: int, lines: int) -> bytes:
    """At least the last `lines` lines of the file, or all of it; what follows the last newline included."""
    start = os.fstat(fd).st_size
    blocks: list[bytes] = []
    newlines = 0
    while start > 0 and newlines <= lines:
        size = min(BLOCK, start)
        start -= size
        blocks.append(os.pread(fd, size, start))
        newlines += blocks[-1].count(b"\n")
    tail = b"".join(reversed(blocks))
    return tail if start == 0 else tail[tail.find(b"\n") + 1 :]


def _sync_folder(path: str) -> None:
    """A new file is durable only once its folder is."""
    folder = os.open(os.path.dirname(os.path.abspath(path)), os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)


@contextmanager
def _suppressed_os_errors() -> Iterator[None]:
    try:
        yield
    except OSError as error:
        log.warning("alerts that were written in part could not be taken back", error=error.strerror)
