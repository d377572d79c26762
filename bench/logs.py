"""A log on its way into detection: from a file, or as chunks in memory."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path

import msgspec

from detector.query import Chunk
from detector.run.replay import read_logs

NEVER = 2**62  # no record claims a later time


def reader(path: Path) -> Callable[[], Iterator[Chunk]]:
    """What `fit` reads its log with."""
    return lambda: read_logs([str(path)])


def chunks(lines: Sequence[bytes], size: int = 4000, stream: str = "file:bench") -> Iterator[Chunk]:
    """Lines of a log (without newlines), as a source hands them on."""
    for start in range(0, len(lines), size):
        part = list(lines[start : start + size])
        yield Chunk(stream, part, list(range(start, start + len(part))), start + len(part), [NEVER] * len(part))


def at_rate(lines: Sequence[bytes], rate: float, start: datetime) -> list[bytes]:
    """The same records, so many a second of log time: as they come where so many are asked."""
    return [at(line, start + timedelta(seconds=number / rate)) for number, line in enumerate(lines)]


def at(line: bytes, when: datetime) -> bytes:
    """A record that says another time."""
    record = msgspec.json.decode(line)
    record["at"] = when.astimezone(UTC).isoformat().replace("+00:00", "Z")
    return msgspec.json.encode(record)
