"""Talks to Elasticsearch in its client's words, and turns that client's exceptions into ours."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from elastic_transport import TlsError
from elasticsearch import ApiError, ConnectionTimeout, Elasticsearch, TransportError, UnsupportedProductError

from detector.errors import SinkBusy, SinkRefused
from sinks.data_stream import Answers, TooLarge
from sinks.data_stream_answers import Place, error_of

if TYPE_CHECKING:
    from sinks.elasticsearch import ElasticsearchSettings

PRIVILEGES = ("create_doc", "auto_configure", "read")  # write; make the stream; look
TEMPLATE = "deploy/elasticsearch/index-template.json"


def connect(urls: Sequence[str], *, timeout_s: float, **options: Any) -> Elasticsearch:
    """The client's own retries are off: the delivery loop retries, and knows what may have arrived."""
    return Elasticsearch(
        list(urls), request_timeout=timeout_s, max_retries=0, retry_on_timeout=False, http_compress=True, **options
    )


class ElasticsearchStream:
    def __init__(self, settings: ElasticsearchSettings, client: Elasticsearch) -> None:
        self._settings = settings
        self._client = client
        self.place = Place("Elasticsearch", "Elasticsearch 9", settings.stream, PRIVILEGES, TEMPLATE)

    def check(self) -> None:
        if not self._settings.has_credentials:
            return
        stream = self.place.stream
        wanted = [{"names": [stream], "privileges": list(PRIVILEGES)}]
        with self._explained():
            granted = self._client.security.has_privileges(index=wanted)["index"][stream]
        if lacking := [name for name in PRIVILEGES if not granted[name]]:
            raise SinkRefused(f"the credentials lack the index privileges {', '.join(lacking)} on {stream}")

    def backing_indices(self) -> list[str]:
        with self._explained():
            try:
                streams = self._client.indices.resolve_index(name=self.place.stream)["data_streams"]
            except ApiError as error:
                if error.status_code == 404:
                    return []
                raise
        return [name for stream in streams for name in stream["backing_indices"]]

    def prepare(self) -> None:
        """Nothing: `create` makes the data stream, and refuses to make anything else."""

    def look(self, index: str, ids: Sequence[str]) -> Answers:
        with self._explained():
            docs: Answers = self._client.mget(index=index, ids=list(ids), source=False, realtime=True)["docs"]
        return docs

    def create(self, lines: Sequence[bytes]) -> Answers:
        # typed as mappings in the client, which passes lines that are bytes on as they are
        operations: Any = lines
        with self._explained():
            try:
                # require_data_stream: without our template the first alert would make a plain index
                answer = self._client.bulk(index=self.place.stream, operations=operations, require_data_stream=True)
            except ApiError as error:
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
        except UnsupportedProductError as error:
            raise SinkRefused("what answers at `url` is not Elasticsearch") from error
        except ApiError as error:
            raise error_of(error.status_code, error.body, error.meta.headers, self.place) from error
        except TlsError as error:
            raise SinkRefused(f"no trusted connection to Elasticsearch: {error.message}") from error
        except ConnectionTimeout as error:
            message = f"Elasticsearch did not answer within {self._settings.timeout_s:g} s"
            raise SinkBusy(message) from error
        except TransportError as error:  # no connection, or an answer that is not JSON: a proxy while it restarts
            raise SinkBusy(f"Elasticsearch cannot be reached: {error.message}") from error
