"""Our stand-in for Splunk's collector is strict: it refuses what Splunk refuses, with its code and event number."""

from __future__ import annotations

import gzip
import http.client
import json
from typing import Any

import pytest

from tests.servers.hec import HecServer
from tests.servers.hec.answers import TEXTS
from tests.sinks.conftest import TOKEN

CHANNEL = "FE0ECFAD-13D5-401B-847D-77833BD77131"
GOOD = b'{"event":"a"}'


def ask(hec: HecServer, path: str, body: bytes = GOOD, method: str = "POST", **headers: str) -> tuple[int, Any]:
    """Header names with `_` for `-`; the token is sent unless another Authorization is given."""
    connection = http.client.HTTPConnection("127.0.0.1", hec.port, timeout=10)
    told = {"Authorization": f"Splunk {TOKEN}"} | {name.replace("_", "-"): value for name, value in headers.items()}
    connection.request(method, path, body, {name: value for name, value in told.items() if value})
    answer = connection.getresponse()
    body = answer.read()
    connection.close()
    return answer.status, json.loads(body) if body.startswith(b"{") else body


def post(hec: HecServer, body: bytes = GOOD, **headers: str) -> tuple[int, int | None]:
    """Code, and the number of the event at fault."""
    status, told = ask(hec, "/services/collector/event", body, **headers)
    assert status == TEXTS[told["code"]][0]
    return told["code"], told.get("invalid-event-number")


@pytest.mark.parametrize(
    "authorization", ["", f"Splunk {TOKEN}x", f"Bearer {TOKEN}", TOKEN, "Splunk", f"splunk {TOKEN}"]
)
def test_a_request_without_the_token_is_refused(hec: HecServer, authorization: str) -> None:
    code, _ = post(hec, Authorization=authorization)
    assert code == (2 if not authorization else 4 if authorization.startswith("Splunk ") else 3)
    assert hec.events == []


def test_a_token_in_the_address_is_refused(hec: HecServer) -> None:
    assert ask(hec, f"/services/collector/event?token={TOKEN}", Authorization="")[1]["code"] == 16


@pytest.mark.parametrize(
    ("body", "answer"),
    [
        (GOOD * 3, (0, None)),
        (GOOD + b"\n " + GOOD + b"\n", (0, None)),
        (b"", (5, None)),
        (b" \n", (5, None)),
        (b"[" + GOOD + b"]", (6, 0)),
        (GOOD + b"," + GOOD, (6, 1)),
        (GOOD + GOOD + b"x", (6, 2)),
        (GOOD + b'{"event":', (6, 1)),
        (b'{"event":NaN}', (6, 0)),
        (b'"text"', (6, 0)),
        (b"\xff", (6, 0)),
        (GOOD + b'{"event":"a","time":"yesterday"}', (6, 1)),
        (GOOD + b'{"event":"a","severity":"high"}', (6, 1)),
        (GOOD + b'{"time":1}', (12, 1)),
        (b'{"event":""}', (13, 0)),
        (b'{"event":null}', (13, 0)),
        (GOOD + b'{"event":"a","fields":{"a":{"b":1}}}', (15, 1)),
    ],
)
def test_a_body_is_objects_one_after_another(hec: HecServer, body: bytes, answer: tuple[int, int | None]) -> None:
    assert post(hec, body) == answer
    assert (len(hec.events) > 0) == (answer[0] == 0)  # all or nothing


def test_an_index_that_the_token_may_not_use_is_refused(hec: HecServer) -> None:
    hec.indexes = {"main"}
    assert post(hec, GOOD + b'{"event":"a","index":"other"}') == (7, 1)


def test_gzip_is_what_it_says(hec: HecServer) -> None:
    assert post(hec, gzip.compress(GOOD), Content_Encoding="gzip") == (0, None)
    assert post(hec, GOOD, Content_Encoding="gzip") == (6, None)
    assert post(hec, gzip.compress(GOOD))[0] == 6
    assert post(hec, GOOD, Content_Encoding="br") == (6, None)


def test_other_addresses_are_not_found(hec: HecServer) -> None:
    for method, path in [("GET", "/services/collector/event"), ("POST", "/"), ("POST", "/services/collector/events")]:
        assert ask(hec, path, method=method)[0] == 404


def test_a_channel_is_a_guid_and_asked_for_where_acknowledgement_is_on(hec: HecServer) -> None:
    hec.acknowledges = True
    assert post(hec) == (10, None)
    assert post(hec, X_Splunk_Request_Channel="mine") == (11, None)
    assert post(hec, X_Splunk_Request_Channel=CHANNEL) == (0, None)


def acked(hec: HecServer, channel: str, *numbers: int) -> dict[str, bool]:
    body = json.dumps({"acks": numbers}).encode()
    told: dict[str, bool] = ask(hec, "/services/collector/ack", body, X_Splunk_Request_Channel=channel)[1]["acks"]
    return told


def test_an_ack_is_of_its_channel_true_once_indexed_and_told_once(hec: HecServer) -> None:
    hec.acknowledges, hec.indexing = True, False
    other = CHANNEL.replace("FE", "AA")
    for channel, number in ((CHANNEL, 0), (CHANNEL, 1), (other, 0)):
        assert ask(hec, "/services/collector", X_Splunk_Request_Channel=channel)[1]["ackId"] == number
    assert acked(hec, CHANNEL, 0, 1, 7) == {"0": False, "1": False, "7": False}
    hec.index()
    assert acked(hec, CHANNEL, 0) == {"0": True}
    assert acked(hec, CHANNEL, 0, 1) == {"0": False, "1": True}
    assert acked(hec, other, 0, 1) == {"0": True, "1": False}


def test_acks_are_refused_where_they_are_off_or_not_asked_for_rightly(hec: HecServer) -> None:
    body = b'{"acks":[0]}'
    assert ask(hec, "/services/collector/ack", body, X_Splunk_Request_Channel=CHANNEL)[1]["code"] == 14
    hec.acknowledges = True
    assert ask(hec, "/services/collector/ack", body)[1]["code"] == 10
    for wrong in (b"{}", b'{"acks":["0"]}', b"[0]"):
        assert ask(hec, "/services/collector/ack", wrong, X_Splunk_Request_Channel=CHANNEL)[1]["code"] == 6
