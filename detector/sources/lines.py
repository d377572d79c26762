"""Cuts a stream of bytes into JSON lines whose offsets are known, whatever the sizes of the blocks it comes in."""

from __future__ import annotations

from itertools import accumulate

HEAD_BYTES = 65_536  # what is kept of a line that is too long


class LineCutter:
    """Bytes in, whole lines (without their newline) and the offsets of their first bytes out.

    A line longer than `longest` never sits in memory: its first 64 KiB (or `longest`, if that is less) stand for it,
    at its own offset. Such a stump does not parse, so the decoder makes a dead letter of it.

    >>> cutter = LineCutter(at=100, longest=1000)
    >>> cutter.feed(b"one\\ntwo\\nthr")
    >>> cutter.take(10), cutter.at
    (([b'one', b'two'], [100, 104]), 108)
    >>> cutter.finish()
    >>> cutter.take(10), cutter.at
    (([b'thr'], [108]), 111)
    """

    def __init__(self, *, at: int, longest: int) -> None:
        self.at = at  # everything before this offset was taken
        self._longest = longest
        self._head = min(longest, HEAD_BYTES)
        self._lines: list[bytes] = []  # whole, not yet taken
        self._sizes: list[int] = []  # what each takes in the stream, with its newline
        self._first = 0  # index into both of the next one to take
        self._rest = b""  # the line that has begun and not ended, as far as it is kept
        self._dropped = 0  # bytes of it that are not kept

    @property
    def ready(self) -> int:
        """Lines that can be taken now."""
        return len(self._lines) - self._first

    @property
    def held(self) -> int:
        """Bytes that were fed and not taken."""
        return sum(self._sizes[self._first :]) + len(self._rest) + self._dropped

    def feed(self, block: bytes) -> None:
        """Takes the next bytes of the stream; the lines left from earlier blocks stay in front."""
        if b"\n" not in block:
            self._begin(block)
            return
        lines = (self._rest + block).split(b"\n") if not self._dropped else self._end_long(block)
        sizes = [len(line) + 1 for line in lines]
        sizes[0] += self._dropped
        self._dropped, self._rest = 0, b""
        rest = lines.pop()
        sizes.pop()
        if max(sizes) > self._longest:
            lines = [line if len(line) <= self._longest else line[: self._head] for line in lines]
        self._lines = self._lines[self._first :] + lines
        self._sizes = self._sizes[self._first :] + sizes
        self._first = 0
        self._begin(rest)

    def finish(self) -> None:
        """The stream has ended: what came after the last newline is a line too."""
        if self._rest or self._dropped:
            self._lines.append(self._rest)
            self._sizes.append(len(self._rest) + self._dropped)
            self._rest, self._dropped = b"", 0

    def take(self, limit: int) -> tuple[list[bytes], list[int]]:
        """The next lines, at most `limit`, and where each begins."""
        stop = min(self._first + limit, len(self._lines))
        sizes = self._sizes[self._first : stop]
        offsets = list(accumulate(sizes, initial=self.at))
        lines = self._lines[self._first : stop]
        self.at = offsets.pop()
        self._first = stop
        return lines, offsets

    def _begin(self, piece: bytes) -> None:
        if not self._dropped:
            self._rest += piece
            piece = b""
        if len(self._rest) > self._longest:
            self._dropped += len(self._rest) - self._head
            self._rest = self._rest[: self._head]
        self._dropped += len(piece)

    def _end_long(self, block: bytes) -> list[bytes]:
        """The block's lines, the first of which ends a line of which only the head was kept."""
        first, _, others = block.partition(b"\n")
        self._dropped += len(first)
        return [self._rest, *others.split(b"\n")]
