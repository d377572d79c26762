"""What every log format keeps, whatever the bytes are."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from detector.logs import DECODERS
from detector.logs.contract import REASONS, Decode

JSON_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text() | st.sampled_from(["at", "input", "client"]), inner),
    max_leaves=20,
)
FIELDS = ("at", "input", "client", "model", "id", "groups", "output", "embedding")
MESSAGES = st.lists(st.dictionaries(st.sampled_from(["role", "content"]), JSON_VALUES), max_size=3)
RECORDS = st.dictionaries(st.sampled_from(FIELDS), JSON_VALUES | MESSAGES)
PAYLOADS = st.binary() | (JSON_VALUES | RECORDS).map(json.dumps).map(str.encode)


@pytest.fixture(params=sorted(DECODERS))
def decode(request: pytest.FixtureRequest) -> Decode:
    return DECODERS[request.param]


@pytest.mark.parametrize("name", sorted(DECODERS))
@given(payloads=st.lists(PAYLOADS, max_size=8))
def test_nothing_is_raised_and_every_answer_names_its_payload(name: str, payloads: list[bytes]) -> None:
    queries, sources, refused = DECODERS[name](payloads)
    assert len(queries) == len(sources)
    assert sources == sorted(sources)
    refused_at = [index for index, _ in refused]
    assert len(set(refused_at)) == len(refused_at)
    assert {*sources, *refused_at} <= set(range(len(payloads)))
    assert {error.reason for _, error in refused} <= set(REASONS)


def test_no_payloads_give_nothing(decode: Decode) -> None:
    assert decode([]) == ([], [], [])


@pytest.mark.parametrize("opening", [b"[", b'{"a":', b'{"input":', b'{"at":1,"x":', b'{"at":1,"input":['])
@pytest.mark.parametrize("depth", [500, 5_000, 1_000_000])
def test_deep_nesting_is_refused_or_ignored(decode: Decode, opening: bytes, depth: int) -> None:
    queries, _, refused = decode([opening * depth])
    assert not queries
    assert len(refused) == 1


def test_a_broken_record_stops_no_other(decode: Decode) -> None:
    _, _, refused = decode([b"{", b"\xff", b"{"])
    assert [index for index, _ in refused] == [0, 1, 2]
