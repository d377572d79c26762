"""Whose record it was, and what else stands at its top, when the record cannot be read as JSON."""

from __future__ import annotations

import re
from collections.abc import Collection

import msgspec

# A larger head costs an attacker little and us much: 1 MiB is walked in some 50 ms.
HEAD_BYTES = 1024 * 1024

# The lone quote comes last: it is a string that never ends.
_TOKEN = re.compile(rb'"[^"\\]*(?:\\.[^"\\]*)*"|[\[{]+|[\]}]+|[:,]|[^\s\[\]{}:,"]+|"', re.DOTALL)
_ID = msgspec.json.Decoder(str | int)


def client_of_broken(payload: bytes) -> str | None:
    """The client of what may be cut off, too deep, too large or not JSON at all; None where it cannot be found.

    >>> client_of_broken(b'{"input": {"client": "b"}, "client": "a", "model": ')
    'a'
    """
    return client_of(top_of_broken(payload, (b"client",)).get(b"client", b""))


def top_of_broken(payload: bytes, fields: Collection[bytes]) -> dict[bytes, bytes]:
    """The first value of each of these top-level fields that can be found, as it is written.

    They are looked for at depth one only and never inside a string, even one that was cut off: what a client asks must
    not be able to name another client. A misplaced bracket can still hide a field.
    """
    wanted = {b'"' + field + b'"': field for field in fields}
    found: dict[bytes, bytes] = {}
    depth, before, last = 0, b"", b""
    for match in _TOKEN.finditer(payload, 0, HEAD_BYTES):
        token = match[0]
        first = token[0]
        if first in b"[{":
            depth += len(token)
        elif first in b"]}":
            depth -= len(token)
        elif token == b'"':
            break
        elif depth == 1 and last == b":" and before in wanted:
            found[wanted.pop(before)] = token
            if not wanted:
                break
        before, last = last, token
    return found


def client_of(token: bytes) -> str | None:
    """From the value as it is written; None where it is no client."""
    try:
        return str(_ID.decode(token)) or None
    except (msgspec.MsgspecError, UnicodeDecodeError):
        return None
