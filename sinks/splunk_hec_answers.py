"""What each answer of Splunk's HTTP Event Collector means: taken, come again, one event's fault, or a human must act.

Source: Splunk, "Troubleshoot HTTP Event Collector", possible error codes.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec

from detector.errors import SinkBusy, SinkError, SinkRefused

LONGEST_TEXT = 300  # characters of what a proxy may answer instead of Splunk
SUCCESS, HEALTHY = 0, 17
AT_FAULT = frozenset((6, 12, 13))  # format; no event; blank event
BUSY = frozenset((8, 9, 18, 19, 20, 23))  # server error; busy; queues full; no ack service; both; shutting down
TOKEN = "the token is missing, wrong or disabled: see `token`"  # noqa: S105 - advice
ADVICE = {
    1: TOKEN,
    2: TOKEN,
    3: TOKEN,
    4: TOKEN,
    5: "it took the request for an empty one: does a proxy drop bodies?",
    7: "the token may not write to that index, or there is none: see `index`",
    10: "the token wants indexer acknowledgement: set `acknowledge = true`",
    11: "it does not take our channel",
    14: "indexer acknowledgement is off for this token: switch it on, or set `acknowledge = false`",
    15: "it could not handle indexed fields",
    16: "it looks for the token in the address: does a proxy drop the header `Authorization`?",
    21: TOKEN,
    22: TOKEN,
}


class Answer(msgspec.Struct, frozen=True):
    """An answer as read; `code` is none where the body is not the collector's.

    at_fault: the event that was not taken, counted from 0 (`invalid-event-number`). acks: which ids are indexed.
    """

    status: int
    code: int | None = None
    text: str = ""
    at_fault: int | None = None
    ack_id: int | None = None
    acks: Mapping[str, bool] | None = None
    retry_after_s: float | None = None

    @property
    def taken(self) -> bool:
        """Status 200 alone means nothing: a proxy or a login page answers so too."""
        return self.status == 200 and self.code == SUCCESS

    @property
    def healthy(self) -> bool:
        return self.status == 200 and self.code == HEALTHY

    @property
    def too_large(self) -> bool:
        return self.status == 413

    @property
    def blames_an_event(self) -> bool:
        return self.status == 400 and self.code in AT_FAULT


def read(status: int, body: bytes, *, retry_after_s: float | None = None) -> Answer:
    """Never fails: what cannot be read is an answer without a code, with the beginning of what was said."""
    try:
        told = msgspec.json.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError):
        told = None
    if not isinstance(told, dict):
        page = " ".join(body[: 4 * LONGEST_TEXT].decode(errors="replace").split())[:LONGEST_TEXT]
        return Answer(status, text=page, retry_after_s=retry_after_s)
    return Answer(
        status,
        code=_whole(told.get("code")),
        text=str(told.get("text", ""))[:LONGEST_TEXT],
        at_fault=_whole(told.get("invalid-event-number")),
        ack_id=_whole(told.get("ackId")),
        acks=_acks(told.get("acks")),
        retry_after_s=retry_after_s,
    )


def error_of(answer: Answer) -> SinkError:
    """What an answer means for the whole request that is neither taken nor about one event or its size."""
    said = f"Splunk answers {answer.status}"
    if answer.code is not None:
        said += f", code {answer.code}"
    said += f" ({answer.text or 'no reason given'})"
    if answer.status in (408, 429) or answer.status >= 500 or (answer.status == 200 and answer.code in BUSY):
        return SinkBusy(said, retry_after_s=answer.retry_after_s)
    return SinkRefused(f"{said}; {_advice(answer)}")


def _advice(answer: Answer) -> str:
    if answer.code in ADVICE:
        return ADVICE[answer.code]
    if answer.status in (401, 403):
        return TOKEN
    return "is `url` that of an HTTP Event Collector, without a redirect?"


def _whole(value: Any) -> int | None:
    return value if isinstance(value, int) and not isinstance(value, bool) else None


def _acks(value: Any) -> Mapping[str, bool] | None:
    return {key: done is True for key, done in value.items()} if isinstance(value, dict) else None
