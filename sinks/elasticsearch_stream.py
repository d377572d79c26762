"""Talks to Elasticsearch: looks whether alerts are in the data stream already, then creates those that are not.

A document's id is unique in its backing index only: after a rollover Elasticsearch takes a known id again. So every
alert is looked up before it is sent, on the first try as well: after a crash nobody knows what the earlier process had
sent, and alerts are rare. The look is a real-time GET by id on each backing index that can hold the alert, which sees
what was acknowledged but not refreshed; a search would not.

The window that remains: a request that timed out can still be carried out after the next look. The same alert is then
doubled only if a rollover falls between that and the create of the second try; otherwise the second try gets a 409.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import msgspec
from elastic_transport import TlsError
from elasticsearch import ApiError, ConnectionTimeout, Elasticsearch, TransportError, UnsupportedProductError

from detector.alert import Alert
from detector.errors import SinkBusy, SinkRefused
from sinks.contract import Delivery, Refusal
from sinks.ecs import document
from sinks.elasticsearch_answers import PRIVILEGES, delivery_of, error_of, merged, refusal, where_they_can_be

if TYPE_CHECKING:
    from sinks.elasticsearch import ElasticsearchSettings

GONE = ("index_not_found_exception", "index_closed_exception")  # retention or a person took the index away meanwhile


def connect(urls: Sequence[str], *, timeout_s: float, **options: Any) -> Elasticsearch:
    """The client's own retries are off: the delivery loop retries, and knows what may have arrived."""
    return Elasticsearch(
        list(urls), request_timeout=timeout_s, max_retries=0, retry_on_timeout=False, http_compress=True, **options
    )


def payload(alerts: Sequence[Alert], *, dataset: str, namespace: str) -> list[bytes]:
    """The lines of a `_bulk` request: data streams take `create` only."""
    lines = []
    for alert in alerts:
        lines.append(msgspec.json.encode({"create": {"_id": alert.id}}))
        lines.append(msgspec.json.encode(document(alert, dataset=dataset, namespace=namespace)))
    return lines


class ElasticsearchSink:
    def __init__(self, settings: ElasticsearchSettings, client: Elasticsearch) -> None:
        self._settings = settings
        self._stream = settings.stream
        self._client = client

    def check(self) -> str:
        """Asks for no more than delivering needs, so that a key without cluster privileges passes."""
        with self._explained():
            if self._settings.has_credentials:
                self._check_privileges()
            backing = self._backing_indices()
        if not backing:
            return f"Elasticsearch answers; {self._stream} will be made by the first alert"
        return f"Elasticsearch answers; {self._stream} has {len(backing)} backing indices"

    def deliver(self, alerts: Sequence[Alert]) -> Delivery:
        with self._explained():
            there = self._arrived(alerts)
        return self._send([alert for alert in alerts if alert.id not in there])

    def close(self) -> None:
        self._client.close()

    def _send(self, alerts: Sequence[Alert]) -> Delivery:
        if not alerts:
            return Delivery()
        try:
            return delivery_of(self._create(alerts), self._stream)
        except _TooLarge:
            return self._send_halves(alerts)

    def _send_halves(self, alerts: Sequence[Alert]) -> Delivery:
        if len(alerts) == 1:
            reason = "larger than Elasticsearch, or a proxy before it, takes in one request (413)"
            return Delivery(refused=(Refusal(alerts[0].id, reason),))
        half = len(alerts) // 2
        first = self._send(alerts[:half])
        try:
            second = self._send(alerts[half:])
        except SinkBusy as busy:  # the first half did arrive
            second = Delivery(retry=tuple(alert.id for alert in alerts[half:]), retry_after_s=busy.retry_after_s)
        return merged(first, second)

    def _create(self, alerts: Sequence[Alert]) -> list[dict[str, Any]]:
        # typed as mappings in the client, which passes lines that are bytes on as they are
        lines: Any = payload(alerts, dataset=self._settings.dataset, namespace=self._settings.namespace)
        with self._explained():
            try:
                # require_data_stream: without our template the first alert would make a plain index
                answer = self._client.bulk(index=self._stream, operations=lines, require_data_stream=True)
            except ApiError as error:
                if error.status_code == 413:
                    raise _TooLarge from error
                raise
        items: list[dict[str, Any]] = answer["items"]
        return items

    def _arrived(self, alerts: Sequence[Alert]) -> set[str]:
        missing = {alert.id: None for alert in alerts}
        there: set[str] = set()
        for index in where_they_can_be(alerts, self._backing_indices()):
            if missing:
                there |= self._found(index, list(missing))
                missing = {id_: None for id_ in missing if id_ not in there}
        return there

    def _found(self, index: str, ids: list[str]) -> set[str]:
        docs = self._client.mget(index=index, ids=ids, source=False, realtime=True)["docs"]
        for error in (doc["error"] for doc in docs if "error" in doc):
            if error["type"] == "security_exception":
                raise refusal(403, error, self._stream)
            if error["type"] not in GONE:
                raise SinkBusy(f"cannot look for alerts in {index}: {error['type']}: {error.get('reason')}")
        return {doc["_id"] for doc in docs if doc.get("found")}

    def _backing_indices(self) -> list[str]:
        """Oldest first, the one that is written to last; none before the first alert."""
        try:
            streams = self._client.indices.resolve_index(name=self._stream)["data_streams"]
        except ApiError as error:
            if error.status_code == 404:
                return []
            raise
        return [name for stream in streams for name in stream["backing_indices"]]

    def _check_privileges(self) -> None:
        wanted = [{"names": [self._stream], "privileges": list(PRIVILEGES)}]
        granted = self._client.security.has_privileges(index=wanted)["index"][self._stream]
        if lacking := [name for name in PRIVILEGES if not granted[name]]:
            raise SinkRefused(f"the credentials lack the index privileges {', '.join(lacking)} on {self._stream}")

    @contextmanager
    def _explained(self) -> Iterator[None]:
        """Turns the client's exceptions into ours; they may quote a request, so none of their text but reasons."""
        try:
            yield
        except UnsupportedProductError as error:
            raise SinkRefused("what answers at `url` is not Elasticsearch") from error
        except ApiError as error:
            raise error_of(error.status_code, error.body, error.meta.headers, self._stream) from error
        except TlsError as error:
            raise SinkRefused(f"no trusted connection to Elasticsearch: {error.message}") from error
        except ConnectionTimeout as error:
            message = f"Elasticsearch did not answer within {self._settings.timeout_s:g} s"
            raise SinkBusy(message) from error
        except TransportError as error:  # no connection, or an answer that is not JSON: a proxy while it restarts
            raise SinkBusy(f"Elasticsearch cannot be reached: {error.message}") from error


class _TooLarge(Exception):
    """The request was larger than the server takes; never leaves this module."""
