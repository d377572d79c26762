"""What a log format promises to the pipeline: payloads in, queries and refusals out, nothing else ever raised."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TypeAlias

from detector.errors import DecodeError
from detector.query import Query

# Why a record was refused: the whole set, since each is the value of a metric label.
JSON = "json"  # not JSON
ENCODING = "encoding"  # not UTF-8
SIZE = "size"  # larger than MAX_BYTES
DEPTH = "depth"  # nested deeper than is read
MISSING = "missing"  # a field without which nothing can be judged is not there
SHAPE = "shape"  # a field has the wrong type or range
TIME = "time"  # the time cannot be read or lies outside 1970..2100
INPUT = "input"  # the input is empty, or not finite numbers, text, a chat with text or named values
REASONS = (JSON, ENCODING, SIZE, DEPTH, MISSING, SHAPE, TIME, INPUT)

MAX_BYTES = 10 * 1024 * 1024

# The queries; for each the index of the payload that it came in, ascending; the refused payloads with their index.
Decoded: TypeAlias = tuple[list[Query], list[int], list[tuple[int, DecodeError]]]

# A format is one function. A payload may give no query (half of a joined pair), one, or several (`Query.row` numbers
# them), and at most one refusal; a refusal carries the client where it can be read, since a record that the model
# answered and that we cannot read still counts against whoever sent it. Nothing is raised, whatever the bytes are.
Decode: TypeAlias = Callable[[Sequence[bytes]], Decoded]
