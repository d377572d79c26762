"""What a detector is to the range: learns from honest clients, then says after how many queries it named a client."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple, Protocol

from detector.query import F64, I64


class Asked(NamedTuple):
    """All queries of one client, in order.

    inputs (n, d) float64; labels (n,) int64, as the victim answered; probabilities (n, k) float64, or None where it
    gives none; at (n,) int64, microseconds.
    """

    inputs: F64
    labels: I64
    probabilities: F64 | None
    at: I64


class Detector(Protocol):
    """A detector that judges client by client. Adapters of users are such a class, made without arguments."""

    def fit(self, honest: Sequence[Asked], share: float) -> int | None:
        """Learn from honest clients, and choose thresholds so that at most `share` of new ones is ever named.

        Returns how many of them the threshold was drawn from, where it is the conformal one of `conformal.threshold`,
        so that the report can say what number of honest clients is to be expected; else None.
        """
        ...

    def first_alarm(self, client: Asked) -> int | None:
        """How many queries the client had asked when it was named first; None: never."""
        ...
