"""The Elasticsearch sink against a real server: every answer that can be had, and no alert lost or doubled."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest
from elasticsearch import Elasticsearch

from detector.errors import SinkBusy, SinkRefused
from sinks.contract import Delivery
from sinks.data_stream import DataStreamSink
from sinks.elasticsearch import ElasticsearchSettings
from tests.servers.elasticsearch import ElasticsearchServer
from tests.sinks.alerts import alert, golden

pytestmark = pytest.mark.server
Open = Callable[..., DataStreamSink]


@pytest.fixture
def stream(namespace: str) -> str:
    return f"logs-querywarden.alert-{namespace}"


@pytest.fixture
def open_sink(elasticsearch: ElasticsearchServer, namespace: str) -> Iterator[Open]:
    """Opens sinks on the test's own data stream; a second one is what a restart after a crash is."""
    opened: list[DataStreamSink] = []

    def open_one(timeout_s: float = 10.0) -> DataStreamSink:
        opened.append(ElasticsearchSettings(url=elasticsearch.url, namespace=namespace, timeout_s=timeout_s).open())
        return opened[-1]

    yield open_one
    for sink in opened:
        sink.close()


@pytest.fixture
def sink(open_sink: Open) -> DataStreamSink:
    return open_sink()


def ids(client: Elasticsearch, stream: str) -> list[str]:
    client.indices.refresh(index=stream)
    hits = client.search(index=stream, size=1000, source=False)["hits"]["hits"]
    return sorted(hit["_id"] for hit in hits)


def expected(*numbers: int) -> list[str]:
    return sorted(alert(number).id for number in numbers)


def backing(client: Elasticsearch, stream: str) -> list[str]:
    names: list[str] = client.indices.resolve_index(name=stream)["data_streams"][0]["backing_indices"]
    return names


def test_alerts_arrive_under_their_ids(sink: DataStreamSink, client: Elasticsearch, stream: str) -> None:
    assert sink.deliver([alert(1), alert(2)]) == Delivery()
    assert ids(client, stream) == expected(1, 2)


def test_the_template_takes_every_shape_of_alert(sink: DataStreamSink, client: Elasticsearch, stream: str) -> None:
    assert sink.deliver(golden()) == Delivery()
    assert len(ids(client, stream)) == len(golden())
    nested = {"range": {"querywarden.reasons.evidence_db": {"gte": 31}}}
    found = client.search(index=stream, query={"nested": {"path": "querywarden.reasons", "query": nested}})
    assert [hit["_id"] for hit in found["hits"]["hits"]] == [golden()[0].id]


def test_a_repeated_id_is_delivered_and_not_doubled(sink: DataStreamSink, client: Elasticsearch, stream: str) -> None:
    sink.deliver([alert(1), alert(2)])
    assert sink.deliver([alert(2), alert(3)]) == Delivery()
    assert ids(client, stream) == expected(1, 2, 3)


def test_an_id_that_the_look_missed_is_a_409_and_delivered(sink: DataStreamSink) -> None:
    assert sink.deliver([alert(1)]) == Delivery()
    assert sink._send([alert(1)]) == Delivery()


def test_one_bad_alert_is_refused_alone(sink: DataStreamSink, client: Elasticsearch, stream: str) -> None:
    bad = alert(2, at="yesterday")
    delivery = sink.deliver([alert(1), bad, alert(3)])
    assert [refusal.alert_id for refusal in delivery.refused] == [bad.id]
    assert "document_parsing_exception" in delivery.refused[0].reason
    assert delivery.retry == ()
    assert ids(client, stream) == expected(1, 3)


def test_a_request_under_pressure_comes_again(sink: DataStreamSink) -> None:
    with pytest.raises(SinkBusy, match="429 es_rejected_execution_exception"):
        sink.deliver([alert(1, message="x" * 55_000)])


def test_an_alert_under_a_full_disk_comes_again(sink: DataStreamSink, client: Elasticsearch, stream: str) -> None:
    sink.deliver([alert(1)])
    block = {"index.blocks.read_only_allow_delete": True}
    client.indices.put_settings(index=stream, settings=block)
    assert sink.deliver([alert(1), alert(2), alert(3)]) == Delivery(retry=(alert(2).id, alert(3).id))
    client.indices.put_settings(index=stream, settings=dict.fromkeys(block))
    assert sink.deliver([alert(2), alert(3)]) == Delivery()
    assert ids(client, stream) == expected(1, 2, 3)


def test_a_blocked_index_holds_the_queue(sink: DataStreamSink, client: Elasticsearch, stream: str) -> None:
    sink.deliver([alert(1)])
    client.indices.put_settings(index=stream, settings={"index.blocks.write": True})
    with pytest.raises(SinkRefused, match="lift the block"):
        sink.deliver([alert(2)])


def test_a_large_batch_is_halved_until_it_fits(sink: DataStreamSink, client: Elasticsearch, stream: str) -> None:
    large = [alert(number, message="x" * 40_000) for number in range(5)]
    assert sink.deliver(large) == Delivery()
    assert ids(client, stream) == expected(*range(5))


def test_an_alert_that_is_too_large_alone_is_refused_alone(
    sink: DataStreamSink, client: Elasticsearch, stream: str
) -> None:
    delivery = sink.deliver([alert(1), alert(2, message="x" * 70_000), alert(3)])
    assert [refusal.alert_id for refusal in delivery.refused] == [alert(2).id]
    assert "413" in delivery.refused[0].reason
    assert ids(client, stream) == expected(1, 3)


def test_a_half_under_pressure_comes_again_and_the_other_is_taken(sink: DataStreamSink) -> None:
    delivery = sink.deliver([alert(1, message="x" * 20_000), alert(2, message="x" * 55_000)])
    assert delivery == Delivery(retry=(alert(2).id,))


def test_a_server_that_hangs_is_busy_and_nothing_is_doubled(
    elasticsearch: ElasticsearchServer, open_sink: Open, client: Elasticsearch, stream: str
) -> None:
    hasty = open_sink(timeout_s=0.3)
    hasty.check()
    elasticsearch.pause()
    try:
        with pytest.raises(SinkBusy, match=r"within 0\.3 s"):
            hasty.deliver([alert(1)])
        with pytest.raises(SinkBusy, match=r"within 0\.3 s"):
            hasty._send([alert(1)])  # past the look: this create is carried out after the resume
    finally:
        elasticsearch.resume()
    assert open_sink().deliver([alert(1)]) == Delivery()
    assert ids(client, stream) == expected(1)


@pytest.mark.parametrize("rollovers", [1, 3])
def test_after_a_crash_and_a_rollover_nothing_is_doubled(
    open_sink: Open, client: Elasticsearch, stream: str, rollovers: int
) -> None:
    open_sink().deliver([alert(1), alert(2)])  # not refreshed: a search would not see them
    for _ in range(rollovers):
        client.indices.rollover(alias=stream)
    assert open_sink().deliver([alert(1), alert(2), alert(3)]) == Delivery()
    assert ids(client, stream) == expected(1, 2, 3)


def test_without_the_look_a_rollover_does_double(sink: DataStreamSink, client: Elasticsearch, stream: str) -> None:
    sink.deliver([alert(1)])
    client.indices.rollover(alias=stream)
    sink._send([alert(1)])
    assert ids(client, stream) == expected(1, 1)  # when this fails, Elasticsearch has become kinder: drop the look


def test_a_closed_old_index_does_not_stop_the_rest(sink: DataStreamSink, client: Elasticsearch, stream: str) -> None:
    sink.deliver([alert(1)])
    client.indices.rollover(alias=stream)
    client.indices.close(index=backing(client, stream)[0])
    assert sink.deliver([alert(2)]) == Delivery()


def test_without_our_template_nothing_is_made(elasticsearch: ElasticsearchServer, client: Elasticsearch) -> None:
    sink = ElasticsearchSettings(url=elasticsearch.url, dataset="no.template").open()
    with pytest.raises(SinkRefused, match="load deploy/elasticsearch"):
        sink.deliver([alert(1)])
    sink.close()
    assert not client.indices.exists(index="logs-no.template-default")


def test_a_stopped_server_is_busy_and_what_it_had_is_known_after_its_return(
    elasticsearch: ElasticsearchServer, open_sink: Open, client: Elasticsearch, stream: str
) -> None:
    sink = open_sink()
    sink.deliver([alert(1)])
    elasticsearch.kill()
    try:
        for call in (sink.check, lambda: sink.deliver([alert(1), alert(2)])):
            with pytest.raises(SinkBusy, match="cannot be reached"):
                call()
    finally:
        elasticsearch.start()
    assert sink.deliver([alert(1), alert(2)]) == Delivery()
    assert ids(client, stream) == expected(1, 2)
