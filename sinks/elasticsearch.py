"""What an operator says about an Elasticsearch: where it is, who we are there, and which data stream takes alerts."""

from __future__ import annotations

import ssl
from typing import TYPE_CHECKING, Annotated, Any

import msgspec

from detector.errors import MissingExtra, SettingsError
from detector.secret import Secret
from sinks.data_stream_faults import address_faults, name_faults, tls_faults

if TYPE_CHECKING:
    from sinks.data_stream import DataStreamSink


class ElasticsearchSettings(
    msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, tag="elasticsearch", tag_field="type"
):
    """Alerts go to the data stream `logs-<dataset>-<namespace>`; its template is in deploy/elasticsearch.

    url: one or several addresses of one cluster, each with its port. Credentials: `api_key` (the encoded form), or
    `username` and `password`; the index privileges create_doc, auto_configure and read on the data stream are enough.
    TLS: `ca_certs` is a file, `ssl_assert_fingerprint` the SHA-256 of the certificate; `verify = false` trusts any
    certificate. `timeout_s` is for one request.

    >>> ElasticsearchSettings(url="https://es.example:9200").stream
    'logs-querywarden.alert-default'
    """

    url: str | tuple[str, ...]
    name: str = "elasticsearch"
    namespace: str = "default"
    dataset: str = "querywarden.alert"
    api_key: Secret | None = None
    username: str | None = None
    password: Secret | None = None
    ca_certs: str | None = None
    ssl_assert_fingerprint: str | None = None
    verify: bool = True
    timeout_s: Annotated[float, msgspec.Meta(gt=0)] = 10.0
    batch_size: Annotated[int, msgspec.Meta(ge=1, le=1000)] = 500

    def __post_init__(self) -> None:
        for fault in self._faults():
            raise SettingsError(f'sink "{self.name}": {fault}')

    @property
    def urls(self) -> tuple[str, ...]:
        return (self.url,) if isinstance(self.url, str) else self.url

    @property
    def stream(self) -> str:
        return f"logs-{self.dataset}-{self.namespace}"

    @property
    def has_credentials(self) -> bool:
        return self.api_key is not None or self.username is not None

    def open(self) -> DataStreamSink:
        """Raises MissingExtra without the packages of [elasticsearch], SettingsError for secrets or CA files."""
        try:
            from sinks.data_stream import DataStreamSink
            from sinks.elasticsearch_stream import ElasticsearchStream, connect
        except ModuleNotFoundError as error:
            if not (error.name or "").startswith("elastic"):
                raise
            raise MissingExtra("the Elasticsearch sink", "elasticsearch") from error
        try:
            client = connect(self.urls, timeout_s=self.timeout_s, **self._credentials(), **self._tls())
        except (OSError, ValueError) as error:
            raise SettingsError(f'sink "{self.name}": {error}') from error
        stream = ElasticsearchStream(self, client)
        return DataStreamSink(stream, dataset=self.dataset, namespace=self.namespace)

    def _faults(self) -> list[str]:
        faults = address_faults(
            self.urls, example="https://es.example:9200", credentials="`api_key`, or `username` and `password`"
        )
        if self.api_key is not None and self.username is not None:
            faults.append("give `api_key`, or `username` and `password`, not both")
        if (self.username is None) != (self.password is None):
            faults.append("`username` and `password` go together")
        tls = self.ca_certs is not None or self.ssl_assert_fingerprint is not None or not self.verify
        faults += name_faults(dataset=self.dataset, namespace=self.namespace)
        faults += tls_faults(self.urls, asked_for=tls)
        return faults

    def _credentials(self) -> dict[str, Any]:
        if self.api_key is not None:
            return {"api_key": self.api_key.reveal()}
        if self.username is not None and self.password is not None:
            return {"basic_auth": (self.username, self.password.reveal())}
        return {}

    def _tls(self) -> dict[str, Any]:
        given = {"ca_certs": self.ca_certs, "ssl_assert_fingerprint": self.ssl_assert_fingerprint}
        options: dict[str, Any] = {name: value for name, value in given.items() if value is not None}
        if self.ca_certs is not None:
            ssl.create_default_context(cafile=self.ca_certs)  # the client would find out at the first request only
        if not self.verify:
            options |= {"verify_certs": False, "ssl_show_warn": False}
        return options
