"""A clock that tests move by hand."""

from __future__ import annotations


class HandClock:
    """Microseconds since 1970 that stand still until `forward`.

    >>> clock = HandClock(1_000_000)
    >>> clock.forward(2.5)
    >>> clock()
    3500000
    """

    def __init__(self, at: int = 1_800_000_000_000_000) -> None:
        self.at = at

    def __call__(self) -> int:
        return self.at

    def forward(self, seconds: float) -> None:
        self.at += int(seconds * 1_000_000)
