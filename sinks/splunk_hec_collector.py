"""Speaks HTTP to Splunk's HTTP Event Collector: paths, headers, gzip, and which failures of a connection mean what."""

from __future__ import annotations

import gzip
from typing import Any

import urllib3
from urllib3 import exceptions

from detector.errors import SinkBusy, SinkRefused
from sinks.splunk_hec_answers import Answer, read

EVENT, ACK, HEALTH = "event", "ack", "health"  # below /services/collector


class Collector:
    """One address, one connection that is kept open. It neither retries nor follows redirects: the token stays here.

    root: the address up to and with `/services/collector`. channel: for indexer acknowledgement, a GUID.
    """

    def __init__(
        self, root: str, token: str, *, timeout_s: float, compress: bool, channel: str | None, **tls: Any
    ) -> None:
        self._root = root
        self._timeout_s = timeout_s
        self._compress = compress
        self._headers = {"Authorization": f"Splunk {token}", "User-Agent": "querywarden"}
        if channel is not None:
            self._headers["X-Splunk-Request-Channel"] = channel
        if tls.get("cert_reqs") == "CERT_NONE" and "assert_fingerprint" not in tls:
            urllib3.disable_warnings(exceptions.InsecureRequestWarning)  # it was asked for, once and for all
        self._pool = urllib3.PoolManager(num_pools=1, maxsize=1, timeout=timeout_s, retries=False, **tls)

    def health(self) -> Answer:
        return self._request("GET", HEALTH)

    def post(self, body: bytes) -> Answer:
        """Events one after another; compressed where that is set."""
        if not self._compress:
            return self._request("POST", EVENT, body)
        return self._request("POST", EVENT, gzip.compress(body, compresslevel=6, mtime=0), gzipped=True)

    def acks(self, body: bytes) -> Answer:
        return self._request("POST", ACK, body)

    def close(self) -> None:
        self._pool.clear()

    def _request(self, method: str, path: str, body: bytes | None = None, *, gzipped: bool = False) -> Answer:
        """Raises SinkBusy when no whole answer came, SinkRefused for a peer that cannot be trusted."""
        headers = dict(self._headers)
        if body is not None:
            headers["Content-Type"] = "application/json"
        if gzipped:
            headers["Content-Encoding"] = "gzip"
        try:
            answer = self._pool.request(method, f"{self._root}/{path}", body=body, headers=headers, redirect=False)
        except exceptions.SSLError as error:
            raise SinkRefused(f"no trusted connection to Splunk: {error}") from error
        except exceptions.NewConnectionError as error:  # to urllib3 a kind of timeout
            raise SinkBusy(f"Splunk cannot be reached: {error}") from error
        except exceptions.TimeoutError as error:
            raise SinkBusy(f"Splunk did not answer within {self._timeout_s:g} s") from error
        except exceptions.HTTPError as error:
            raise SinkBusy(f"Splunk cannot be reached: {error}") from error
        return read(answer.status, answer.data, retry_after_s=_seconds(answer.headers.get("Retry-After")))


def _seconds(retry_after: str | None) -> float | None:
    """Seconds or a date, as RFC 9110 has it; none for anything else."""
    if retry_after is None:
        return None
    try:
        return float(urllib3.Retry().parse_retry_after(retry_after))
    except exceptions.InvalidHeader:
        return None
