"""What an operator says about an OpenSearch: where it is, who we are there, and which data stream takes alerts."""

from __future__ import annotations

import ssl
from typing import TYPE_CHECKING, Any, ClassVar

from detector.errors import MissingExtra, SettingsError
from sinks.data_stream_settings import DataStreamSettings

if TYPE_CHECKING:
    from sinks.data_stream import DataStreamSink

PACKAGES = ("opensearchpy", "urllib3")


class OpenSearchSettings(
    DataStreamSettings, frozen=True, kw_only=True, forbid_unknown_fields=True, tag="opensearch", tag_field="type"
):
    """Alerts go to the data stream `logs-<dataset>-<namespace>`; its template is in deploy/opensearch.

    url: one or several addresses of one cluster, each with its port.

    namespace, dataset: the parts of the data stream's name.

    ca_certs: a file of those who may have signed the certificate (default: whom the system trusts).

    ssl_assert_fingerprint: SHA-256 of the certificate, which is then trusted whoever signed it.

    verify: false trusts any certificate.

    timeout_s: seconds, for one request.

    >>> OpenSearchSettings(url="https://os.example:9200").stream
    'logs-querywarden.alert-default'
    """

    example: ClassVar[str] = "https://os.example:9200"

    name: str = "opensearch"

    def open(self) -> DataStreamSink:
        """Raises MissingExtra without the packages of [opensearch], SettingsError for secrets or CA files."""
        try:
            from sinks.data_stream import DataStreamSink
            from sinks.opensearch_stream import OpenSearchStream, connect
        except ModuleNotFoundError as error:
            if (error.name or "").partition(".")[0] not in PACKAGES:
                raise
            raise MissingExtra("the OpenSearch sink", "opensearch") from error
        client = connect(self.urls, timeout_s=self.timeout_s, **self._credentials(), **self._tls())
        stream = OpenSearchStream(client, stream=self.stream, timeout_s=self.timeout_s)
        return DataStreamSink(stream, dataset=self.dataset, namespace=self.namespace)

    def _credentials(self) -> dict[str, Any]:
        if self.username is None or self.password is None:
            return {}
        return {"http_auth": (self.username, self.password.reveal())}

    def _tls(self) -> dict[str, Any]:
        """Of our own making: the client would trust the certifi package's list rather than the system's."""
        try:
            context = ssl.create_default_context(cafile=self.ca_certs)
        except OSError as error:
            raise SettingsError(f'sink "{self.name}": `ca_certs`: {error}') from error
        if self.ssl_assert_fingerprint is not None or not self.verify:
            context.check_hostname = False
            context.verify_mode = ssl.CERT_NONE
        return {"ssl_context": context, "ssl_assert_fingerprint": self.ssl_assert_fingerprint}
