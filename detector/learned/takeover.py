"""Which model judges whom, so that a takeover is no second chance to be named.

The promise is about a client's first H days. A client that is judged by two models within them has two chances to be
named, however well each was calibrated. So each entity is *governed*, for its first horizon, by the model that was in
force at its first query; afterwards by the newest. Then nothing is spent, and takeovers may come at any epoch. It costs
up to three models in memory (2.4 MB each, and as much again for what taught them).

Where one model must judge everybody at once, a takeover is a new look: at most one a horizon is free, and an earlier
one is calibrated at the share a · (time since the last) / H.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Sequence


def governing(first_at: int, clock: int, taken_over: Sequence[int], horizon_us: int) -> int:
    """The index of the model that judges an entity now: 0 is the first, i the i-th successor.

    taken_over: log times of the takeovers, ascending; first_at, clock: the entity's first and present log time.

    >>> governing(5, 12, [10, 20], horizon_us=100), governing(15, 30, [10, 20], 100), governing(5, 105, [10, 20], 100)
    (0, 1, 2)
    """
    return bisect_right(taken_over, first_at if clock - first_at < horizon_us else clock)


def needed(oldest_first_at: int, taken_over: Sequence[int]) -> range:
    """The models that may still judge somebody, when no entity inside its first horizon began before that log time."""
    return range(bisect_right(taken_over, oldest_first_at), len(taken_over) + 1)


def spent(share: float, since_us: int, horizon_us: int) -> float:
    """The share at which a model that takes over *everybody* is calibrated, so long after the last one did.

    >>> spent(0.01, 15, 30), spent(0.01, 45, 30)
    (0.005, 0.01)
    """
    return share * min(since_us / horizon_us, 1.0)
