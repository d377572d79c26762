"""What a sink promises to the delivery loop, and what the loop promises to a sink."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

import msgspec

from detector.alert import Alert


class Refusal(msgspec.Struct, frozen=True):
    """An alert that this destination will never take; it goes to the sink's dead letters with the reason."""

    alert_id: str
    reason: str


class Delivery(msgspec.Struct, frozen=True):
    """What became of the alerts of one call. Those named in neither list were taken by the destination, durably.

    retry: ids to hand over again after a pause. refused: never again.
    """

    retry: tuple[str, ...] = ()
    refused: tuple[Refusal, ...] = ()
    retry_after_s: float | None = None


class Sink(Protocol):
    """A destination for alerts. One thread calls it; a sink keeps no queue, no thread and no retry loop of its own.

    Delivery is at least once: after a crash the same alerts come again with the same ids, so a destination that
    can tell must take a known id as delivered.
    """

    def check(self) -> str:
        """Reaches the destination without sending an alert; returns a sentence on what answered.

        Raises SinkBusy (it may come back) or SinkRefused (a human must act).
        """
        ...

    def deliver(self, alerts: Sequence[Alert]) -> Delivery:
        """Hands over 1 to `batch_size` alerts in order and returns when the destination has answered for each.

        Raises SinkBusy or SinkRefused when nothing of the call can be said to have arrived: all will come again.
        """
        ...

    def close(self) -> None:
        """Called once, after the last `deliver`; releases connections."""
        ...


class SinkSettings(Protocol):
    """The settings of a sink *are* a frozen struct whose tag is its `type`; `open` makes the sink. No I/O before."""

    @property
    def name(self) -> str: ...

    @property
    def batch_size(self) -> int: ...

    def open(self) -> Sink: ...
