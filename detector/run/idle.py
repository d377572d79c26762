"""Which streams have fallen silent, so that ticks need not wait for them for ever."""

from __future__ import annotations

from collections.abc import Callable, Iterable

IDLE_S = 60.0  # longer than log shippers hold a record back


class Silence:
    """When each stream last gave records. `monotonic` is a clock in seconds."""

    def __init__(self, monotonic: Callable[[], float]) -> None:
        self._now = monotonic
        self._heard: dict[str, float] = {}

    def heard(self, stream: str) -> None:
        self._heard[stream] = self._now()

    def silent(self, streams: Iterable[str]) -> set[str]:
        """Those of `streams` that gave nothing for IDLE_S, counted from when they were first asked about."""
        now = self._now()
        return {stream for stream in streams if now - self._heard.setdefault(stream, now) >= IDLE_S}
