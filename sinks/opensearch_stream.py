"""Talks to OpenSearch in its client's words, and turns that client's exceptions into ours."""

from __future__ import annotations

import logging
import ssl
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import urllib3
from opensearchpy import OpenSearch, exceptions

from detector.errors import SinkBusy, SinkRefused
from sinks.data_stream import Answers, TooLarge
from sinks.data_stream_answers import Place, error_of, no_template

PRIVILEGES = ("the permissions of deploy/opensearch/role.json",)
TEMPLATE = "deploy/opensearch/index-template.json"


def connect(urls: Sequence[str], *, timeout_s: float, **options: Any) -> OpenSearch:
    """The client's own retries are off: the delivery loop retries, and knows what may have arrived.

    So is its log, which has a line and a traceback for every try; the delivery loop says it once.
    """
    logging.getLogger("opensearch").setLevel(logging.CRITICAL)
    if options["ssl_context"].verify_mode == ssl.CERT_NONE and options.get("ssl_assert_fingerprint") is None:
        urllib3.disable_warnings(urllib3.exceptions.InsecureRequestWarning)  # it was asked for, once and for all
    return OpenSearch(list(urls), timeout=timeout_s, max_retries=0, http_compress=True, **options)


class OpenSearchStream:
    def __init__(self, client: OpenSearch, *, stream: str, timeout_s: float) -> None:
        self._client = client
        self._timeout_s = timeout_s
        self.place = Place("OpenSearch", "OpenSearch 2.4 or newer", stream, PRIVILEGES, TEMPLATE)

    def check(self) -> None:
        """What the credentials may do cannot be asked; whether they are right is answered by the next request."""

    def backing_indices(self) -> list[str]:
        with self._explained():
            answer = self._client.indices.resolve_index(name=self.place.stream)
        if "data_streams" not in answer:
            raise SinkRefused("what answers at `url` is not OpenSearch")
        return [name for stream in answer["data_streams"] for name in stream["backing_indices"]]

    def prepare(self) -> None:
        """Makes the data stream: a `_bulk` cannot say that a plain index, made without our template, is not wanted."""
        with self._explained():
            try:
                self._client.indices.create_data_stream(name=self.place.stream)
            except exceptions.TransportError as error:
                reason = str(error.info)
                if error.status_code != 400:
                    raise
                if "resource_already_exists_exception" in reason:  # another process was first
                    return
                if "index template" in reason:
                    raise SinkRefused(no_template(self.place)) from error
                raise

    def look(self, index: str, ids: Sequence[str]) -> Answers:
        with self._explained():
            docs: Answers = self._client.mget(
                index=index, body={"ids": list(ids)}, params={"_source": "false", "realtime": "true"}
            )["docs"]
        return docs

    def create(self, lines: Sequence[bytes]) -> Answers:
        with self._explained():
            try:
                answer = self._client.bulk(index=self.place.stream, body=b"".join(line + b"\n" for line in lines))
            except exceptions.TransportError as error:
                if error.status_code == 413:
                    raise TooLarge from error
                raise
        items: Answers = answer["items"]
        return items

    def close(self) -> None:
        self._client.close()

    @contextmanager
    def _explained(self) -> Iterator[None]:
        """Turns the client's exceptions into ours; they may quote a request, so none of their text but reasons."""
        try:
            yield
        except exceptions.SSLError as error:
            raise SinkRefused(f"no trusted connection to OpenSearch: {error.error}") from error
        except exceptions.ConnectionTimeout as error:
            raise SinkBusy(f"OpenSearch did not answer within {self._timeout_s:g} s") from error
        except exceptions.ConnectionError as error:
            raise SinkBusy(f"OpenSearch cannot be reached: {error.error}") from error
        except exceptions.TransportError as error:
            body = error.info if error.info is not None else error.error
            raise error_of(int(error.status_code), body, {}, self.place) from error
        except exceptions.OpenSearchException as error:  # an answer that is not JSON: a proxy while it restarts
            raise SinkBusy("what answers at `url` is not JSON") from error
