"""Rows in a file that the system pages: memory is a cache of them, and a flood of names cannot use it up.

The file is mapped, so a row is the same bytes whether it lies in memory or on disk, and nobody's result depends on
where. Which rows stay in memory is the kernel's to choose, by when they were last used. The file has no name and
outlives nothing: what is durable is the store's snapshot. Its blocks are reserved before they are used, so that a full
disk is an error that is said, not a signal that kills.
"""

from __future__ import annotations

import mmap
import os
import tempfile
from pathlib import Path

import numpy as np

from detector.errors import StoreError
from features.contract import Rows

GROWTH = 4  # a table grows by this part of itself: nothing is copied, so small steps cost little
LEAST = 1024  # rows


class Paged:
    """A place for the rows of one table. Call it with the rows that there are to get room for more."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._file = tempfile.TemporaryFile(dir=folder, prefix="rows-")  # noqa: SIM115  # lives as long as its rows
        self._length = 0

    def __call__(self, rows: Rows) -> Rows:
        """More rows than these, the first of them the same; the new ones are zeros. Raises StoreError where the disk
        is full. The old array must not be used any more.
        """
        more = len(rows) + max(len(rows) // GROWTH, LEAST)
        size = more * rows.itemsize
        try:
            _reserve(self._file.fileno(), self._length, size)
            mapped = mmap.mmap(self._file.fileno(), size)
        except OSError as error:
            raise StoreError(
                f"{self._folder}: no room for the rows of {more:,} entities ({size / 2**20:,.0f} MiB): {error.strerror}"
            ) from error
        found: Rows = np.frombuffer(mapped, rows.dtype)
        if not self._length:
            found[: len(rows)] = rows
        self._length = size
        return found


def _reserve(file: int, length: int, size: int) -> None:
    if hasattr(os, "posix_fallocate"):
        os.posix_fallocate(file, length, size - length)
    else:  # macOS: the file is as long, and its blocks come when they are written
        os.truncate(file, size)
