"""What Splunk's HTTP Event Collector asks of a request: the token, the channel, and the events in the body."""

from __future__ import annotations

import base64
import binascii
import gzip
import json
import uuid
from collections.abc import Collection, Mapping
from typing import Any

from tests.servers.hec.answers import Fault

METADATA = frozenset(("time", "host", "source", "sourcetype", "index", "fields", "event"))
CHANNEL = "X-Splunk-Request-Channel"
Event = dict[str, Any]


def token_of(authorization: str | None, query: Mapping[str, str]) -> str:
    """Of `Splunk <token>`, or of Basic with the token as the password, which Splunk takes too."""
    if authorization is None:
        raise Fault(16 if "token" in query else 2)
    scheme, _, token = authorization.partition(" ")
    if scheme == "Basic":
        try:
            return base64.b64decode(token, validate=True).decode().partition(":")[2]
        except (binascii.Error, UnicodeDecodeError):
            raise Fault(3) from None
    if scheme != "Splunk" or not token or token != token.strip():
        raise Fault(3)
    return token


def channel_of(header: str | None, query: Mapping[str, str]) -> str:
    channel = header if header is not None else query.get("channel")
    if channel is None:
        raise Fault(10)
    try:
        return str(uuid.UUID(channel))
    except ValueError:
        raise Fault(11) from None


def unpacked(body: bytes, encoding: str | None) -> bytes:
    if encoding is None:
        return body
    if encoding != "gzip":
        raise Fault(6)
    try:
        return gzip.decompress(body)
    except (OSError, EOFError):
        raise Fault(6) from None


def events_of(body: bytes, *, indexes: Collection[str] | None) -> list[Event]:
    """Objects one after another, in no array, with nothing but white space between them or at the end.

    The number of the event that is at fault counts from 0. What Splunk would overlook and we never send is a fault
    too: keys that are no metadata, a time that is no number.
    """
    try:
        text = body.decode()
    except UnicodeDecodeError:
        raise Fault(6, event=0) from None
    if not text.strip():
        raise Fault(5)
    events: list[Event] = []
    rest = text.lstrip()
    while rest:
        event, end = _first(rest, len(events))
        _examine(event, len(events), indexes)
        events.append(event)
        rest = rest[end:].lstrip()
    return events


def _first(text: str, number: int) -> tuple[Event, int]:
    try:
        event, end = json.JSONDecoder(parse_constant=_no_constant).raw_decode(text)
    except ValueError:
        raise Fault(6, event=number) from None
    if not isinstance(event, dict) or not METADATA.issuperset(event):
        raise Fault(6, event=number)
    return event, end


def _examine(event: Event, number: int, indexes: Collection[str] | None) -> None:
    if "event" not in event:
        raise Fault(12, event=number)
    if event["event"] in ("", None):
        raise Fault(13, event=number)
    if not _is_time(event.get("time", 0)):
        raise Fault(6, event=number)
    fields = event.get("fields", {})
    if not isinstance(fields, dict) or any(isinstance(value, dict) for value in fields.values()):
        raise Fault(15, event=number)
    if indexes is not None and "index" in event and event["index"] not in indexes:
        raise Fault(7, event=number)


def _is_time(value: Any) -> bool:
    """A number, or as some clients have it a number in text."""
    if isinstance(value, bool):
        return False
    try:
        return float(value) >= 0
    except (TypeError, ValueError):
        return False


def _no_constant(name: str) -> Any:
    raise ValueError(f"{name} is not JSON")
