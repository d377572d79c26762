"""The Splunk sink against a strict collector: what is sent, and what is done on each answer that there is."""

from __future__ import annotations

import gzip
import hashlib
import json
import ssl
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from detector.errors import SinkBusy, SinkRefused
from detector.secret import Secret
from sinks.contract import Delivery, Refusal
from sinks.splunk_hec import SplunkHecSettings
from sinks.splunk_hec_sink import SplunkHecSink
from tests.servers.hec import SILENCE, SWALLOWED, HecServer, Reply, coded
from tests.servers.hec.protocol import events_of
from tests.sinks.alerts import alert, golden
from tests.sinks.conftest import TOKEN, TOKEN_IN

Open = Callable[..., SplunkHecSink]
BEFORE_1970 = "1969-12-31T23:59:59Z"  # the collector takes no such time: code 6


@pytest.fixture
def open_sink(hec: HecServer) -> Iterator[Open]:
    opened: list[SplunkHecSink] = []

    def open_one(**settings: Any) -> SplunkHecSink:
        told = {"url": hec.url, "token": Secret(env=TOKEN_IN), **settings}
        opened.append(SplunkHecSettings(**told).open())
        return opened[-1]

    yield open_one
    for sink in opened:
        sink.close()


@pytest.fixture
def sink(open_sink: Open) -> SplunkHecSink:
    return open_sink()


def ids(*numbers: int) -> list[str]:
    return [alert(number).id for number in numbers]


def test_alerts_arrive_in_their_order(hec: HecServer, sink: SplunkHecSink) -> None:
    assert sink.deliver([alert(2), alert(1), alert(3)]) == Delivery()
    assert hec.ids() == ids(2, 1, 3)


def test_every_shape_of_alert_is_taken(hec: HecServer, sink: SplunkHecSink) -> None:
    assert sink.deliver(golden()) == Delivery()
    assert hec.ids() == [one.id for one in golden()]


def test_a_request_is_exactly_what_the_collector_asks_for(hec: HecServer, sink: SplunkHecSink) -> None:
    sink.deliver([alert(1), alert(2)])
    (request,) = hec.requests
    assert (request.method, request.path, request.query) == ("POST", "/services/collector/event", {})
    assert request.headers["authorization"] == f"Splunk {TOKEN}"
    assert request.headers["content-type"] == "application/json"
    assert request.headers["content-encoding"] == "gzip"
    assert "x-splunk-request-channel" not in request.headers
    body = gzip.decompress(request.body)
    assert body.startswith(b'{"time":1772366400.0,')
    assert body.endswith(b"}}")
    assert len(events_of(body, indexes=None)) == 2


def test_metadata_is_what_was_set(hec: HecServer, open_sink: Open) -> None:
    open_sink().deliver([alert(1)])
    open_sink(index="security", host="qw-1", source="fraud", sourcetype="x").deliver([alert(2, at="no time")])
    first, second = ({key: value for key, value in event.items() if key != "event"} for event in hec.events)
    assert first == {"time": 1772366400.0, "source": "querywarden", "sourcetype": "querywarden:alert"}
    assert second == {"index": "security", "host": "qw-1", "source": "fraud", "sourcetype": "x"}


@pytest.mark.parametrize(
    "path", ["", "/", "/services/collector", "/services/collector/event/", "/services/collector/event/1.0"]
)
def test_the_address_may_name_the_endpoint(hec: HecServer, open_sink: Open, path: str) -> None:
    sink = open_sink(url=hec.url + path)
    sink.check()
    sink.deliver([alert(1)])
    assert [request.path for request in hec.requests] == ["/services/collector/health", "/services/collector/event"]


def test_a_proxys_path_stays_before_it() -> None:
    settings = SplunkHecSettings(url="https://proxy.example/splunk/services/collector", token=Secret(env="T"))
    assert settings.root == "https://proxy.example/splunk/services/collector"


def test_without_compression_the_body_is_plain(hec: HecServer, open_sink: Open) -> None:
    open_sink(compress=False).deliver([alert(1)])
    assert "content-encoding" not in hec.requests[0].headers
    assert json.loads(hec.requests[0].body)["event"]["id"] == alert(1).id


def test_one_connection_is_kept(hec: HecServer, sink: SplunkHecSink) -> None:
    for number in range(5):
        sink.deliver([alert(number)])
    assert len({request.connection for request in hec.requests}) == 1


def test_a_batch_goes_in_parts_of_at_most_so_many_bytes(hec: HecServer, open_sink: Open) -> None:
    sink = open_sink(max_bytes=2_500)
    assert sink.deliver([alert(number) for number in range(7)]) == Delivery()
    sizes = [len(gzip.decompress(request.body)) for request in hec.requests]
    assert len(sizes) == 4
    assert max(sizes) <= 2_500
    assert hec.ids() == ids(*range(7))


def test_an_event_that_is_larger_alone_is_for_the_collector_to_judge(hec: HecServer, open_sink: Open) -> None:
    assert open_sink(max_bytes=10).deliver([alert(1), alert(2)]) == Delivery()
    assert len(hec.requests) == 2


# What each answer means


@pytest.mark.parametrize("code", [1, 2, 3, 4, 21, 22])
def test_a_token_that_is_not_taken_holds_the_queue(hec: HecServer, sink: SplunkHecSink, code: int) -> None:
    hec.script.append(coded(code))
    with pytest.raises(SinkRefused, match=rf"code {code} .*`token`") as caught:
        sink.deliver([alert(1)])
    assert TOKEN not in str(caught.value)
    assert sink.deliver([alert(1)]) == Delivery()


def test_a_disabled_and_a_wrong_token_hold_the_queue(
    hec: HecServer, open_sink: Open, monkeypatch: pytest.MonkeyPatch
) -> None:
    hec.disabled = True
    with pytest.raises(SinkRefused, match="code 1 "):
        open_sink().deliver([alert(1)])
    monkeypatch.setenv(TOKEN_IN, "another")
    with pytest.raises(SinkRefused, match="code 4 ") as caught:
        open_sink().deliver([alert(1)])
    assert "another" not in str(caught.value)
    assert hec.events == []


@pytest.mark.parametrize("code", [5, 7, 10, 11, 14, 15, 16])
def test_a_wrong_configuration_holds_the_queue_and_says_so(hec: HecServer, sink: SplunkHecSink, code: int) -> None:
    hec.script.append(coded(code, event=0))
    with pytest.raises(SinkRefused, match=f"answers 400, code {code} "):
        sink.deliver([alert(1), alert(2)])
    assert sink.deliver([alert(1), alert(2)]) == Delivery()
    assert hec.ids() == ids(1, 2)


def test_an_index_that_the_token_may_not_use_holds_the_queue(hec: HecServer, open_sink: Open) -> None:
    hec.indexes = {"main"}
    with pytest.raises(SinkRefused, match="see `index`"):
        open_sink(index="security").deliver([alert(1)])
    assert open_sink(index="main").deliver([alert(1)]) == Delivery()


@pytest.mark.parametrize("code", [8, 9, 18, 19, 20, 23])
def test_a_busy_collector_gets_it_again(hec: HecServer, sink: SplunkHecSink, code: int) -> None:
    hec.script.append(coded(code, headers={"Retry-After": "7"}))
    with pytest.raises(SinkBusy, match=f"code {code} ") as caught:
        sink.deliver([alert(1)])
    assert caught.value.retry_after_s == 7.0


@pytest.mark.parametrize("status", [408, 429, 500, 502, 503, 504, 599])
def test_a_busy_proxy_gets_it_again(hec: HecServer, sink: SplunkHecSink, status: int) -> None:
    hec.script.append(Reply(status, b"<html>busy</html>", {"Content-Type": "text/html"}))
    with pytest.raises(SinkBusy, match=rf"answers {status} \(<html>busy") as caught:
        sink.deliver([alert(1)])
    assert caught.value.retry_after_s is None


@pytest.mark.parametrize("when", ["Fri, 31 Dec 1999 23:59:59 GMT", "soon", "-1"])
def test_a_retry_after_that_is_over_or_no_time_does_no_harm(hec: HecServer, sink: SplunkHecSink, when: str) -> None:
    hec.script.append(Reply(503, b"", {"Retry-After": when}))
    with pytest.raises(SinkBusy) as caught:
        sink.deliver([alert(1)])
    assert caught.value.retry_after_s in (None, 0.0)


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"<html>log in</html>",
        b"{}",
        b"[]",
        b'{"text":"Success"}',
        b'{"text":"Success","code":"0"}',
        b'{"text":"Success","code":false}',
        b'{"text":"Server is busy","code":6}',
        b'{"text":"HEC is healthy","code":17}',
        b"\xff",
    ],
)
def test_a_200_that_is_not_the_collectors_success_holds_the_queue(
    hec: HecServer, sink: SplunkHecSink, body: bytes
) -> None:
    hec.script.append(Reply(200, body))
    with pytest.raises(SinkRefused, match="answers 200"):
        sink.deliver([alert(1)])


def test_a_200_that_says_busy_is_busy(hec: HecServer, sink: SplunkHecSink) -> None:
    hec.script.append(Reply(200, b'{"text":"Server is busy","code":9}'))
    with pytest.raises(SinkBusy):
        sink.deliver([alert(1)])


@pytest.mark.parametrize("status", [201, 204, 400, 401, 403, 404, 405, 411])
def test_any_other_answer_holds_the_queue(hec: HecServer, sink: SplunkHecSink, status: int) -> None:
    hec.script.append(Reply(status, b"" if status == 204 else b"what?"))
    with pytest.raises(SinkRefused, match=f"answers {status}"):
        sink.deliver([alert(1)])


@pytest.mark.parametrize("status", [301, 302, 307, 308])
def test_a_redirect_is_not_followed(hec: HecServer, sink: SplunkHecSink, status: int) -> None:
    with HecServer(TOKEN) as other:
        hec.script.append(Reply(status, b"", {"Location": f"{other.url}/services/collector/event"}))
        with pytest.raises(SinkRefused, match=f"answers {status}.*redirect"):
            sink.deliver([alert(1)])
        assert other.requests == []


# One event at fault


@pytest.mark.parametrize("bad", [0, 1, 2])
@pytest.mark.parametrize("keeps", [False, True])
def test_one_bad_event_is_refused_alone(hec: HecServer, sink: SplunkHecSink, bad: int, keeps: bool) -> None:
    hec.keeps_before_fault = keeps
    alerts = [alert(number, at=BEFORE_1970 if number == bad else "2026-03-01T12:00:00Z") for number in range(3)]
    delivery = sink.deliver(alerts)
    assert delivery == Delivery(refused=(Refusal(alert(bad).id, "Splunk answers 400, code 6 (Invalid data format)"),))
    assert list(dict.fromkeys(hec.ids())) == [one for one in ids(0, 1, 2) if one != alert(bad).id]


@pytest.mark.parametrize("code", [6, 12, 13])
def test_the_number_of_the_event_counts_from_0(hec: HecServer, sink: SplunkHecSink, code: int) -> None:
    hec.script.append(coded(code, event=1))
    delivery = sink.deliver([alert(1), alert(2), alert(3)])
    assert [refusal.alert_id for refusal in delivery.refused] == ids(2)
    assert hec.ids() == ids(1, 3)


@pytest.mark.parametrize("named", [None, 7, -1])
def test_where_no_event_is_named_halves_find_it(hec: HecServer, sink: SplunkHecSink, named: int | None) -> None:
    fault = coded(6, event=named)
    hec.script.extend([fault, None, fault, fault])  # of 0 1 2 3: 0 1 taken, 2 3 at fault, 2 at fault, 3 taken
    delivery = sink.deliver([alert(number) for number in range(4)])
    assert [refusal.alert_id for refusal in delivery.refused] == ids(2)
    assert hec.ids() == ids(0, 1, 3)


def test_all_may_be_bad(hec: HecServer, sink: SplunkHecSink) -> None:
    alerts = [alert(number, at=BEFORE_1970) for number in range(5)]
    assert [refusal.alert_id for refusal in sink.deliver(alerts).refused] == ids(*range(5))
    assert hec.events == []


def test_the_others_of_a_bad_one_come_again_when_the_collector_is_busy_then(
    hec: HecServer, sink: SplunkHecSink
) -> None:
    hec.script.extend([coded(6, event=0), coded(9, headers={"Retry-After": "3"})])
    delivery = sink.deliver([alert(1), alert(2), alert(3)])
    assert (delivery.retry, delivery.retry_after_s) == (tuple(ids(2, 3)), 3.0)
    assert [refusal.alert_id for refusal in delivery.refused] == ids(1)


@pytest.mark.parametrize("then", [coded(9), coded(4), SILENCE])
def test_what_follows_an_unanswered_part_does_not_overtake_it(hec: HecServer, open_sink: Open, then: Reply) -> None:
    sink = open_sink(max_bytes=10)
    hec.script.extend([None, then])
    assert sink.deliver([alert(1), alert(2), alert(3)]).retry == tuple(ids(2, 3))
    assert sink.deliver([alert(2), alert(3)]) == Delivery()
    assert hec.ids() == ids(1, 2, 3)


def test_a_large_request_is_halved_until_it_fits(hec: HecServer, open_sink: Open) -> None:
    hec.largest = 2_500
    delivery = open_sink(compress=False).deliver([*(alert(n) for n in range(5)), alert(9, message="x" * 9_000)])
    assert [refusal.alert_id for refusal in delivery.refused] == ids(9)
    assert "413" in delivery.refused[0].reason
    assert hec.ids() == ids(*range(5))


def test_a_token_that_is_refused_after_halving_is_said(hec: HecServer, sink: SplunkHecSink) -> None:
    hec.script.extend([Reply(413, b""), coded(4)])
    with pytest.raises(SinkRefused, match="code 4 "):  # nothing has arrived
        sink.deliver([alert(1), alert(2)])


# The connection


def test_a_collector_that_is_away_is_busy(hec: HecServer, sink: SplunkHecSink) -> None:
    sink.deliver([alert(1)])
    hec.stop()
    for call in (sink.check, lambda: sink.deliver([alert(2)])):
        with pytest.raises(SinkBusy, match="cannot be reached"):
            call()
    hec.start()
    assert sink.deliver([alert(2)]) == Delivery()
    assert hec.ids() == ids(1, 2)


def test_a_request_without_an_answer_comes_again(hec: HecServer, sink: SplunkHecSink) -> None:
    hec.script.append(SWALLOWED)
    with pytest.raises(SinkBusy, match="cannot be reached"):
        sink.deliver([alert(1)])
    assert sink.deliver([alert(1)]) == Delivery()
    assert hec.ids() == ids(1, 1)  # Splunk cannot tell; `id` can


def test_a_collector_that_hangs_is_busy(hec: HecServer, open_sink: Open) -> None:
    sink = open_sink(timeout_s=0.2)
    with hec._lock, pytest.raises(SinkBusy, match=r"within 0\.2 s"):
        sink.deliver([alert(1)])


def test_check_asks_for_health(hec: HecServer, sink: SplunkHecSink) -> None:
    assert sink.check() == "Splunk's HTTP Event Collector is healthy"
    for code in (18, 19, 20):
        hec.health = code
        with pytest.raises(SinkBusy, match=f"code {code} "):
            sink.check()
    for code in (0, 21, 22):
        hec.health = code
        with pytest.raises(SinkRefused):
            sink.check()


def test_tls_is_verified_by_file_by_fingerprint_or_not_at_all(
    certificate: Path, open_sink: Open, recwarn: pytest.WarningsRecorder
) -> None:
    der = ssl.PEM_cert_to_DER_cert(certificate.read_text())
    right, wrong = hashlib.sha256(der).hexdigest(), "aa" * 32
    with HecServer(TOKEN, tls=(certificate, certificate.with_suffix(".key"))) as hec:
        for tls in ({"ca_certs": str(certificate)}, {"ssl_assert_fingerprint": right}, {"verify": False}):
            assert open_sink(url=hec.url, **tls).deliver([alert(1)]) == Delivery()
        for tls in ({}, {"ssl_assert_fingerprint": wrong}):
            with pytest.raises(SinkRefused, match="no trusted connection"):
                open_sink(url=hec.url, **tls).deliver([alert(1)])
    assert not recwarn.list


def test_the_token_is_in_no_error(hec: HecServer, open_sink: Open) -> None:
    sink = open_sink()
    said = []
    for reply in (coded(4), coded(9), coded(7), Reply(302, b""), SILENCE):
        hec.script.append(reply)
        with pytest.raises((SinkBusy, SinkRefused)) as caught:
            sink.deliver([alert(1)])
        said.append(f"{caught.value} {caught.value.__cause__!r}")
    assert TOKEN not in " ".join([*said, repr(sink), repr(sink._collector)])
