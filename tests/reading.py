"""One record of the native log at a time, and its refusal raised: how tests like to read."""

from __future__ import annotations

from detector.logs.native import decode_many
from detector.query import Query


def decode(payload: bytes) -> Query:
    """The query of a record that holds one. Raises DecodeError."""
    (query,) = decode_all(payload)
    return query


def decode_all(payload: bytes) -> list[Query]:
    """The queries of a record. Raises DecodeError."""
    queries, _, refused = decode_many([payload])
    for _, error in refused:
        raise error
    return queries
