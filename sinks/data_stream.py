"""Looks whether alerts are in a data stream already, then creates those that are not: in Elasticsearch and OpenSearch.

A document's id is unique in its backing index only: after a rollover the server takes a known id again. So every alert
is looked up before it is sent, on the first try as well: after a crash nobody knows what the earlier process had sent,
and alerts are rare. The look is a real-time GET by id on each backing index that can hold the alert, which sees what
was acknowledged but not refreshed; a search would not.

The window that remains: a request that timed out can still be carried out after the next look. The same alert is then
doubled only if a rollover falls between that and the create of the second try; otherwise the second try gets a 409.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Protocol

import msgspec

from detector.alert import Alert
from detector.errors import SinkBusy
from sinks.contract import Delivery, Refusal
from sinks.data_stream_answers import Place, delivery_of, merged, refusal, where_they_can_be
from sinks.ecs import document

GONE = ("index_not_found_exception", "index_closed_exception")  # retention or a person took the index away meanwhile
Answers = Sequence[Mapping[str, Any]]


class TooLarge(Exception):
    """The request was larger than the server takes; never leaves a sink."""


class DataStream(Protocol):
    """A data stream behind its product's client. Every method raises SinkBusy or SinkRefused in the product's words."""

    @property
    def place(self) -> Place: ...

    def check(self) -> None:
        """Raises SinkRefused where the credentials do not suffice, as far as that can be asked."""
        ...

    def backing_indices(self) -> list[str]:
        """Oldest first, the one that is written to last; none before the first alert."""
        ...

    def prepare(self) -> None:
        """Called before alerts are created when there are no backing indices."""
        ...

    def look(self, index: str, ids: Sequence[str]) -> Answers:
        """`docs` of a real-time `_mget`."""
        ...

    def create(self, lines: Sequence[bytes]) -> Answers:
        """`items` of a `_bulk`. Raises TooLarge."""
        ...

    def close(self) -> None: ...


class DataStreamSink:
    """dataset, namespace: the parts of the data stream's name, which documents hold too."""

    def __init__(self, stream: DataStream, *, dataset: str, namespace: str) -> None:
        self._stream = stream
        self._place = stream.place
        self._parts = {"dataset": dataset, "namespace": namespace}

    def check(self) -> str:
        """Asks for no more than delivering needs, so that a key without cluster privileges passes."""
        self._stream.check()
        backing = self._stream.backing_indices()
        if not backing:
            return f"{self._place.product} answers; {self._place.stream} will be made by the first alert"
        return f"{self._place.product} answers; {self._place.stream} has {len(backing)} backing indices"

    def deliver(self, alerts: Sequence[Alert]) -> Delivery:
        backing = self._stream.backing_indices()
        if not backing:
            self._stream.prepare()
        there = self._arrived(alerts, backing)
        return self._send([alert for alert in alerts if alert.id not in there])

    def close(self) -> None:
        self._stream.close()

    def _send(self, alerts: Sequence[Alert]) -> Delivery:
        if not alerts:
            return Delivery()
        try:
            return delivery_of(self._stream.create(payload(alerts, **self._parts)), self._place)
        except TooLarge:
            return self._send_halves(alerts)

    def _send_halves(self, alerts: Sequence[Alert]) -> Delivery:
        if len(alerts) == 1:
            reason = f"larger than {self._place.product}, or a proxy before it, takes in one request (413)"
            return Delivery(refused=(Refusal(alerts[0].id, reason),))
        half = len(alerts) // 2
        first = self._send(alerts[:half])
        try:
            second = self._send(alerts[half:])
        except SinkBusy as busy:  # the first half did arrive
            second = Delivery(retry=tuple(alert.id for alert in alerts[half:]), retry_after_s=busy.retry_after_s)
        return merged(first, second)

    def _arrived(self, alerts: Sequence[Alert], backing: Sequence[str]) -> set[str]:
        missing = {alert.id: None for alert in alerts}
        there: set[str] = set()
        for index in where_they_can_be(alerts, backing):
            if missing:
                there |= self._found(index, list(missing))
                missing = {id_: None for id_ in missing if id_ not in there}
        return there

    def _found(self, index: str, ids: Sequence[str]) -> set[str]:
        docs = self._stream.look(index, ids)
        for error in (_cause(doc["error"]) for doc in docs if "error" in doc):
            if error.get("type") == "security_exception":
                raise refusal(403, error, self._place)
            if error.get("type") not in GONE:
                raise SinkBusy(f"cannot look for alerts in {index}: {error.get('type')}: {error.get('reason')}")
        return {doc["_id"] for doc in docs if doc.get("found")}


def payload(alerts: Sequence[Alert], *, dataset: str, namespace: str) -> list[bytes]:
    """The lines of a `_bulk` request: data streams take `create` only."""
    lines = []
    for alert in alerts:
        lines.append(msgspec.json.encode({"create": {"_id": alert.id}}))
        lines.append(msgspec.json.encode(document(alert, dataset=dataset, namespace=namespace)))
    return lines


def _cause(error: Any) -> Mapping[str, Any]:
    return error if isinstance(error, Mapping) else {"type": str(error)}
