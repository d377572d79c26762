"""What an operator can get wrong about a data stream and the cluster that holds it, for every product alike."""

from __future__ import annotations

import re
from collections.abc import Sequence
from urllib.parse import urlsplit

PART = re.compile(r"[a-z0-9_.]{1,100}")  # data stream naming scheme: no upper case, no hyphen


def address_faults(urls: Sequence[str], *, example: str, credentials: str) -> list[str]:
    """example: a right address. credentials: the settings that they belong into, as a sentence part."""
    if not urls:
        return ["`url` is empty"]
    return [fault for url in urls for fault in _url_faults(url, example, credentials)]


def name_faults(**parts: str) -> list[str]:
    """Of the parts of the data stream's name, by their settings."""
    wrong = [part for part, value in parts.items() if not PART.fullmatch(value)]
    return [f"`{part}` may hold lower-case letters, digits, `_` and `.` only" for part in wrong]


def tls_faults(urls: Sequence[str], *, asked_for: bool) -> list[str]:
    if asked_for and not all(url.startswith("https://") for url in urls):
        return ["`ca_certs`, `ssl_assert_fingerprint` and `verify` need an https url"]
    return []


def _url_faults(url: str, example: str, credentials: str) -> list[str]:
    """Never repeats the address: someone may have written a password into it."""
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError:
        return [f"`url` is not an address such as {example}"]
    if parts.username is not None or parts.password is not None:
        return [f"`url` must not hold credentials: use {credentials}"]
    if parts.scheme not in ("http", "https") or not parts.hostname or port is None:
        return [f"`url` needs scheme, host and port, such as {example}"]
    return []
