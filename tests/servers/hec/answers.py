"""Every answer of Splunk's HTTP Event Collector: HTTP status, code and text, from Splunk's table of error codes."""

from __future__ import annotations

import json
from typing import Any, NamedTuple

TEXTS: dict[int, tuple[int, str]] = {
    0: (200, "Success"),
    1: (403, "Token disabled"),
    2: (401, "Token is required"),
    3: (401, "Invalid authorization"),
    4: (403, "Invalid token"),
    5: (400, "No data"),
    6: (400, "Invalid data format"),
    7: (400, "Incorrect index"),
    8: (500, "Internal server error"),
    9: (503, "Server is busy"),
    10: (400, "Data channel is missing"),
    11: (400, "Invalid data channel"),
    12: (400, "Event field is required"),
    13: (400, "Event field cannot be blank"),
    14: (400, "ACK is disabled"),
    15: (400, "Error in handling indexed fields"),
    16: (400, "Query string authorization is not enabled"),
    17: (200, "HEC is healthy"),
    18: (503, "HEC is unhealthy, queues are full"),
    19: (503, "HEC is unhealthy, ack service unavailable"),
    20: (503, "HEC is unhealthy, queues are full, ack service unavailable"),
    21: (400, "Invalid token"),
    22: (400, "Token disabled"),
    23: (503, "Server is shutting down"),
}


class Reply(NamedTuple):
    """What goes back. `headers` beside those that every reply has; `close` ends the connection without a reply."""

    status: int
    body: bytes
    headers: dict[str, str] = {}  # noqa: RUF012 - never written to
    close: bool = False


def coded(code: int, *, event: int | None = None, headers: dict[str, str] | None = None, **more: Any) -> Reply:
    """The reply of that code. event: `invalid-event-number`."""
    status, text = TEXTS[code]
    told: dict[str, Any] = {"text": text, "code": code, **more}
    if event is not None:
        told["invalid-event-number"] = event
    return Reply(status, json.dumps(told).encode(), headers or {})


class Fault(Exception):
    """A request that is not taken."""

    def __init__(self, code: int, *, event: int | None = None) -> None:
        super().__init__(TEXTS[code][1])
        self.reply = coded(code, event=event)
