from __future__ import annotations

import json
import math
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from detector.errors import DecodeError
from detector.logs.contract import MAX_BYTES, REASONS
from detector.logs.native import MAX_ROWS, decode_many
from detector.query import Query
from tests.reading import decode, decode_all

FLOATS = st.floats(allow_nan=False, allow_infinity=False)
FLAT = st.lists(FLOATS, min_size=1)
INPUTS = (
    st.text(min_size=1)
    | FLAT
    | st.lists(FLAT, min_size=1)
    | st.lists(st.lists(FLAT, min_size=1, max_size=3), min_size=1, max_size=3)
    | st.lists(st.lists(st.lists(FLAT, min_size=1, max_size=2), min_size=1, max_size=2), min_size=1, max_size=2)
    | st.dictionaries(st.text(), st.none() | st.booleans() | FLOATS | st.text(), min_size=1)
)
IDS = st.text(min_size=1) | st.integers(-(2**63), 2**64)
PROBABILITIES = st.lists(st.floats(0, 1), min_size=1)
OUTPUTS = st.fixed_dictionaries(
    {},
    optional={
        "label": st.none() | st.text() | st.integers(-(2**63), 2**63 - 1),
        "probabilities": PROBABILITIES,
        "text": st.text(),
        "logits": st.lists(FLOATS),
    },
)
RECORDS = st.fixed_dictionaries(
    {"at": st.integers(0, 4_102_444_799), "input": INPUTS},
    optional={
        "client": IDS,
        "model": st.text(min_size=1),
        "id": IDS,
        "groups": st.dictionaries(st.text(), IDS, min_size=1),
        "output": OUTPUTS,
        "model_version": IDS,
        "status": st.sampled_from(["ok", "error", None]),
        "cached": st.booleans(),
        "embedding": FLAT,
        "trace": st.dictionaries(st.text(), FLOATS),
    },
)


BATCHES = st.builds(
    lambda fields, rows: (
        {k: v for k, v in fields.items() if k not in ("input", "output", "embedding")}
        | {"inputs": [asked for asked, _ in rows], "outputs": [answered for _, answered in rows]}
    ),
    RECORDS,
    st.lists(st.tuples(FLAT | st.text(min_size=1), st.none() | OUTPUTS), min_size=1, max_size=4),
)
ODD = st.sampled_from(
    [
        *({"input": None}, {"input": [1.0]}, {"inputs": None}, {"inputs": []}, {"outputs": []}, {"at": -1}),
        *({"input": [{"role": "user", "content": "a"}]}, {"input": [{"role": "ai"}]}, {"embedding": ["a"]}),
    ]
)


def record(**changes: Any) -> bytes:
    return json.dumps({"at": 1, "client": "c", "input": [1.0], **changes}).encode()


def refusal(payload: bytes) -> DecodeError:
    with pytest.raises(DecodeError) as caught:
        decode(payload)
    return caught.value


@given(RECORDS, st.booleans())
def test_round_trip_of_any_record(fields: dict[str, Any], ascii_only: bool) -> None:
    query = decode(json.dumps(fields, ensure_ascii=ascii_only).encode())
    output = fields.get("output", {})
    assert query == Query(
        at=fields["at"] * 1_000_000,
        client=str(fields["client"]) if "client" in fields else None,
        model=fields.get("model", "default"),
        input=fields["input"],
        id=str(fields["id"]) if "id" in fields else None,
        groups={name: str(value) for name, value in fields["groups"].items()} if "groups" in fields else None,
        label=output.get("label"),
        probabilities=output.get("probabilities"),
        text=output.get("text"),
        version=str(fields["model_version"]) if "model_version" in fields else None,
        answered=fields.get("status") != "error",
        embedding=fields.get("embedding"),
    )


@given(
    st.lists(
        st.builds(lambda made, odd: json.dumps(made | odd).encode(), RECORDS | BATCHES, st.just({}) | ODD)
        | st.binary(max_size=30),
        max_size=12,
    )
)
def test_many_are_what_each_is(payloads: list[bytes]) -> None:
    queries, sources, refused = decode_many(payloads)
    assert sorted({*sources, *(index for index, _ in refused)}) == list(range(len(payloads)))
    assert queries == [query for index in dict.fromkeys(sources) for query in decode_all(payloads[index])]
    for index, error in refused:
        alone = refusal(payloads[index])
        assert (error.reason, error.client, str(error)) == (alone.reason, alone.client, str(alone))


@given(BATCHES)
def test_a_batch_is_its_queries_one_after_another(fields: dict[str, Any]) -> None:
    singles = [
        {k: v for k, v in fields.items() if k not in ("inputs", "outputs")} | {"input": asked, "output": answered}
        for asked, answered in zip(fields["inputs"], fields["outputs"], strict=True)
    ]
    queries = decode_all(json.dumps(fields).encode())
    expected = [decode(json.dumps(single).encode()) for single in singles]
    assert [query.row for query in queries] == list(range(len(singles)))
    for query, alone in zip(queries, expected, strict=True):
        id_ = None if alone.id is None else f"{alone.id}/{query.row}"
        assert query == msgspec.structs.replace(alone, row=query.row, id=id_)


def test_a_batch_need_not_hold_answers() -> None:
    for outputs in ({}, {"outputs": None}, {"outputs": [None, {}]}):
        batch = json.dumps({"at": 1, "input": None, "inputs": [[1], [2]], **outputs}).encode()
        assert [query.input for query in decode_all(batch)] == [[1.0], [2.0]]


def test_the_inputs_of_a_batch_may_be_nested() -> None:
    for asked in ([[1.0]], [[[1.0]]], [[[[1.0]]]], "text"):
        assert decode_all(record(input=None, inputs=[asked]))[0].input == asked


@pytest.mark.parametrize(
    ("changes", "reason", "said"),
    [
        ({"inputs": []}, "input", "`inputs` is empty"),
        ({"inputs": [[]]}, "input", "`input` is empty"),
        ({"inputs": [[1.0], []]}, "input", "`input` is empty"),
        ({"inputs": [1.0]}, "input", "got `float`"),
        ({"inputs": [[1.0], [None]]}, "input", "`$.inputs[1][0]`"),
        ({"inputs": [[[[[[1.0]]]]]]}, "depth", "`$.inputs[0][0][0][0][0]`"),
        ({"inputs": [[1.0]], "outputs": []}, "shape", "`outputs` holds 0, `inputs` 1"),
        ({"inputs": [[1.0]], "outputs": {}}, "shape", "got `object`"),
        ({"inputs": [[1.0]] * (MAX_ROWS + 1)}, "size", "more than 4096"),
        ({"inputs": None}, "input", "got `null`"),
        ({"inputs": [[1.0]], "at": -1}, "time", "outside 1970..2100"),
    ],
)
def test_a_batch_that_cannot_be_read(changes: dict[str, Any], reason: str, said: str) -> None:
    error = refusal(record(input=None, **changes))
    assert (error.reason, error.client) == (reason, "c")
    assert said in str(error)


def test_with_an_input_inputs_are_another_field() -> None:
    """Whatever kind of record came before."""
    batch, both = record(input=None, inputs=[[1.0], [2.0]]), record(inputs=[[7.0]])
    queries, sources, refused = decode_many([both, batch, both])
    assert [(query.input, query.row) for query in queries] == [([1.0], 0), ([1.0], 0), ([2.0], 1), ([1.0], 0)]
    assert (sources, refused) == ([0, 1, 1, 2], [])


def test_numbers_become_floats() -> None:
    numbers = decode(b'{"at": 1, "input": [1, -0.0, 9007199254740993, 123456789012345678901234567890]}').input
    assert [type(number) for number in numbers] == [float] * 4
    assert math.copysign(1, float(numbers[1])) == -1
    assert numbers[2:] == [9007199254740992.0, 1.2345678901234568e29]


def test_fields_of_nothing_are_absent() -> None:
    query = decode(record(client="", model=None, id="", groups={"organisation": None}, output={"probabilities": []}))
    assert query == Query(1_000_000, None, "default", [1.0])
    assert decode(record(client=None, id=None, groups={}, output=None)) == query


@pytest.mark.parametrize(
    ("written", "read"), [(True, 1), (False, 0), (3.0, 3), (-0.0, 0), (2**63 - 1, 2**63 - 1), ("3", "3"), (None, None)]
)
def test_labels(written: object, read: object) -> None:
    label = decode(record(output={"label": written})).label
    assert label == read
    assert type(label) is type(read)


@pytest.mark.parametrize(
    ("written", "read"),
    [({"b": 0.25, "a": 0.75}, [0.75, 0.25]), (0.5, [0.5]), (1, [1.0]), ([1, 0], [1.0, 0.0]), ({}, None), (0, [0.0])],
)
def test_probabilities(written: object, read: object) -> None:
    assert decode(record(output={"probabilities": written})).probabilities == read


def test_the_last_shape_of_input_may_change_at_any_record() -> None:
    inputs = [[1.0], [[1.0]], [[[1.0]]], [[[[1.0]]]], "text", [[1.0], [2.0, 3.0]], [1.0], [[], [1.0]], [[[1.0]], [[]]]]
    inputs += [{"a": 1.0}, {"a": "b", "c": None}]
    queries, sources, refused = decode_many([record(input=asked) for asked in inputs])
    assert [query.input for query in queries] == inputs
    assert sources == list(range(len(inputs)))
    assert not refused


@pytest.mark.parametrize(
    "payload",
    [
        b"",
        b"{",
        b'{"at": 1, "input": [1]}x',
        b"\xef\xbb\xbf{}",
        b'{"at": 1, "input": [NaN]}',
        b'{"at": 1, "input": "\\ud800"}',
    ],
)
def test_reason_json(payload: bytes) -> None:
    assert refusal(payload).reason == "json"


@pytest.mark.parametrize(
    "payload", [b'{"at": 1, "input": "\xff", "client": "c"}', b"\xff", '{"at": 1}'.encode("utf-16")]
)
def test_reason_encoding(payload: bytes) -> None:
    assert refusal(payload).reason == "encoding"


def test_reason_size() -> None:
    error = refusal(record() + b" " * MAX_BYTES)
    assert (error.reason, error.client) == ("size", "c")
    assert decode(record().ljust(MAX_BYTES)).client == "c"


@pytest.mark.parametrize("fields", [b'"input": %s', b'"input": [1], "trace": %s'])
def test_reason_depth(fields: bytes) -> None:
    deep = b"[" * 5_000 + b"1" + b"]" * 5_000
    error = refusal(b'{"at": 1, ' + fields % deep + b', "client": "c"}')
    assert (error.reason, error.client) == ("depth", "c")


def test_reason_depth_of_an_input_that_json_can_carry() -> None:
    assert refusal(record(input=[[[[[1.0]]]]])).reason == "depth"


@pytest.mark.parametrize("payload", [b"{}", b'{"at": 1}', b'{"input": [1]}', b'{"client": "c"}'])
def test_reason_missing(payload: bytes) -> None:
    assert refusal(payload).reason == "missing"


@pytest.mark.parametrize(
    "changes",
    [
        {"client": 1.5},
        {"client": True},
        {"model": 3},
        {"id": []},
        {"groups": "organisation"},
        {"groups": {"organisation": 1.5}},
        {"output": []},
        {"output": {"label": 1.5}},
        {"output": {"label": 2**63}},
        {"output": {"label": 1e30}},
        {"output": {"label": []}},
        {"output": {"probabilities": [0.5, None]}},
        {"output": {"probabilities": [7.0]}},
        {"output": {"probabilities": {"a": -1}}},
        {"output": {"probabilities": -1}},
        {"output": {"text": 1}},
        {"status": "failed"},
        {"status": 500},
        {"embedding": "0.5"},
        {"embedding": [None]},
        {"model_version": 1.5},
    ],
)
def test_reason_shape(changes: dict[str, Any]) -> None:
    assert refusal(record(**changes)).reason == "shape"


@pytest.mark.parametrize("payload", [b"[]", b"1", b'"text"', b"null"])
def test_reason_shape_of_what_is_no_object(payload: bytes) -> None:
    assert refusal(payload).reason == "shape"


@pytest.mark.parametrize(
    "at", [10**400, -(10**400), 1e308, -1e308, "yesterday", None, True, [1], -1, 1_726_000_000_000, 4_102_444_800.0]
)
def test_reason_time(at: object) -> None:
    error = refusal(record(at=at))
    assert (error.reason, error.client) == ("time", "c")


@pytest.mark.parametrize(
    "asked",
    [
        "[]",
        '""',
        "[[]]",
        "[[], [[]]]",
        "null",
        "[null]",
        "[1, null]",
        "[true]",
        "[[1, true]]",
        '["1"]',
        "[1, [2]]",
        "[[1], 2]",
        "[1e999]",
        "[[-1e999]]",
        "[" + "9" * 400 + "]",
        "1",
        "true",
        "{}",
        '{"a": [1]}',
        '{"a": {}}',
        "[{}]",
        '[{"role": "user"}]',
        '[{"role": "user", "content": ""}, {"role": "assistant", "content": "written"}]',
        '[{"role": "user", "content": [{"type": "image"}]}]',
        '[{"role": "user", "content": [1]}]',
        '[{"role": 1, "content": "text"}]',
        '[1, {"role": "user", "content": "text"}]',
    ],
)
def test_reason_input(asked: str) -> None:
    error = refusal(b'{"at": 1, "input": %s, "client": 5}' % asked.encode())
    assert (error.reason, error.client) == ("input", "5")


def test_the_refusal_says_where() -> None:
    assert str(refusal(record(input=[[1.0], [2.0, None]]))) == "Expected `float`, got `null` - at `$.input[1][1]`"
    assert str(refusal(record(input=[{"role": "user", "content": [{"text": 1}]}]))).endswith(
        "$.input[0].content[0].text`"
    )
    assert str(refusal(record(input=[{"content": "hi"}]))) == "Object missing required field `role` - at `$.input[0]`"
    assert "array` - at `$.input[...]`" in str(refusal(record(input={"a": []})))


def test_no_reason_is_left_untested() -> None:
    tested = {name.split("_")[2] for name in globals() if name.startswith("test_reason_")}
    assert tested == set(REASONS)


# -- chats

SYSTEM = {"role": "system", "content": "Be brief."}
HI, HOW = {"role": "user", "content": "Hi"}, {"role": "Human", "content": "How are you?"}
FINE = {"role": "assistant", "content": "Fine."}
CALL = {"role": "tool", "content": "21 degrees"}


@pytest.mark.parametrize(
    ("messages", "asked"),
    [
        ([HI], "Hi"),
        ([SYSTEM, HI, FINE, HOW], "How are you?"),
        ([SYSTEM, HI, FINE, HOW, HI], "How are you?\nHi"),
        ([HI, FINE, HOW, SYSTEM, HI], "How are you?\nHi"),
        ([HI, FINE, HOW, FINE], "How are you?"),
        ([HI, {"role": "model", "content": None}, CALL], "Hi"),
        ([HI, FINE, {"role": "user", "content": [{"type": "tool_result", "content": "21 degrees"}]}], "Hi"),
        ([{"role": "user", "content": [{"type": "text", "text": "a"}, {"type": "image", "url": "x"}, "b"]}], "a\nb"),
        ([SYSTEM], "Be brief."),
        ([SYSTEM, {"role": "user", "content": ""}, FINE], "Be brief."),
        ([{"role": "user", "name": "bob", "content": "Hi", "cache": {"a": [1]}}], "Hi"),
    ],
)
def test_of_a_chat_what_the_user_newly_wrote_is_asked(messages: list[object], asked: str) -> None:
    assert decode(record(input=messages)).input == asked
    assert [query.input for query in decode_all(record(input=None, inputs=[messages, messages]))] == [asked, asked]


def test_each_request_of_a_chat_asks_one_message_although_it_repeats_all_before_it() -> None:
    turns = [{"role": "user" if i % 2 == 0 else "assistant", "content": f"turn {i}"} for i in range(9)]
    requests = [record(input=[SYSTEM, *turns[: i + 1]]) for i in range(0, 9, 2)]
    assert [query.input for query in decode_many(requests)[0]] == [f"turn {i}" for i in range(0, 9, 2)]


@given(st.lists(st.sampled_from([SYSTEM, HI, HOW, FINE, CALL]), min_size=1).filter(lambda all_: HI in all_))
def test_who_asks_is_read_whatever_stands_around_it(messages: list[object]) -> None:
    asked = decode(record(input=messages)).input
    assert isinstance(asked, str)
    assert set(asked.split("\n")) <= {"Hi", "How are you?"}


def test_named_values_and_an_embedding_are_kept() -> None:
    row = {"age": 41, "work": "nurse", "owner": True, "debt": None}
    query = decode(record(input=row, embedding=[1, 0.5]))
    assert (query.input, query.embedding) == (row, [1.0, 0.5])
    assert decode(record(embedding=[])).embedding is decode(record(embedding=None)).embedding is None


# -- what can be read of a record that cannot


@pytest.mark.parametrize(
    ("payload", "at", "model", "version", "answered"),
    [
        (b'{"at": 1.5, "client": "c", "input": {}}', 1_500_000, "default", None, True),
        (b'{"client": "c", "model": "m", "input": NaN, "at": "1970-01-01T00:00:01Z"}', 1_000_000, "m", None, True),
        (b'{"client": "c", "at": 2, "model_version": 7, "input": [1, ', 2_000_000, None, "7", True),
        (b'{"client": "c", "status": "error", "at": 2, "input": null}', 2_000_000, "default", None, False),
        (b'{"client": "c", "input": [], "at": 2, "model": "m", "status": "error"}', 2_000_000, "m", None, False),
        (b'{"client": "c", "at": 1e300, "input": {}}', None, "default", None, True),
        (b'{"client": "c", "at": ' + b"9" * 400 + b', "input": {}}', None, "default", None, True),
        (b'{"client": "c", "at": "yesterday", "input": {}}', None, "default", None, True),
        (b'{"client": "c", "at": [1], "model": 3.5, "input": {}}', None, None, None, True),
        (b'{"client": "c", "at": 4102444800, "input": [1]}', None, "default", None, True),
        (b'{"client": "c", "input": {"at": 1}}', None, "default", None, True),
        (b'{"client": "c", "input": ["\\"at\\": 1', None, None, None, True),
    ],
)
def test_a_refusal_tells_when_and_what_was_asked_where_that_can_be_read(
    payload: bytes, at: int | None, model: str | None, version: str | None, answered: bool
) -> None:
    error = refusal(payload)
    assert (error.client, error.at, error.model, error.version, error.answered) == ("c", at, model, version, answered)


@given(token=st.binary() | st.floats().map(repr).map(str.encode) | st.integers().map(str).map(str.encode))
def test_any_time_of_a_refused_record_is_in_range_or_none(token: bytes) -> None:
    for _, error in decode_many([b'{"client": "c", "at": ' + token + b', "input": {}}'])[2]:
        assert error.at is None or 0 <= error.at < 4_102_444_800_000_000
