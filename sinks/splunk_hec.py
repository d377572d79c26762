"""What an operator says about a Splunk: where its HTTP Event Collector is, our token, and what events are labelled."""

from __future__ import annotations

import re
import ssl
import uuid
from typing import TYPE_CHECKING, Annotated, Any
from urllib.parse import urlsplit

import msgspec

from detector.errors import MissingExtra, SettingsError
from detector.secret import Secret

if TYPE_CHECKING:
    from sinks.splunk_hec_sink import SplunkHecSink

COLLECTOR = "/services/collector"
ENDPOINT = re.compile(r"(?:/services/collector(?:/event(?:/1\.0)?)?)?/*$")  # what may end the address, or not
TOKEN = re.compile(r"[!-~]+")  # what fits into a header: the usual one is a GUID


class SplunkHecSettings(
    msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, tag="splunk_hec", tag_field="type"
):
    """Alerts go to Splunk's HTTP Event Collector (HEC); the app that reads them there is in deploy/splunk.

    url: of the collector, such as https://splunk.example:8088, with or without /services/collector/event.

    token: of the collector's input.

    index: where alerts go; by default the token's own.

    source: of the events.

    sourcetype: of the events; the app knows `querywarden:alert`.

    host: of the events; by default what Splunk takes for it.

    acknowledge: wait until Splunk has indexed an alert. The token must have indexer acknowledgement (Splunk Enterprise
    only).

    acknowledge_timeout_s: seconds after which an alert that was not acknowledged is sent again.

    compress: send gzip.

    ca_certs: a file of those who may have signed the certificate (default: whom the system trusts).

    ssl_assert_fingerprint: SHA-256 of the certificate, which is then trusted whoever signed it.

    verify: false trusts any certificate.

    timeout_s: seconds, for one request.

    max_bytes: of one request, before compression; a larger batch is sent in parts. Splunk Cloud takes 1 MB.

    >>> SplunkHecSettings(url="https://splunk.example:8088/services/collector/event", token=Secret(env="T")).root
    'https://splunk.example:8088/services/collector'
    """

    url: str
    token: Secret
    name: str = "splunk_hec"
    index: str | None = None
    source: str = "querywarden"
    sourcetype: str = "querywarden:alert"
    host: str | None = None
    acknowledge: bool = False
    acknowledge_timeout_s: Annotated[float, msgspec.Meta(gt=0)] = 30.0
    compress: bool = True
    ca_certs: str | None = None
    ssl_assert_fingerprint: str | None = None
    verify: bool = True
    timeout_s: Annotated[float, msgspec.Meta(gt=0)] = 10.0
    max_bytes: Annotated[int, msgspec.Meta(ge=1)] = 800_000
    batch_size: Annotated[int, msgspec.Meta(ge=1, le=1000)] = 500

    def __post_init__(self) -> None:
        for fault in self._faults():
            raise SettingsError(f'sink "{self.name}": {fault}')

    @property
    def root(self) -> str:
        """The address up to and with `/services/collector`; a path before it (a reverse proxy's) stays."""
        return ENDPOINT.sub("", self.url) + COLLECTOR

    @property
    def metadata(self) -> dict[str, str]:
        given = {"host": self.host, "source": self.source, "sourcetype": self.sourcetype, "index": self.index}
        return {key: value for key, value in given.items() if value}

    def open(self) -> SplunkHecSink:
        """Raises MissingExtra without the packages of [splunk], SettingsError for the token or the CA file."""
        try:
            from sinks.splunk_hec_acks import Acknowledgements
            from sinks.splunk_hec_collector import Collector
            from sinks.splunk_hec_sink import SplunkHecSink
        except ModuleNotFoundError as error:
            if (error.name or "").partition(".")[0] != "urllib3":
                raise
            raise MissingExtra("the Splunk sink", "splunk") from error
        collector = Collector(
            self.root,
            self._token(),
            timeout_s=self.timeout_s,
            compress=self.compress,
            channel=str(uuid.uuid4()) if self.acknowledge else None,
            **self._tls(),
        )
        acks = Acknowledgements(collector.acks, timeout_s=self.acknowledge_timeout_s) if self.acknowledge else None
        return SplunkHecSink(self, collector, acks)

    def _faults(self) -> list[str]:
        faults = _url_faults(self.url)
        tls = self.ca_certs is not None or self.ssl_assert_fingerprint is not None or not self.verify
        if tls and not self.url.startswith("https://"):
            faults.append("`ca_certs`, `ssl_assert_fingerprint` and `verify` need an https url")
        return faults

    def _token(self) -> str:
        token = self.token.reveal()
        if not TOKEN.fullmatch(token):
            raise SettingsError(f'sink "{self.name}": `token` is empty or holds characters that no token has')
        return token

    def _tls(self) -> dict[str, Any]:
        if self.ssl_assert_fingerprint is not None:
            return {"cert_reqs": "CERT_NONE", "assert_fingerprint": self.ssl_assert_fingerprint}
        if not self.verify:
            return {"cert_reqs": "CERT_NONE"}
        if self.ca_certs is None:
            return {}
        try:
            ssl.create_default_context(cafile=self.ca_certs)  # the client would find out at the first request only
        except OSError as error:
            raise SettingsError(f'sink "{self.name}": `ca_certs`: {error}') from error
        return {"ca_certs": self.ca_certs}


def _url_faults(url: str) -> list[str]:
    """Never repeats the address: someone may have written a password or a token into it."""
    try:
        parts = urlsplit(url)
        _ = parts.port
    except ValueError:
        return ["`url` is not an address such as https://splunk.example:8088"]
    if parts.username is not None or parts.password is not None or parts.query or parts.fragment:
        return ["`url` must not hold credentials, `?` or `#`: the token belongs into `token`"]
    if parts.scheme not in ("http", "https") or not parts.hostname:
        return ["`url` needs scheme and host, such as https://splunk.example:8088"]
    if parts.path.rstrip("/").endswith(f"{COLLECTOR}/raw"):
        return ["`url` is the raw endpoint: alerts go to /services/collector/event"]
    return []
