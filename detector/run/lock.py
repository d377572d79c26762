"""Who writes: one process holds the lock of a file, and whoever comes second is told which."""

from __future__ import annotations

import fcntl
import os
from pathlib import Path

from detector.errors import StoreError, StoreLocked


class WriterLock:
    """An advisory lock on `<path>.lock`. The system drops it when its holder dies, however it dies.

    The lock file stays: removing it would let a third process lock a new file while a second holds the old one.
    """

    def __init__(self, path: Path) -> None:
        self.path = path.with_name(path.name + ".lock")
        try:
            self._file = os.open(self.path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
        except OSError as error:
            raise StoreError(f"the lock file {self.path} cannot be opened: {error.strerror}") from error
        try:
            fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            holder = os.read(self._file, 32).decode("ascii", "replace").strip() or "unknown"
            os.close(self._file)
            raise StoreLocked(
                f"{path} is being written by process {holder}: stop it first, or give this one a store of its own"
            ) from error
        os.ftruncate(self._file, 0)
        os.pwrite(self._file, str(os.getpid()).encode(), 0)

    def release(self) -> None:
        """Lets the next one in; a second call does nothing."""
        if self._file >= 0:
            os.close(self._file)
            self._file = -1
