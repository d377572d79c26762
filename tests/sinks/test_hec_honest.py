"""Clients that are not ours take our collector for Splunk: what it asks for they send, what it says they read."""

from __future__ import annotations

import pytest

from tests.servers.hec import HecServer, coded
from tests.servers.hec.foreign import send_with_npm, send_with_pypi
from tests.sinks.conftest import TOKEN

pytestmark = pytest.mark.server


def test_splunks_javascript_client_sends_a_batch(hec: HecServer) -> None:
    answer = send_with_npm(hec.url, TOKEN, {"n": 1}, "two", {"n": [3]})
    assert answer == {"error": None, "status": 200, "body": {"text": "Success", "code": 0}}
    assert [event["event"]["message"] for event in hec.events] == [{"n": 1}, "two", {"n": [3]}]
    assert {event["sourcetype"] for event in hec.events} == {"foreign:json"}
    assert len(hec.requests) == 1


@pytest.mark.parametrize(
    ("code", "status"), [(1, 403), (4, 403), (6, 400), (7, 400), (9, 503), (10, 400), (13, 400), (18, 503)]
)
def test_splunks_javascript_client_reads_every_answer(hec: HecServer, code: int, status: int) -> None:
    hec.script.append(coded(code, event=0))
    answer = send_with_npm(hec.url, TOKEN, {"n": 1})
    assert (answer["status"], answer["body"]["code"]) == (status, code)


def test_splunks_javascript_client_with_a_wrong_token_is_told_so(hec: HecServer) -> None:
    answer = send_with_npm(hec.url, "00000000-0000-0000-0000-000000000000", {"n": 1})
    assert answer["body"] == {"text": "Invalid token", "code": 4}
    assert hec.events == []


def test_the_raw_endpoint_wants_a_channel(hec: HecServer) -> None:
    answer = send_with_npm(hec.url, TOKEN, {"n": 1}, path="/services/collector/raw")
    assert answer["body"] == {"text": "Data channel is missing", "code": 10}
    channel = "FE0ECFAD-13D5-401B-847D-77833BD77131"
    answer = send_with_npm(hec.url, TOKEN, {"n": 1}, path=f"/services/collector/raw?channel={channel}")
    assert answer["body"] == {"text": "Success", "code": 0}


def test_a_token_with_acknowledgement_wants_a_channel_and_gives_ids(hec: HecServer) -> None:
    hec.acknowledges = True
    assert send_with_npm(hec.url, TOKEN, {"n": 1})["body"]["code"] == 10
    path = "/services/collector/event/1.0?channel=FE0ECFAD-13D5-401B-847D-77833BD77131"
    assert [send_with_npm(hec.url, TOKEN, {"n": 1}, path=path)["body"]["ackId"] for _ in range(2)] == [0, 1]


def test_a_python_handler_sends_events(hec: HecServer) -> None:
    said = send_with_pypi(hec.port, TOKEN, {"n": 1, "time": 1533530023.25}, {"n": 2, "fields": {"colour": "yellow"}})
    assert said == ""
    first, second = hec.events
    assert (first["event"]["n"], first["time"], first["source"]) == (1, 1533530023.25, "foreign")
    assert second["fields"] == {"colour": "yellow"}


@pytest.mark.parametrize(("token", "endpoint", "said"), [("wrong", "event", "403"), (TOKEN, "raw", "400")])
def test_a_python_handler_is_refused(hec: HecServer, token: str, endpoint: str, said: str) -> None:
    assert f"HTTPError: {said}" in send_with_pypi(hec.port, token, {"n": 1}, endpoint=endpoint)
    assert hec.events == []
