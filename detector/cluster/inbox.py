"""Messages that came for one partition and are not taken yet, and where they leave holes."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator

MOST_BYTES = 8 * 1024 * 1024  # that wait in one inbox before its stage is sent no more

Message = tuple[int, bytes]  # its offset in the partition, and what it holds


class Inbox:
    """One event loop uses it. upto: behind the last message that came; 0 when nothing did since it was cleared."""

    def __init__(self) -> None:
        self.upto = 0
        self._messages: list[Message] = []
        self._bytes, self._turn = 0, 0
        self._came, self._room = asyncio.Event(), asyncio.Event()
        self._room.set()

    async def put(self, offset: int, value: bytes) -> None:
        """Takes a message; waits for room first. What waits when the inbox is cleared is dropped, too."""
        turn = self._turn
        await self._room.wait()
        if turn != self._turn:
            return
        self._messages.append((offset, value))
        self._bytes += len(value)
        self.upto = max(self.upto, offset + 1)
        self._came.set()
        if self._bytes > MOST_BYTES:
            self._room.clear()

    async def filled(self) -> None:
        """Until something has come since this was last awaited."""
        await self._came.wait()
        self._came.clear()

    def look_again(self) -> None:
        """What had come must be seen to once more, even if nothing else comes."""
        self._came.set()

    def clear(self) -> None:
        self._empty()
        self.upto = 0
        self._turn += 1

    def pieces(self, at: int) -> Iterator[list[Message] | range]:
        """Takes out what came behind the offset `at`, in order; for what is missing before a message, or had been taken
        out before, a range of offsets.
        """
        messages, upto = self._empty(), self.upto
        piece: list[Message] = []
        for offset, value in messages:
            if offset <= at:
                continue
            if offset > at + 1:
                if piece:
                    yield piece
                yield range(at + 1, offset)
                piece = []
            piece.append((offset, value))
            at = offset
        if piece:
            yield piece
        if at + 1 < upto:
            yield range(at + 1, upto)

    def _empty(self) -> list[Message]:
        messages, self._messages, self._bytes = self._messages, [], 0
        self._room.set()
        return messages
