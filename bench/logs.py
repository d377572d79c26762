"""A log on its way into detection: from a file, or as chunks in memory."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

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
