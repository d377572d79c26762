"""Tells which log a file carries by how its content begins, so that no rename, rotation or compression hides it.

A log is named by the BLAKE2b of its first line (of its first 64 KiB, where the line is longer). Where two different
logs of one run begin with the same line, the one that was found later is named by its first two lines, or three, up
to eight. What this cannot tell apart: logs that agree in eight lines are taken for one; and when the second of two
such logs is all that is left after a restart, and nothing of it was stored yet, it passes for the first.
"""

from __future__ import annotations

import hashlib
from collections.abc import Container
from dataclasses import dataclass
from pathlib import Path

from detector.sources.unpack import Content, open_content

HEAD_BYTES = 65_536
DEPTH = 8

Marks = tuple[str, ...]  # fingerprints of the first line, the first two lines, ... as far as they are complete


@dataclass(frozen=True, slots=True)
class Beginning:
    """How a file begins: no marks where there is nothing yet, or no whole line; `torn` if it also ends there."""

    marks: Marks
    packed: bool
    torn: str | None


def beginning_of(path: Path, *, grows: bool) -> Beginning:
    """Looks at a file's first 64 KiB. One that does not grow may have a first line without its newline."""
    content = open_content(path)
    try:
        head = _head(content)
        return Beginning(marks(head, grows=grows and not content.packed), content.packed, content.torn)
    finally:
        content.close()


def marks(head: bytes, *, grows: bool) -> Marks:
    """The marks of a content that begins with `head`.

    >>> marks(b"a\\nb", grows=True) == marks(b"a\\n", grows=True) == marks(b"a", grows=False)
    True
    >>> marks(b"a", grows=True)
    ()
    """
    *lines, rest = head.split(b"\n")
    if not lines and rest and (len(head) == HEAD_BYTES or not grows):
        lines = [rest]
    return tuple(_digest(b"\n".join(lines[:count])) for count in range(1, min(len(lines), DEPTH) + 1))


class Names:
    """The names given in this run. A log keeps its name for as long as the run lasts."""

    def __init__(self) -> None:
        self._logs: dict[str, Marks] = {}

    def name(self, marks: Marks, stored: Container[str]) -> str:
        """The stream of the log that begins with `marks`; `stored` names are those that the store has positions of."""
        names = [f"file:{mark}" for mark in marks]
        stream = next((n for n in reversed(names) if n in self._logs and _same(self._logs[n], marks)), None)
        stream = stream or next((n for n in reversed(names[1:]) if n in stored and n not in self._logs), None)
        # Marks that are all taken belong to a log that goes on like this one, which the first line has found.
        stream = stream or next(n for n in names if n not in self._logs)
        self._logs[stream] = max(self._logs.get(stream, ()), marks, key=len)
        return stream


def _same(one: Marks, other: Marks) -> bool:
    shared = min(len(one), len(other))
    return one[:shared] == other[:shared]


def _head(content: Content) -> bytes:
    head = b""
    while len(head) < HEAD_BYTES and (block := content.read()):
        head += block
    return head[:HEAD_BYTES]


def _digest(data: bytes) -> str:
    return hashlib.blake2b(data, digest_size=16).hexdigest()
