"""What Kafka's client says ten times a second while a broker is away, said once a minute."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable

AGAIN_S = 60.0
CLIENTS = ("aiokafka", "faust", "mode")


class Quiet(logging.Filter):
    """Lets a sentence of the libraries through when it was not said for AGAIN_S; all others always."""

    def __init__(self, monotonic: Callable[[], float] = time.monotonic) -> None:
        super().__init__()
        self._now = monotonic
        self._said: dict[tuple[str, object], float] = {}

    def filter(self, record: logging.LogRecord) -> bool:
        if record.name.partition(".")[0] not in CLIENTS:
            return True
        key, now = (record.name, record.msg), self._now()  # the sentence before its numbers
        if now - self._said.get(key, float("-inf")) < AGAIN_S:
            return False
        self._said[key] = now
        return True


def quieten() -> None:
    """For this process, when its log is configured."""
    for handler in logging.getLogger().handlers:
        handler.addFilter(Quiet())
