"""How late a record can claim to be: the time at which it was seen, and the slack that clocks are granted."""

from __future__ import annotations

import time
from collections.abc import Callable

Clock = Callable[[], int]  # microseconds since 1970, UTC; tests pass one that they move by hand

SLACK_US = 300_000_000  # five minutes: what honest clocks of different machines differ by


def wall_clock() -> int:
    """Now, in microseconds since 1970.

    >>> wall_clock() > 1_700_000_000_000_000
    True
    """
    return time.time_ns() // 1000
