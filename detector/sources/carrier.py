"""An open file as the carrier of a log: where in the log it stands, and its next lines."""

from __future__ import annotations

import glob
import os
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from detector.errors import SourceBusy, SourceRefused
from detector.query import Chunk
from detector.sources.bounds import SLACK_US
from detector.sources.lines import LineCutter
from detector.sources.unpack import open_content

FileKey = tuple[int, int]  # device and inode: the file itself, whatever it is called


@dataclass(frozen=True, slots=True)
class Found:
    """A file that matches the settings."""

    path: Path
    key: FileKey
    size: int
    changed_ns: int
    pattern: str


def find(patterns: Iterable[str]) -> list[Found]:
    """The matching files, the one changed longest ago first; two names of one file count once."""
    found: dict[FileKey, Found] = {}
    for pattern in patterns:
        names = [pattern] if os.path.exists(pattern) else glob.glob(pattern, recursive=True)
        for path in map(Path, names):
            try:
                stat = path.stat()
            except FileNotFoundError:
                continue  # removed since it was listed
            if not path.is_dir():
                key = (stat.st_dev, stat.st_ino)
                found.setdefault(key, Found(path, key, stat.st_size, stat.st_mtime_ns, pattern))
    return sorted(found.values(), key=lambda file: (file.changed_ns, str(file.path)))


def unreadable(path: Path, error: OSError) -> SourceBusy | SourceRefused:
    """What to raise for a file that cannot be opened or read."""
    if isinstance(error, FileNotFoundError):
        return SourceBusy(f"the file {path} is not there")
    return SourceRefused(f"the file {path} cannot be read: {error.strerror}")


class Carrier:
    """Reads one file from a position in its log. `at_end` is true while all that the file holds was given.

    `ends`: the file is complete, so its last line needs no newline.
    """

    def __init__(self, file: Found, stream: str, *, at: int, longest: int, ends: bool) -> None:
        try:
            self._content = open_content(file.path)
            self.missing = at - self._content.skip(at)  # bytes before the position that the file does not have
        except OSError as error:
            raise unreadable(file.path, error) from error
        self.path = file.path
        self.key = file.key
        self.stream = stream
        self.at_end = False
        self.idle_since: int | None = None
        self.seen = (file.size, file.changed_ns)
        self._ends = ends
        self._cutter = LineCutter(at=at, longest=longest)

    @property
    def position(self) -> int:
        return self._cutter.at

    @property
    def packed(self) -> bool:
        return self._content.packed

    @property
    def torn(self) -> str | None:
        return self._content.torn

    def chunk(self, limit: int, now: int) -> Chunk | None:
        """The next lines, or None when there are none now."""
        self._fill()
        if not self._cutter.ready:
            return None
        payloads, offsets = self._cutter.take(limit)
        self.at_end = not self._cutter.ready and self._content.left() == 0 and not self.packed
        return Chunk(self.stream, payloads, offsets, self._cutter.at, [now + SLACK_US] * len(payloads))

    @property
    def drained(self) -> bool:
        """All that the file holds now was given."""
        return self.at_end and self._content.left() == 0

    def lag(self) -> int:
        return self._content.left() + self._cutter.held

    def close(self) -> None:
        self._content.close()

    def _fill(self) -> None:
        self.at_end = False
        while not self._cutter.ready and not self.at_end:
            try:
                block = self._content.read()
            except OSError as error:
                raise unreadable(self.path, error) from error
            if block:
                self._cutter.feed(block)
                continue
            self.at_end = True
            if self._ends and self.torn is None:
                self._cutter.finish()
