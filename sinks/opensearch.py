"""What an operator says about an OpenSearch: where it is, who we are there, and which data stream takes alerts."""

from __future__ import annotations

import ssl
from typing import TYPE_CHECKING, Annotated, Any

import msgspec

from detector.errors import MissingExtra, SettingsError
from detector.secret import Secret
from sinks.data_stream_faults import address_faults, name_faults, tls_faults

if TYPE_CHECKING:
    from sinks.data_stream import DataStreamSink

PACKAGES = ("opensearchpy", "urllib3")


class OpenSearchSettings(
    msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, tag="opensearch", tag_field="type"
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

    url: str | tuple[str, ...]
    name: str = "opensearch"
    namespace: str = "default"
    dataset: str = "querywarden.alert"
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

    def _faults(self) -> list[str]:
        faults = address_faults(self.urls, example="https://os.example:9200", credentials="`username` and `password`")
        if (self.username is None) != (self.password is None):
            faults.append("`username` and `password` go together")
        tls = self.ca_certs is not None or self.ssl_assert_fingerprint is not None or not self.verify
        faults += name_faults(dataset=self.dataset, namespace=self.namespace)
        faults += tls_faults(self.urls, asked_for=tls)
        return faults

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
