"""What each answer of Elasticsearch or OpenSearch means for an alert: taken, come again, never, or a human must act.

The two answer alike; what they are called and what a human must do there is in `Place`.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import date, timedelta
from re import compile as pattern
from typing import Any

import msgspec

from detector.alert import Alert
from detector.errors import SinkBusy, SinkError, SinkRefused
from sinks.contract import Delivery, Refusal

LONGEST_REASON = 500  # characters; a parsing error can quote the document
CREATED_ON = pattern(r"-(\d{4})\.(\d{2})\.(\d{2})-\d{6}$")  # ends the name of a backing index, whatever stands before
A_DAY = timedelta(days=1)


class Place(msgspec.Struct, frozen=True):
    """Where alerts go, for sentences: the product, the data stream, and what it takes to write there.

    versions: the product as it must be. privileges: of the credentials. template: the file to load.
    """

    product: str
    versions: str
    stream: str
    privileges: tuple[str, ...]
    template: str


def delivery_of(items: Iterable[Mapping[str, Any]], place: Place) -> Delivery:
    """Reads `items` of a `_bulk` answer, which can hold failures although the whole has status 200.

    201 is taken; 409 too: the id is there already. 429 and 5xx come again. 401, 403 and 404 hold for the whole data
    stream and raise SinkRefused; any other status is about this one document. A document that went to the failure
    store (status 201!) is not among the alerts, and is refused.
    """
    retry: list[str] = []
    refused: list[Refusal] = []
    for item in items:
        result = item["create"]
        status: int = result["status"]
        if status in (200, 201):
            if result.get("failure_store") == "used":
                reason = f"the mapping did not take it: kept in the failure store {result.get('_index', '')}"
                refused.append(Refusal(result["_id"], reason))
        elif status == 429 or status >= 500:
            retry.append(result["_id"])
        elif status in (401, 403, 404):
            raise refusal(status, result.get("error"), place)
        elif status != 409:
            refused.append(Refusal(result["_id"], reason_of(result.get("error")) or f"status {status}"))
    return Delivery(tuple(retry), tuple(refused))


def merged(first: Delivery, second: Delivery) -> Delivery:
    pauses = [one.retry_after_s for one in (first, second) if one.retry_after_s is not None]
    return Delivery(first.retry + second.retry, first.refused + second.refused, max(pauses, default=None))


def error_of(status: int, body: object, headers: Mapping[str, str], place: Place) -> SinkError:
    """What a request that failed as a whole means."""
    if status in (408, 429) or status >= 500:
        reason = reason_of(_error(body))
        return SinkBusy(f"{place.product} answers {status} {reason}".rstrip(), retry_after_s=_seconds(headers))
    return refusal(status, _error(body), place)


def refusal(status: int, error: object, place: Place) -> SinkRefused:
    reason = reason_of(error)
    if status == 401:
        advice = "the credentials are missing or wrong: see the settings"
    elif status == 403 and "cluster_block_exception" in reason:
        advice = f"{place.stream} is blocked: lift the block"
    elif status == 403:
        advice = f"the credentials need {', '.join(place.privileges)} on {place.stream}"
    elif status == 404 and "index_not_found_exception" in reason:
        advice = no_template(place)
    else:
        advice = f"is `url` an {place.versions}, without a path that does not belong to it?"
    return SinkRefused(f"{place.product} answers {status} ({reason or 'no reason given'}); {advice}")


def no_template(place: Place) -> str:
    return f"no index template makes {place.stream} a data stream: load {place.template}"


def reason_of(error: object) -> str:
    """Type and reason, with those of the first cause.

    >>> reason_of({"type": "a", "reason": "b", "caused_by": {"type": "c", "reason": "d"}})
    'a: b (c: d)'
    """
    if not isinstance(error, Mapping):
        return " ".join(str(error).split())[:LONGEST_REASON] if error else ""  # a page of a proxy
    text = f"{error.get('type')}: {error.get('reason')}"
    if isinstance(cause := error.get("caused_by"), Mapping):
        text += f" ({cause.get('type')}: {cause.get('reason')})"
    return text[:LONGEST_REASON]


def where_they_can_be(alerts: Sequence[Alert], backing_indices: Sequence[str]) -> list[str]:
    """The backing indices, newest first, that were still written to when the oldest of the alerts was made.

    An index was written to until its successor was made, and the successor's name tells that day. The alerts' own
    clock is the log's, which may run ahead: the last two are always looked at. Old indices can be on slow storage.
    """
    days = [_created_on(name) for name in backing_indices]
    oldest = min((_day(alert.at) for alert in alerts), default=date.min)
    if days and (newest := days[-1]) is not None:
        oldest = min(oldest, newest)
    ends = [*days[1:], None]  # of the newest, and where a successor has another name, nothing is known
    can = [name for name, end in zip(backing_indices, ends, strict=False) if end is None or end + A_DAY >= oldest]
    return can[::-1]


def _created_on(name: str) -> date | None:
    match = CREATED_ON.search(name)
    return date(*map(int, match.groups())) if match else None


def _day(at: str) -> date:
    try:
        return date.fromisoformat(at[:10])
    except ValueError:  # Elasticsearch will say what it thinks of this one; look everywhere
        return date.min


def _error(body: object) -> object:
    return body.get("error") if isinstance(body, Mapping) else body


def _seconds(headers: Mapping[str, str]) -> float | None:
    value = headers.get("retry-after", "")
    return float(value) if value.isdigit() else None
