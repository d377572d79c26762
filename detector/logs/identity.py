"""Whose record it was, when the record cannot be read as JSON."""

from __future__ import annotations

import re

import msgspec

# A larger head costs an attacker little and us much: 1 MiB is walked in some 50 ms.
HEAD_BYTES = 1024 * 1024

# The lone quote comes last: it is a string that never ends.
_TOKEN = re.compile(rb'"[^"\\]*(?:\\.[^"\\]*)*"|[\[{]+|[\]}]+|[:,]|[^\s\[\]{}:,"]+|"', re.DOTALL)
_ID = msgspec.json.Decoder(str | int)


def client_of_broken(payload: bytes, field: bytes = b"client") -> str | None:
    """The value of the top-level `field` in what may be cut off, too deep, too large or not JSON at all.

    It is looked for at depth one only and never inside a string, even one that was cut off: what a client asks must
    not be able to name another client. A misplaced bracket can still hide the field; None then.

    >>> client_of_broken(b'{"input": {"client": "b"}, "client": "a", "model": ')
    'a'
    """
    key = b'"' + field + b'"'
    depth, before, last = 0, b"", b""
    for match in _TOKEN.finditer(payload, 0, HEAD_BYTES):
        token = match[0]
        first = token[0]
        if first in b"[{":
            depth += len(token)
        elif first in b"]}":
            depth -= len(token)
        elif token == b'"':
            return None
        elif depth == 1 and last == b":" and before == key:
            return _value(token)
        before, last = last, token
    return None


def _value(token: bytes) -> str | None:
    try:
        return str(_ID.decode(token)) or None
    except (msgspec.MsgspecError, UnicodeDecodeError):
        return None
