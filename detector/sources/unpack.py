"""Reads a file's content as it was before gzip or zstd, and says where a file that was cut short ends.

The kind is told by the first bytes, never by the name. Several gzip members or zstd frames in one file are one
content (RFC 1952 section 2.2, RFC 8878 section 3.1), as `cat a.gz b.gz` and `pzstd` make them.
"""

from __future__ import annotations

import os
import zlib
from collections.abc import Callable
from io import FileIO
from pathlib import Path
from typing import Protocol

import zstandard

PLAIN_BLOCK = 1 << 20
# One zstd block of a few bytes can stand for 128 KiB, so little input at a time bounds what comes out of it.
PACKED_BLOCK = 1 << 14

_GZIP = b"\x1f\x8b"
_ZSTD = b"\x28\xb5\x2f\xfd"
_SKIPPABLE = b"\x2a\x4d\x18"  # after a byte 0x50..0x5f: a frame of metadata, which pzstd puts first


class Content:
    """A plain file. `read` gives the next bytes, none at the end (or where the file ends for now)."""

    packed = False

    def __init__(self, file: FileIO) -> None:
        self.file = file
        self.torn: str | None = None  # how the file ends, if not well

    def read(self) -> bytes:
        return self.file.read(PLAIN_BLOCK) or b""

    def skip(self, count: int) -> int:
        """Passes over `count` bytes of content; returns how many of them there were."""
        reached = min(count, os.fstat(self.file.fileno()).st_size)
        self.file.seek(reached)
        return reached

    def left(self) -> int:
        """Bytes of the file, as stored, that were not read."""
        return max(0, os.fstat(self.file.fileno()).st_size - self.file.tell())

    def close(self) -> None:
        self.file.close()


class _Unpacker(Protocol):
    """One gzip member or zstd frame; zlib and zstandard make objects of this shape."""

    @property
    def eof(self) -> bool: ...
    @property
    def unused_data(self) -> bytes: ...
    def decompress(self, data: bytes, /) -> bytes: ...


class Packed(Content):
    """A compressed file: `torn` is set when it ends inside a part, or when a part is damaged."""

    packed = True

    def __init__(self, file: FileIO, part: str, begin: Callable[[], _Unpacker]) -> None:
        super().__init__(file)
        self._part = part
        self._begin = begin
        self._unpacker: _Unpacker | None = None
        self._input = b""
        self._passed = 0  # bytes of the stored file before `_input`
        self._part_at = 0
        self._spare = b""  # unpacked by `skip` beyond what was to be skipped

    def read(self) -> bytes:
        if self._spare:
            spare, self._spare = self._spare, b""
            return spare
        while self.torn is None:
            if not self._input and not self._refill():
                return b""
            if unpacked := self._unpack():
                return unpacked
        return b""

    def skip(self, count: int) -> int:
        reached = 0
        while reached < count and (block := self.read()):
            reached += len(block)
            if reached > count:
                self._spare = block[count - reached :]
                reached = count
        return reached

    def left(self) -> int:
        return super().left() + len(self._input) + len(self._spare)

    def _refill(self) -> bool:
        self._input = self.file.read(PACKED_BLOCK) or b""
        if not self._input and self._unpacker is not None:
            self.torn = f"ends in the middle of a {self._part}, at byte {self._passed} (it begins at {self._part_at})"
        return bool(self._input)

    def _unpack(self) -> bytes:
        if self._unpacker is None and not self._begin_part():
            return b""
        assert self._unpacker is not None
        taken, self._input = self._input, b""
        try:
            unpacked = self._unpacker.decompress(taken)
        except (zlib.error, zstandard.ZstdError) as error:
            self.torn = f"is damaged in the {self._part} that begins at byte {self._part_at}: {error}"
            return b""
        if self._unpacker.eof:
            self._input, self._unpacker = self._unpacker.unused_data, None
        self._passed += len(taken) - len(self._input)
        return unpacked

    def _begin_part(self) -> bool:
        # gzip allows zeros as padding after a member; no zstd frame begins with one.
        padded = len(self._input)
        self._input = self._input.lstrip(b"\0")
        self._passed += padded - len(self._input)
        if self._input:
            self._part_at, self._unpacker = self._passed, self._begin()
        return bool(self._input)


def open_content(path: Path) -> Content:
    """Opens a file and tells its kind by its first bytes. Raises OSError as `open` does."""
    file = FileIO(path, "rb")
    magic = os.pread(file.fileno(), 4, 0)
    if magic.startswith(_GZIP):
        return Packed(file, "gzip member", lambda: zlib.decompressobj(wbits=31))
    if magic == _ZSTD or (magic[1:] == _SKIPPABLE and magic[0] >> 4 == 5):
        return Packed(file, "zstd frame", lambda: zstandard.ZstdDecompressor().decompressobj())
    return Content(file)
