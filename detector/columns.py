"""From queries to columns: what is numeric and of the right width goes on; the rest is named and set aside."""

from __future__ import annotations

import struct
from collections.abc import Sequence
from typing import Any, NamedTuple, Protocol
from zlib import crc32

import numba
import numpy as np

from detector.errors import DecodeError
from detector.query import ABSENT, F64, I32, NO_LABEL, NO_TIME, U64, Query

# Why a query that was read cannot be judged by this profile: values of the dead letters' metric label.
TEXT = "text"
WIDTH = "width"
NUMBERS = "numbers"


class Read(NamedTuple):
    """inputs (n, width); form (n, k), see Batch; unfit: rows of these are zero."""

    inputs: F64
    form: F64
    unfit: list[Unfit]


class Reader(Protocol):
    """From queries to rows of numbers; `width` None takes the first query's."""

    def read(self, queries: Sequence[Query], width: int | None) -> Read: ...


class Numbers:
    """Of inputs that are numbers, these."""

    def read(self, queries: Sequence[Query], width: int | None) -> Read:
        inputs, unfit = inputs_of(queries, width)
        return Read(inputs, np.zeros((len(queries), 0)), unfit)


AS_NUMBERS = Numbers()


class Unfit(NamedTuple):
    """A query (by its place in the batch) that cannot become a row of numbers, and why."""

    place: int
    reason: str
    message: str


def with_unread(
    queries: list[Query],
    sources: list[int],
    refused: Sequence[tuple[int, DecodeError]],
    bounds_at: Sequence[int],
    model: str | None,
) -> tuple[list[Query], list[int]]:
    """The queries in their order, and among them, for each refused record that names its client, one without input:
    what the model answered and we cannot read was asked all the same. Not so where the record names another model.

    NO_TIME where its time cannot be read either, or lies beyond its bound (`bounds_at` of each payload).
    """
    unread = [
        (i, _unread(error, bounds_at[i], model or error.model or ""))
        for i, error in refused
        if error.client and (model is None or error.model in (None, model))
    ]
    if not unread:
        return queries, sources
    merged = sorted([*zip(sources, queries, strict=True), *unread], key=lambda one: one[0])
    return [query for _, query in merged], [source for source, _ in merged]


def _unread(error: DecodeError, bound: int, model: str) -> Query:
    at = error.at if error.at is not None and error.at <= bound else NO_TIME
    return Query(at, error.client, model, [], version=error.version, answered=error.answered)


def inputs_of(queries: Sequence[Query], width: int | None) -> tuple[F64, list[Unfit]]:
    """The inputs as (n, width) float64, rows of unfit queries zero; `width` None takes the first query's.

    Nested inputs (images) are read row by row.
    """
    if not queries:
        return np.empty((0, width or 0)), []
    try:
        rows: list[Any] = [query.input for query in queries]
        whole = matrix(rows)
        if whole.ndim > 1 and not isinstance(queries[0].input, str):
            flat = whole.reshape(len(queries), -1)
            if width in (None, flat.shape[1]) and np.isfinite(flat).all():
                return flat, []
    except (ValueError, TypeError, OverflowError):
        pass  # some query of the batch is not like the others: find out which
    return _one_by_one(queries, width)


def matrix(rows: Sequence[Sequence[Any]]) -> F64:
    """np.array(rows, np.float64), in two thirds of the time where they are flat and of one length.

    Raises ValueError, TypeError or OverflowError as numpy does.
    """
    try:
        pack = struct.Struct(f"{len(rows[0])}d").pack
        return np.frombuffer(bytearray().join([pack(*row) for row in rows])).reshape(len(rows), -1)
    except struct.error:
        return np.array(rows, np.float64)


def _one_by_one(queries: Sequence[Query], width: int | None) -> tuple[F64, list[Unfit]]:
    rows: list[F64 | None] = []
    unfit: list[Unfit] = []
    for index, query in enumerate(queries):
        row, reason, message = _row(query.input, width)
        if row is None:
            unfit.append(Unfit(index, reason, message))
        elif width is None:
            width = row.size
        rows.append(row)
    inputs = np.zeros((len(queries), width or 0))
    for index, row in enumerate(rows):
        if row is not None:
            inputs[index] = row
    return inputs, unfit


def _row(raw: list[Any] | str | dict[str, Any], width: int | None) -> tuple[F64 | None, str, str]:
    if isinstance(raw, str):
        return None, TEXT, f"the input is text of {len(raw)} characters, this profile reads numbers"
    if isinstance(raw, dict):
        return None, NUMBERS, f"the input is {len(raw)} named values, this profile reads numbers"
    try:
        row = np.array(raw, np.float64).reshape(-1)
    except (ValueError, TypeError, OverflowError):
        return None, NUMBERS, "the input is not a regular array of numbers"
    if not np.isfinite(row).all():
        return None, NUMBERS, "the input holds a number that is not finite"
    if width is not None and row.size != width:
        return None, WIDTH, f"the input has {row.size} numbers, this profile reads {width}"
    return row, "", ""


def labels_of(queries: Sequence[Query]) -> I32:
    """31-bit codes of the labels: a whole number below 2**31 is itself, anything else its CRC."""
    return label_codes([query.label for query in queries])


def label_codes(labels: Sequence[str | int | None]) -> I32:
    codes = [label if type(label) is int and 0 <= label < 2**31 else _code(label) for label in labels]
    return np.array(codes, np.int32)


def _code(label: str | int | None) -> int:
    if label is None:
        return NO_LABEL
    if isinstance(label, bool):
        return int(label)
    return crc32(str(label).encode("utf-8", "surrogatepass")) & 0x7FFFFFFF


def top_of(queries: Sequence[Query]) -> F64:
    """The two largest probabilities of each answer (n, 2), ABSENT where there are none.

    A single number p is read as the pair p, 1 - p.
    """
    found = [query.probabilities for query in queries]
    given = [p for p in found if p]
    if len(given) == len(found) and len(set(map(len, given))) == 1:
        pairs: F64 = _largest_two(matrix(given))
        return pairs
    top = np.full((len(queries), 2), ABSENT)
    for i, probabilities in enumerate(found):
        if probabilities:
            top[i] = _largest_two(np.array([probabilities], np.float64))[0]
    return top


@numba.njit(cache=True)
def _largest_two(probabilities):  # type: ignore[no-untyped-def]
    top = np.empty((probabilities.shape[0], 2))
    for i in range(probabilities.shape[0]):
        first, second = probabilities[i, 0], 1.0 - probabilities[i, 0]
        if probabilities.shape[1] > 1:
            second = -np.inf
            for j in range(1, probabilities.shape[1]):
                second = max(second, min(first, probabilities[i, j]))
                first = max(first, probabilities[i, j])
        top[i, 0] = max(first, second)
        top[i, 1] = min(first, second)
    return top


def id_hashes(queries: Sequence[Query], secret: np.uint64) -> U64:
    """Keyed 64-bit hashes of the log's query ids, never 0; 0 where the log has none."""
    ids = [query.id or "" for query in queries]
    joined = "".join(ids)
    in_bytes = ids if joined.isascii() else [id_.encode("utf-8", "surrogatepass") for id_ in ids]
    lengths = np.array(list(map(len, in_bytes)), np.int64)
    hashes: U64 = _hashes(np.frombuffer(joined.encode("utf-8", "surrogatepass"), np.uint8), lengths, secret)
    return hashes


@numba.njit(cache=True)
def _hashes(data, lengths, secret):  # type: ignore[no-untyped-def]
    found = np.zeros(lengths.size, np.uint64)
    start = 0
    for i in range(lengths.size):
        h = secret ^ np.uint64(lengths[i])
        for j in range(start, start + lengths[i]):
            h = (h ^ np.uint64(data[j])) * np.uint64(0x100000001B3)
            h ^= h >> np.uint64(32)
        if lengths[i] > 0:
            found[i] = max(h, np.uint64(1))
        start += lengths[i]
    return found


def secret_word(secret: bytes) -> np.uint64:
    """64 bits of the profile's secret, for the hashes that are computed in kernels."""
    return np.uint64(np.frombuffer(secret[:8].ljust(8, b"\0"), "<u8")[0])
