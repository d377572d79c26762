"""How often one may try to log in: a count for each address and one for all, in windows of a minute."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Callable

WINDOW_S = 60.0
OF_ONE = 10
OF_ALL = 100


class Pace:
    """Of one process. now: a monotonic clock in seconds."""

    def __init__(self, now: Callable[[], float]) -> None:
        self._now = now
        self._lock = threading.Lock()
        self._begun = now()
        self._tried: Counter[str] = Counter()

    def wait_s(self, address: str) -> float:
        """Counts a try from `address`; the seconds to wait where there were too many, else 0."""
        with self._lock:
            now = self._now()
            if now - self._begun >= WINDOW_S:
                self._begun = now
                self._tried.clear()
            if self._tried[address] >= OF_ONE or self._tried.total() >= OF_ALL:
                return max(self._begun + WINDOW_S - now, 1.0)
            self._tried[address] += 1
            return 0.0
