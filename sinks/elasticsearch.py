"""What an operator says about an Elasticsearch: where it is, who we are there, and which data stream takes alerts."""

from __future__ import annotations

import ssl
from typing import TYPE_CHECKING, Any, ClassVar

from detector.errors import MissingExtra, SettingsError
from detector.secret import Secret
from sinks.data_stream_settings import DataStreamSettings

if TYPE_CHECKING:
    from sinks.data_stream import DataStreamSink


class ElasticsearchSettings(
    DataStreamSettings, frozen=True, kw_only=True, forbid_unknown_fields=True, tag="elasticsearch", tag_field="type"
):
    """Alerts go to the data stream `logs-<dataset>-<namespace>`; its template is in deploy/elasticsearch.

    url: one or several addresses of one cluster, each with its port. Credentials: `api_key` (the encoded form), or
    `username` and `password`; the index privileges create_doc, auto_configure and read on the data stream are enough.
    TLS: `ca_certs` is a file, `ssl_assert_fingerprint` the SHA-256 of the certificate; `verify = false` trusts any
    certificate. `timeout_s` is for one request.

    >>> ElasticsearchSettings(url="https://es.example:9200").stream
    'logs-querywarden.alert-default'
    """

    example: ClassVar[str] = "https://es.example:9200"
    credentials: ClassVar[str] = "`api_key`, or `username` and `password`"

    name: str = "elasticsearch"
    api_key: Secret | None = None

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

    def _credential_faults(self) -> list[str]:
        both = self.api_key is not None and self.username is not None
        faults = ["give `api_key`, or `username` and `password`, not both"] if both else []
        return faults + super()._credential_faults()

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
