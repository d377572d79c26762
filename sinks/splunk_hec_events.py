"""What goes into the body of a request to Splunk's HTTP Event Collector: events one after another, in parts that fit.

Source: Splunk, "Format events for HTTP Event Collector": objects follow each other, in no array; `time` is in seconds
since 1970 with milliseconds.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from datetime import UTC, datetime
from typing import Any

import msgspec

from detector.alert import Alert
from sinks import cim

ALERT = "querywarden:alert"
AUDIT = "querywarden:audit"


class Event(msgspec.Struct, frozen=True):
    """An alert as it is sent."""

    alert_id: str
    data: bytes


def event(alert: Alert, metadata: Mapping[str, str]) -> Event:
    """metadata: `index`, `source`, `sourcetype`, `host`, as far as given. The audit has a sourcetype of its own."""
    at = seconds(alert.at)
    time = {} if at is None else {"time": at}  # without one Splunk takes the time at which it arrives
    kind = {"sourcetype": AUDIT} if alert.kind == "audit" else {}
    envelope: dict[str, Any] = {**time, **metadata, **kind, "event": cim.event(alert)}
    return Event(alert.id, msgspec.json.encode(envelope))


def seconds(at: str) -> float | None:
    """Seconds since 1970, in whole milliseconds; UTC where no offset is given, none for what is no time.

    >>> seconds("2026-03-02T08:30:00.250400Z")
    1772440200.25
    """
    try:
        moment = datetime.fromisoformat(at)
    except ValueError:
        return None
    return round((moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp(), 3)


def body(events: Iterable[Event]) -> bytes:
    return b"".join(one.data for one in events)


def parts(events: Iterable[Event], max_bytes: int) -> Iterator[list[Event]]:
    """The events in their order, in as few bodies of at most `max_bytes` as that order allows.

    An event that is larger alone has a part of its own: whether it is too large is for the receiver to say.
    """
    part: list[Event] = []
    size = 0
    for one in events:
        if part and size + len(one.data) > max_bytes:
            yield part
            part, size = [], 0
        part.append(one)
        size += len(one.data)
    if part:
        yield part
