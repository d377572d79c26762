"""What was asked: a query as logged, the chunk of records that it came in, and the columns that detection reads."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import msgspec
import numpy as np
from numpy.typing import NDArray

I64 = NDArray[np.int64]
I32 = NDArray[np.int32]
I16 = NDArray[np.int16]
U64 = NDArray[np.uint64]
U8 = NDArray[np.uint8]
F64 = NDArray[np.float64]

ABSENT = np.nan  # a signal or confidence that the log does not carry: absent, never zero
NO_TIME = -1  # of a record whose time could not be read
NO_LABEL = -1  # int32 label code of an answer without a label
USUAL, REUSED, UNREAD = 0, 1, 2  # how a query was put: its id was another's; its input could not be read


class Chunk(msgspec.Struct, frozen=True, gc=False):
    """Consecutive records of one stream, as columns.

    `stream` names what was read so that it can be found again: `kafka:<topic id>/<partition>` (a topic that was made
    anew is another stream) or `file:<fingerprint>`. `offsets[i]` is where `payloads[i]` starts (Kafka offset; byte in
    the uncompressed file). Reading from `next_offset` continues without a hole.
    `bounds_at[i]` is the latest time, microseconds, at which the record can have been written (the broker's append
    time, else the time of reading): a record that claims to be later than this is lying.
    `clocks[i]` is the stream's clock at the record, where someone else has read the whole stream: the latest time of
    any query in it, up to this record.
    """

    stream: str
    payloads: list[bytes]
    offsets: list[int]
    next_offset: int
    bounds_at: list[int]
    clocks: list[int] | None = None

    def part(self, start: int, stop: int) -> Chunk:
        """The same records from `start` to `stop`, as a chunk of their own."""
        s = slice(start, stop)
        next_offset = self.offsets[stop] if stop < len(self.offsets) else self.next_offset
        clocks = None if self.clocks is None else self.clocks[s]
        return Chunk(self.stream, self.payloads[s], self.offsets[s], next_offset, self.bounds_at[s], clocks)


class Query(msgspec.Struct, frozen=True, gc=False):
    """One inference request with its answer, as logged. `at` is in microseconds since 1970, UTC.

    `input` is numbers (flat or nested), text (of a chat, what the user newly wrote), or named values. `version` is that
    of the served model, `answered` whether it gave an answer. `row` numbers the queries of one record, for formats that
    log many. `embedding` is what the log says of the input's meaning.
    """

    at: int
    client: str | None
    model: str
    input: list[Any] | str | dict[str, str | float | bool | None]
    id: str | None = None
    groups: dict[str, str] | None = None
    label: str | int | None = None
    probabilities: list[float] | None = None
    text: str | None = None
    version: str | None = None
    answered: bool = True
    row: int = 0
    embedding: list[float] | None = None


class DeadLetter(msgspec.Struct, frozen=True):
    """A record that could not be judged: where it is, why, and whose it was; the payload only by opt-in."""

    stream: str
    offset: int
    row: int
    reason: str
    message: str
    client: str | None = None
    payload: bytes | None = None


@dataclass(frozen=True, slots=True)
class Batch:
    """Queries as columns, after `project`: all that features see. n queries, p <= 16 projected dimensions.

    slots      (n,) int64    row of the query's entity in the row table
    at         (n,) int64    microseconds, as logged
    x          (n, p) int16  projected input, |x| <= 8191
    residual   (n,) float64  length of what the projection left out, in the units of x
    roughness  (n,) float64  how much neighbouring pixels differ, 1 for white noise; ABSENT where inputs are no images
    labels     (n,) int32    code of the predicted label, NO_LABEL where the log has none
    top        (n, 2) float64  the two largest probabilities, ABSENT where the log has none
    ids        (n,) uint64   keyed hash of the log's query id, 0 where the log has none
    odd        (n,) uint8    USUAL, REUSED or UNREAD; columns of the input mean nothing in a query that is UNREAD
    form       (n, k) float64  of text: how it is written (detector.text.form.FORM); k = 0 of numbers
    """

    slots: I64
    at: I64
    x: I16
    residual: F64
    roughness: F64
    labels: I32
    top: F64
    ids: U64
    odd: U8
    form: F64

    def __len__(self) -> int:
        return len(self.slots)

    def part(self, start: int, stop: int) -> Batch:
        """The same queries from `start` to `stop`; the columns are views."""
        s = slice(start, stop)
        return Batch(*[getattr(self, name)[s] for name in Batch.__slots__])

    def taken(self, kept: I64) -> Batch:
        """The queries at these indices; the batch itself where that is all of them."""
        if len(kept) == len(self):
            return self
        return Batch(*[getattr(self, name)[kept] for name in Batch.__slots__])
