"""Indexer acknowledgement against a strict collector, with a clock that the test moves."""

from __future__ import annotations

import json
import uuid
from collections.abc import Callable, Iterator

import pytest

from detector.errors import SinkBusy, SinkRefused
from detector.secret import Secret
from sinks.contract import Delivery
from sinks.splunk_hec import SplunkHecSettings
from sinks.splunk_hec_acks import Acknowledgements
from sinks.splunk_hec_collector import Collector
from sinks.splunk_hec_sink import SplunkHecSink
from tests.servers.hec import SWALLOWED, HecServer, Reply, coded
from tests.sinks.alerts import alert
from tests.sinks.conftest import TOKEN, TOKEN_IN

CHANNEL = str(uuid.UUID(int=7))


class Hand:
    """A clock that moves only when somebody sleeps; `at` runs something when that much time has passed."""

    def __init__(self) -> None:
        self.now = 1_000.0
        self.at: dict[float, Callable[[], object]] = {}

    def monotonic(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.now += seconds
        for when in [when for when in self.at if self.now - 1_000.0 >= when]:
            self.at.pop(when)()


@pytest.fixture
def hand() -> Hand:
    return Hand()


@pytest.fixture
def sink(hec: HecServer, hand: Hand) -> Iterator[SplunkHecSink]:
    hec.acknowledges = True
    settings = SplunkHecSettings(url=hec.url, token=Secret(env=TOKEN_IN), acknowledge=True, max_bytes=10)
    collector = Collector(settings.root, TOKEN, timeout_s=5.0, compress=True, channel=CHANNEL)
    acks = Acknowledgements(collector.acks, timeout_s=30.0, monotonic=hand.monotonic, sleep=hand.sleep)
    sink = SplunkHecSink(settings, collector, acks)
    yield sink
    sink.close()


def ids(*numbers: int) -> list[str]:
    return [alert(number).id for number in numbers]


def polls(hec: HecServer) -> list[list[int]]:
    return [json.loads(one.body)["acks"] for one in hec.requests if one.path == "/services/collector/ack"]


def test_the_settings_make_a_channel(hec: HecServer) -> None:
    hec.acknowledges = True
    sink = SplunkHecSettings(url=hec.url, token=Secret(env=TOKEN_IN), acknowledge=True).open()
    assert sink.check().endswith("and acknowledges")
    assert sink.deliver([alert(1)]) == Delivery()
    sink.close()
    channels = {request.headers["x-splunk-request-channel"] for request in hec.requests}
    assert len(channels) == 1
    assert uuid.UUID(channels.pop()).version == 4


def test_alerts_that_are_indexed_at_once_are_asked_for_together(hec: HecServer, sink: SplunkHecSink) -> None:
    assert sink.deliver([alert(1), alert(2)]) == Delivery()
    assert polls(hec) == [[0, 1]]


def test_it_waits_until_all_are_indexed(hec: HecServer, sink: SplunkHecSink, hand: Hand) -> None:
    hec.indexing = False
    hand.at[12.0] = hec.index
    assert sink.deliver([alert(1), alert(2)]) == Delivery()
    assert hand.now == 1_012.0
    assert hec.ids() == ids(1, 2)


def test_what_is_not_indexed_in_time_comes_again_and_is_sent_again(
    hec: HecServer, sink: SplunkHecSink, hand: Hand
) -> None:
    hec.indexing = False
    assert sink.deliver([alert(1), alert(2)]) == Delivery(retry=tuple(ids(1, 2)))
    assert hand.now == 1_030.0
    hec.indexing = True
    assert sink.deliver([alert(1), alert(2)]) == Delivery()
    assert hec.ids() == ids(1, 2, 1, 2)


def test_only_the_part_that_is_not_indexed_comes_again(hec: HecServer, sink: SplunkHecSink) -> None:
    hec.indexing = False
    real = hec._take

    def first_part_only(request: object) -> Reply:
        reply = real(request)  # type: ignore[arg-type]
        if len(hec.events) == 1:
            for acks in hec._acks.values():
                acks.update(dict.fromkeys(acks, True))
        return reply

    hec._take = first_part_only  # type: ignore[assignment]
    assert sink.deliver([alert(1), alert(2), alert(3)]) == Delivery(retry=tuple(ids(2, 3)))


def test_what_was_indexed_late_is_not_sent_again(hec: HecServer, sink: SplunkHecSink) -> None:
    hec.indexing = False
    assert sink.deliver([alert(1), alert(2)]).retry == tuple(ids(1, 2))
    hec.index()
    hec.indexing = True
    assert sink.deliver([alert(1), alert(2), alert(3)]) == Delivery()
    assert hec.ids() == ids(1, 2, 3)


def test_what_was_indexed_late_is_said_although_the_rest_is_busy(hec: HecServer, sink: SplunkHecSink) -> None:
    hec.indexing = False
    sink.deliver([alert(1)])
    hec.index()
    hec.script.append(coded(9))
    assert sink.deliver([alert(1), alert(2)]) == Delivery(retry=tuple(ids(2)))


def test_a_lost_answer_comes_again(hec: HecServer, sink: SplunkHecSink) -> None:
    hec.script.append(SWALLOWED)
    with pytest.raises(SinkBusy):
        sink.deliver([alert(1)])
    assert sink.deliver([alert(1)]) == Delivery()
    assert hec.ids() == ids(1, 1)


def test_one_bad_event_is_refused_alone(hec: HecServer, sink: SplunkHecSink) -> None:
    delivery = sink.deliver([alert(1), alert(2, at="1969-12-31T00:00:00Z"), alert(3)])
    assert [refusal.alert_id for refusal in delivery.refused] == ids(2)
    assert delivery.retry == ()
    assert hec.ids() == ids(1, 3)


def test_a_token_without_acknowledgement_holds_the_queue_and_gets_one_double_at_most(
    hec: HecServer, sink: SplunkHecSink
) -> None:
    hec.acknowledges = False
    with pytest.raises(SinkRefused, match=r"code 14 .*acknowledge = false"):
        sink.check()
    with pytest.raises(SinkRefused, match="without an ackId"):
        sink.deliver([alert(1)])
    for _ in range(3):
        with pytest.raises(SinkRefused, match="code 14 "):
            sink.deliver([alert(1)])
    assert hec.ids() == ids(1)
    hec.acknowledges = True
    assert sink.deliver([alert(1)]) == Delivery()


def test_an_acknowledging_token_without_our_acknowledge_holds_the_queue(hec: HecServer) -> None:
    hec.acknowledges = True
    sink = SplunkHecSettings(url=hec.url, token=Secret(env=TOKEN_IN)).open()
    with pytest.raises(SinkRefused, match=r"code 10 .*acknowledge = true"):
        sink.deliver([alert(1)])
    sink.close()


def test_a_poll_that_is_busy_is_tried_until_the_time_is_over(
    hec: HecServer, hand: Hand, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = SplunkHecSettings(url=hec.url, token=Secret(env=TOKEN_IN), acknowledge=True)
    hec.acknowledges = True
    collector = Collector(settings.root, TOKEN, timeout_s=5.0, compress=True, channel=CHANNEL)
    busy = iter([True, True, False])

    def ask(body: bytes) -> object:
        if next(busy):
            raise SinkBusy("away")
        return collector.acks(body)

    acks = Acknowledgements(ask, timeout_s=30.0, monotonic=hand.monotonic, sleep=hand.sleep)  # type: ignore[arg-type]
    sink = SplunkHecSink(settings, collector, acks)
    assert sink.deliver([alert(1)]) == Delivery()
    assert hand.now == 1_002.0
    sink.close()


def test_a_poll_that_is_refused_holds_the_queue_and_sends_no_doubles(hec: HecServer, sink: SplunkHecSink) -> None:
    hec.indexing = False
    sink.deliver([alert(1)])
    hec.disabled = True
    for _ in range(2):
        with pytest.raises(SinkRefused, match="code 1 "):
            sink.deliver([alert(1)])
    hec.disabled = False
    hec.index()
    assert sink.deliver([alert(1)]) == Delivery()
    assert hec.ids() == ids(1)
