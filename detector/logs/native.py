"""The native log format: JSON lines as docs/log.schema.json describes them, one query a record or a batch of them."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from typing import Annotated, Any, Generic, Literal, TypeAlias, TypeVar

import msgspec
from msgspec import Meta

from detector.errors import DecodeError
from detector.logs.chat import Message, newly_asked
from detector.logs.contract import DEPTH, ENCODING, INPUT, JSON, MAX_BYTES, MISSING, SHAPE, SIZE, TIME, Decoded
from detector.logs.identity import client_of, top_of_broken
from detector.logs.times import END_S, all_at_once, microseconds
from detector.query import Query

DEFAULT_MODEL = "default"
MAX_ROWS = 4_096  # queries of one record
NESTED = 4  # arrays within arrays of an input

# Probabilities that were rounded, or summed in float32, may pass 0 and 1 by a little.
Probability: TypeAlias = Annotated[float, Meta(ge=-0.001, le=1.001)]
Id: TypeAlias = str | int | None
Status: TypeAlias = Literal["ok", "error"] | None
I = TypeVar("I")  # noqa: E741


class _Output(msgspec.Struct, gc=False):
    label: str | int | float | bool | None = None
    probabilities: list[Probability] | dict[str, Probability] | Probability | None = None
    text: str | None = None


class _Wire(msgspec.Struct, Generic[I], gc=False):
    at: int | float | str
    input: I
    client: Id = None
    model: str | None = None
    id: Id = None
    groups: dict[str, Id] | None = None
    output: _Output | None = None
    model_version: Id = None
    status: Status = None
    embedding: list[float] | None = None


class _Batched(msgspec.Struct, Generic[I], gc=False):
    """A record of many queries, asked together. With an `input` it is no batch, so that which decoder is tried first
    makes no difference.
    """

    at: int | float | str
    inputs: list[I]
    input: None = None
    client: Id = None
    model: str | None = None
    id: Id = None
    groups: dict[str, Id] | None = None
    outputs: list[_Output | None] | None = None
    model_version: Id = None
    status: Status = None
    embedding: list[float] | None = None  # of which of them, it does not say: read and not used


class _UsualOutput(msgspec.Struct, gc=False):
    label: str | Annotated[int, Meta(ge=-(2**63), le=2**63 - 1)] | None = None
    probabilities: list[Probability] | None = None
    text: str | None = None


class _Usual(msgspec.Struct, gc=False):
    """What most records are: a part of what _Wire[_Flat] allows, of which nothing has to be told apart."""

    at: str
    input: list[float]
    client: str | None = None
    model: str | None = None
    id: str | None = None
    groups: dict[str, str] | None = None
    output: _UsualOutput | None = None
    model_version: str | None = None
    status: Status = None
    embedding: list[float] | None = None


_NOTHING = msgspec.Raw()
_UNNAMED = (b"", b"null", b'""')


class _Top(msgspec.Struct, gc=False):
    """What is told of a record that is refused, each value as it is written."""

    client: msgspec.Raw = _NOTHING
    at: msgspec.Raw = _NOTHING
    model: msgspec.Raw = _NOTHING
    model_version: msgspec.Raw = _NOTHING
    status: msgspec.Raw = _NOTHING


_Record: TypeAlias = _Usual | _Wire[Any] | _Batched[Any]
_Decoder: TypeAlias = msgspec.json.Decoder[_Wire[Any]] | msgspec.json.Decoder[_Batched[Any]]

_USUAL = msgspec.json.Decoder(_Usual)
_NO_OUTPUT = _UsualOutput()

# msgspec tells an array from text, but not one kind of array from another: a decoder for each.
_Flat: TypeAlias = list[float] | dict[str, str | float | bool | None] | str
_FLAT = msgspec.json.Decoder(_Wire[_Flat])
_SHAPES: tuple[_Decoder, ...] = (
    _FLAT,
    msgspec.json.Decoder(_Wire[list[Message] | str]),
    msgspec.json.Decoder(_Wire[list[list[float]] | str]),
    msgspec.json.Decoder(_Wire[list[list[list[float]]] | str]),
    msgspec.json.Decoder(_Wire[list[list[list[list[float]]]] | str]),
)
_BATCHES: tuple[_Decoder, ...] = (
    msgspec.json.Decoder(_Batched[_Flat]),
    msgspec.json.Decoder(_Batched[list[Message] | str]),
    msgspec.json.Decoder(_Batched[list[list[float]] | str]),
    msgspec.json.Decoder(_Batched[list[list[list[float]]] | str]),
    msgspec.json.Decoder(_Batched[list[list[list[list[float]]]] | str]),
)
_TOP = msgspec.json.Decoder(_Top)
_TEXT = msgspec.json.Decoder(str | int)
_MOMENT = msgspec.json.Decoder(int | float | str)
_UNREADABLE = (msgspec.MsgspecError, UnicodeDecodeError, RecursionError)


def decode_many(payloads: Sequence[bytes]) -> Decoded:
    """The records of a chunk (see detector.logs.contract). The kind of record that was read last is tried first.

    >>> decode_many([b'{"at": 1, "client": 7, "input": [0, 1.5], "model_version": 2}'])[0]
    [Query(at=1000000, client='7', model='default', input=[0.0, 1.5], id=None, groups=None, label=None, \
probabilities=None, text=None, version='2', answered=True, row=0, embedding=None)]
    """
    records: list[_Record] = []
    sources: list[int] = []
    refused: list[tuple[int, DecodeError]] = []
    read: Callable[[bytes], _Record] = _USUAL.decode
    for i, payload in enumerate(payloads):
        try:
            if len(payload) > MAX_BYTES:
                raise _oversized(payload)
            try:
                records.append(read(payload))
            except _UNREADABLE:
                record, decoder = _any_shape(payload)
                records.append(record)
                read = decoder.decode
            sources.append(i)
        except DecodeError as error:
            refused.append((i, _told(error, payload)))
    queries = _all_usual(records)
    return (queries, sources, refused) if queries is not None else _one_by_one(records, sources, refused)


def _all_usual(records: Sequence[_Record]) -> list[Query] | None:
    """What `_query` makes of each, in a third of the time, where all are as most are; None otherwise."""
    usual = [record for record in records if type(record) is _Usual and record.input]
    times = all_at_once([record.at for record in usual]) if len(usual) == len(records) else None
    if times is None:
        return None
    queries = []
    for record, at in zip(usual, times, strict=True):
        output = record.output or _NO_OUTPUT
        queries.append(
            Query(
                at,
                record.client or None,
                record.model or DEFAULT_MODEL,
                record.input,
                record.id or None,
                record.groups or None,
                output.label,
                output.probabilities or None,
                output.text,
                record.model_version or None,
                record.status != "error",
                0,
                record.embedding or None,
            )
        )
    return queries


def _one_by_one(records: Sequence[_Record], sources: Sequence[int], refused: list[tuple[int, DecodeError]]) -> Decoded:
    queries: list[Query] = []
    kept: list[int] = []
    for record, i in zip(records, sources, strict=True):
        try:
            found = _rows(record) if isinstance(record, _Batched) else [_query(record)]
            queries += found
            kept += [i] * len(found)
        except DecodeError as error:
            error.at, error.model = _when(record.at), record.model or DEFAULT_MODEL
            error.version = None if record.model_version is None else str(record.model_version) or None
            error.answered = record.status != "error"
            refused.append((i, error))
    return queries, kept, sorted(refused, key=lambda one: one[0])


def _rows(batch: _Batched[Any]) -> list[Query]:
    """The queries of a batch, in its order and of its time. Raises DecodeError for all when one is unreadable."""
    client = None if batch.client is None else str(batch.client) or None
    outputs: list[_Output | None] = [None] * len(batch.inputs) if batch.outputs is None else batch.outputs
    if not batch.inputs:
        raise DecodeError(INPUT, "`inputs` is empty", client=client)
    if len(batch.inputs) > MAX_ROWS:
        raise DecodeError(SIZE, f"`inputs` holds {len(batch.inputs)}, more than {MAX_ROWS}", client=client)
    if len(outputs) != len(batch.inputs):
        message = f"`outputs` holds {len(outputs)}, `inputs` {len(batch.inputs)}"
        raise DecodeError(SHAPE, message, client=client)
    b, found = batch, []
    for row, (asked, output) in enumerate(zip(b.inputs, outputs, strict=True)):
        id_ = None if b.id is None or b.id == "" else f"{b.id}/{row}"
        wire = _Wire(b.at, asked, b.client, b.model, id_, b.groups, output, b.model_version, b.status)
        found.append(_query(wire, row))
    return found


def _query(wire: _Usual | _Wire[Any], row: int = 0) -> Query:
    # Hot: the common types are told apart inline, the rare ones go to functions. Any, since a cast costs a call.
    client: Any = wire.client
    id_: Any = wire.id
    groups: Any = wire.groups
    label: Any = None
    probabilities: Any = None
    text = None
    asked: Any = wire.input
    at, output = wire.at, wire.output
    if type(client) is int:
        client = str(client)
    at_us = round(at * 1e6) if type(at) is float and 0.0 <= at < END_S else microseconds(at, client)
    if type(asked) is list and asked:
        first = type(asked[0])
        if first is Message:
            asked = newly_asked(asked, client)
        elif first is list and not _holds_number(asked):
            asked = None
    if not asked:
        raise DecodeError(INPUT, "`input` is empty", client=client)
    if type(id_) is int:
        id_ = str(id_)
    if groups:
        for value in groups.values():
            if type(value) is not str:
                groups = {name: str(v) for name, v in groups.items() if v is not None}
                break
    if output is not None:
        label, probabilities, text = output.label, output.probabilities, output.text
        if label is not None and type(label) is not str:
            label = _whole(label, client)
        if probabilities is not None and type(probabilities) is not list:
            probabilities = _listed(probabilities)
    return Query(
        at_us,
        client or None,
        wire.model or DEFAULT_MODEL,
        asked,
        id_ or None,
        groups or None,
        label,
        probabilities or None,
        text,
        None if wire.model_version is None else str(wire.model_version) or None,
        wire.status != "error",
        row,
        wire.embedding or None,
    )


def _holds_number(nested: list[Any]) -> bool:
    first: Any = nested
    while type(first) is list and first:
        first = first[0]
    return type(first) is not list or any(type(part) is list and _holds_number(part) for part in nested[1:])


def _whole(label: float, client: str | None) -> int:
    """The label as an integer: true is 1, and 3.0 is 3, as array libraries write it."""
    if label != label // 1 or not -(2**63) <= label < 2**63:
        raise DecodeError(SHAPE, "`output.label` is neither text nor a whole number of 64 bits", client=client)
    return int(label)


def _listed(probabilities: dict[str, float] | float) -> list[float]:
    if isinstance(probabilities, dict):
        return [probabilities[name] for name in sorted(probabilities)]
    return [probabilities]


def _any_shape(payload: bytes) -> tuple[_Record, _Decoder]:
    """Reads with each decoder in turn; when all fail, the one that came deepest into `input` knows what is wrong."""
    try:
        return _FLAT.decode(payload), _FLAT
    except msgspec.ValidationError as error:
        if _BATCHED_MAYBE(str(error)):
            return _first_that_reads(payload, _BATCHES, "`$.inputs", error)
    except _UNREADABLE as error:
        raise _refusal(payload, error) from error
    return _first_that_reads(payload, _SHAPES, "`$.input", None)


# Of a record without an `input`. When it has no `inputs` either, this is what is wrong with it.
_BATCHED_MAYBE = re.compile(r"missing required field `input`|got `null` - at `\$\.input`").search


def _first_that_reads(
    payload: bytes, decoders: tuple[_Decoder, ...], where: str, before: msgspec.ValidationError | None
) -> tuple[_Record, _Decoder]:
    """`where` the shapes differ; `before` is what was wrong when there is nothing of the kind at all."""
    deepest, depth = None, -1
    for decoder in decoders:
        try:
            return decoder.decode(payload), decoder
        except msgspec.ValidationError as error:
            place = str(error).rpartition(where)[2]
            if place == str(error):
                wrong = before if before and "missing required field `inputs`" in str(error) else error
                raise _refusal(payload, wrong) from error
            # Into arrays, and into the fields of what they hold.
            steps = place.count("[") + place.count("].") + ("missing required field" in str(error))
            if steps > depth:
                deepest, depth = error, steps
        except _UNREADABLE as error:
            raise _refusal(payload, error) from error
    assert deepest is not None
    raise _refusal(payload, deepest) from deepest


def _oversized(payload: bytes) -> DecodeError:
    message = f"the record has {len(payload)} bytes, more than {MAX_BYTES}"
    return DecodeError(SIZE, message)


def _refusal(payload: bytes, error: Exception) -> DecodeError:
    return DecodeError(_reason(payload, error), str(error))


def _reason(payload: bytes, error: Exception) -> str:
    if isinstance(error, RecursionError):
        return DEPTH
    if isinstance(error, UnicodeDecodeError):
        return ENCODING
    if not isinstance(error, msgspec.ValidationError):
        return JSON if _is_utf8(payload) else ENCODING
    message = str(error)
    if "`$.input" in message:
        too_deep = "got `array`" in message and message.count("[") == NESTED + ("`$.inputs" in message)
        return DEPTH if too_deep else INPUT
    if "missing required field" in message:
        return MISSING
    return TIME if "`$.at`" in message else SHAPE


def _is_utf8(payload: bytes) -> bool:
    try:
        payload.decode()
    except UnicodeDecodeError:
        return False
    return True


def _told(error: DecodeError, payload: bytes) -> DecodeError:
    """The refusal, with what can be read of the record all the same."""
    top, whole = _top(payload)
    error.client, error.at = client_of(top["client"]), _moment(top["at"])
    error.model, error.version = _text(top["model"]), _text(top["model_version"])
    if whole and top["model"] in _UNNAMED:
        error.model = DEFAULT_MODEL
    error.answered = top["status"] != b'"error"'
    return error


def _top(payload: bytes) -> tuple[dict[str, bytes], bool]:
    """The values of _Top as they are written, and whether the record is whole: what is not found is not there then."""
    names = _Top.__struct_fields__
    if len(payload) <= MAX_BYTES:
        try:
            top = _TOP.decode(payload)
            return {name: bytes(getattr(top, name)) for name in names}, True
        except _UNREADABLE:
            pass
    found = top_of_broken(payload, [name.encode() for name in names])
    return {name: found.get(name.encode(), b"") for name in names}, False


def _text(token: bytes) -> str | None:
    try:
        return str(_TEXT.decode(token)) or None
    except _UNREADABLE:
        return None


def _moment(token: bytes) -> int | None:
    try:
        return _when(_MOMENT.decode(token))
    except _UNREADABLE:
        return None


def _when(at: float | str) -> int | None:
    """Microseconds, None where it is no time or out of range."""
    try:
        return microseconds(at)
    except (DecodeError, OverflowError):
        return None
