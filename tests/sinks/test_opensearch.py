"""The OpenSearch sink against a real server: no alert lost or doubled, and what differs from Elasticsearch."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator

import pytest
from opensearchpy import OpenSearch

from detector.errors import SinkBusy, SinkRefused
from sinks.contract import Delivery
from sinks.data_stream import DataStreamSink
from sinks.opensearch import OpenSearchSettings
from tests.servers.opensearch import OpenSearchServer
from tests.sinks.alerts import alert, golden

pytestmark = pytest.mark.server
Open = Callable[..., DataStreamSink]


@pytest.fixture
def stream(namespace: str) -> str:
    return f"logs-querywarden.alert-{namespace}"


@pytest.fixture
def client(opensearch: OpenSearchServer) -> Iterator[OpenSearch]:
    with OpenSearch(opensearch.url, max_retries=0) as client:
        yield client


@pytest.fixture
def open_sink(opensearch: OpenSearchServer, namespace: str) -> Iterator[Open]:
    """Opens sinks on the test's own data stream; a second one is what a restart after a crash is."""
    opened: list[DataStreamSink] = []

    def open_one(timeout_s: float = 10.0) -> DataStreamSink:
        opened.append(OpenSearchSettings(url=opensearch.url, namespace=namespace, timeout_s=timeout_s).open())
        return opened[-1]

    yield open_one
    for sink in opened:
        sink.close()


@pytest.fixture
def sink(open_sink: Open) -> DataStreamSink:
    return open_sink()


def ids(client: OpenSearch, stream: str) -> list[str]:
    client.indices.refresh(index=stream)
    hits = client.search(index=stream, body={"size": 1000, "_source": False})["hits"]["hits"]
    return sorted(hit["_id"] for hit in hits)


def expected(*numbers: int) -> list[str]:
    return sorted(alert(number).id for number in numbers)


def test_the_template_takes_every_shape_of_alert(sink: DataStreamSink, client: OpenSearch, stream: str) -> None:
    assert "will be made" in sink.check()
    assert sink.deliver(golden()) == Delivery()
    assert ids(client, stream) == sorted(one.id for one in golden())
    nested = {"range": {"querywarden.reasons.evidence_db": {"gte": 31}}}
    query = {"query": {"nested": {"path": "querywarden.reasons", "query": nested}}}
    found = client.search(index=stream, body=query)
    assert [hit["_id"] for hit in found["hits"]["hits"]] == [golden()[0].id]
    assert "1 backing indices" in sink.check()


def test_a_repeated_id_is_delivered_and_not_doubled(sink: DataStreamSink, client: OpenSearch, stream: str) -> None:
    sink.deliver([alert(1), alert(2)])
    assert sink.deliver([alert(2), alert(3)]) == Delivery()
    assert sink._send([alert(1)]) == Delivery()  # an id that the look missed is a 409
    assert ids(client, stream) == expected(1, 2, 3)


def test_after_a_crash_and_rollovers_nothing_is_doubled(open_sink: Open, client: OpenSearch, stream: str) -> None:
    open_sink().deliver([alert(1), alert(2)])
    for _ in range(3):
        client.indices.rollover(alias=stream)
    assert open_sink().deliver([alert(1), alert(2), alert(3)]) == Delivery()
    assert ids(client, stream) == expected(1, 2, 3)


def test_a_closed_old_index_does_not_stop_the_rest(sink: DataStreamSink, client: OpenSearch, stream: str) -> None:
    sink.deliver([alert(1)])
    client.indices.rollover(alias=stream)
    oldest = client.indices.resolve_index(name=stream)["data_streams"][0]["backing_indices"][0]
    client.indices.close(index=oldest)
    assert sink.deliver([alert(2)]) == Delivery()


def test_one_bad_alert_is_refused_alone(sink: DataStreamSink, client: OpenSearch, stream: str) -> None:
    delivery = sink.deliver([alert(1), alert(2, at="no date"), alert(3)])
    assert [refusal.alert_id for refusal in delivery.refused] == [alert(2).id]
    assert "mapper_parsing_exception" in delivery.refused[0].reason
    assert ids(client, stream) == expected(1, 3)


def test_a_large_batch_is_halved_and_what_is_too_large_alone_is_refused(
    sink: DataStreamSink, client: OpenSearch, stream: str
) -> None:
    large = [alert(number, message="x" * 40_000) for number in range(3)]
    delivery = sink.deliver([*large, alert(9, message="x" * 70_000)])
    assert [refusal.alert_id for refusal in delivery.refused] == [alert(9).id]
    assert "413" in delivery.refused[0].reason
    assert ids(client, stream) == expected(0, 1, 2)


def test_a_blocked_index_holds_the_queue(sink: DataStreamSink, client: OpenSearch, stream: str) -> None:
    sink.deliver([alert(1)])
    client.indices.put_settings(index=stream, body={"index.blocks.write": True})
    with pytest.raises(SinkRefused, match="lift the block"):
        sink.deliver([alert(2)])


def test_an_alert_under_a_full_disk_comes_again(sink: DataStreamSink, client: OpenSearch, stream: str) -> None:
    sink.deliver([alert(1)])
    client.indices.put_settings(index=stream, body={"index.blocks.read_only_allow_delete": True})
    assert sink.deliver([alert(1), alert(2)]) == Delivery(retry=(alert(2).id,))


def test_without_our_template_nothing_is_made(opensearch: OpenSearchServer, client: OpenSearch) -> None:
    sink = OpenSearchSettings(url=opensearch.url, dataset="no.template").open()
    with pytest.raises(SinkRefused, match="load deploy/opensearch"):
        sink.deliver([alert(1)])
    sink.close()
    assert not client.indices.exists(index="logs-no.template-default")


def test_two_that_begin_at_once_share_the_stream(open_sink: Open, client: OpenSearch, stream: str) -> None:
    one, two = open_sink(), open_sink()
    one._stream.prepare()
    two._stream.prepare()
    assert one.deliver([alert(1)]) == two.deliver([alert(1)]) == Delivery()
    assert ids(client, stream) == expected(1)


def test_a_server_that_hangs_is_busy_and_nothing_is_doubled(
    opensearch: OpenSearchServer, open_sink: Open, client: OpenSearch, stream: str
) -> None:
    open_sink().deliver([alert(0)])
    hasty = open_sink(timeout_s=0.3)
    opensearch.pause()
    try:
        with pytest.raises(SinkBusy, match=r"within 0\.3 s"):
            hasty._send([alert(1)])  # past the look: this create is carried out after the resume
    finally:
        opensearch.resume()
    assert open_sink().deliver([alert(1)]) == Delivery()
    assert ids(client, stream) == expected(0, 1)


def test_a_stopped_server_is_busy_and_the_client_says_nothing_of_its_own(
    opensearch: OpenSearchServer, open_sink: Open, client: OpenSearch, stream: str, caplog: pytest.LogCaptureFixture
) -> None:
    sink = open_sink()
    sink.deliver([alert(1)])
    opensearch.kill()
    try:
        with caplog.at_level(logging.WARNING), pytest.raises(SinkBusy, match="cannot be reached"):
            sink.deliver([alert(1), alert(2)])
    finally:
        opensearch.start()
    assert not [record for record in caplog.records if record.name.startswith("opensearch")]
    assert sink.deliver([alert(1), alert(2)]) == Delivery()
    assert ids(client, stream) == expected(1, 2)
