from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from detector.logs.identity import client_of_broken


@pytest.mark.parametrize(
    ("payload", "client"),
    [
        (b'{"client": "a", "input": [1, ', "a"),
        (b'{ "client" : 17 , "input": [', "17"),
        (b'{"input": ' + b"[" * 100_000 + b"]" * 100_000 + b', "client": "a"}', "a"),
        (b'{"input": ' + b'{"x":[' * 9_000 + b"]}" * 9_000 + b', "client": "a"}', "a"),
        (b'{"input": NaN, "client": "a"}', "a"),
        (b'{"input": "\xff", "client": "a"}', "a"),
        (b'{"input": "\\ud800", "client": "\\u0061"}', "a"),
        (b'{"groups": {"client": "b"}, "client": "a", ', "a"),
        (b'{"input": [{"client": "b"}], ', None),
        (b'{"input": "\\"client\\": \\"b\\"', None),
        (b'{"client": "a', None),
        (b'{"client": null, ', None),
        (b'{"client": "", ', None),
        (b'{"client": ["b"], ', None),
        (b'{"client": "\xff", ', None),
        (b'{"id": "client", "input": ', None),
        (b'["client", "b"', None),
        (b"", None),
    ],
)
def test_found_at_depth_one_only(payload: bytes, client: str | None) -> None:
    assert client_of_broken(payload) == client


@given(asked=st.text(), cut=st.integers(0, 400))
def test_no_text_that_is_asked_can_name_another_client(asked: str, cut: int) -> None:
    text = f'{asked}","client":"victim","x":"\\","client":"victim"}}, "client": "victim"'
    assert client_of_broken(json.dumps({"input": text}).encode()[:cut]) is None


@given(st.binary())
def test_any_bytes_are_walked(payload: bytes) -> None:
    client_of_broken(b'{"client": ' + payload)
