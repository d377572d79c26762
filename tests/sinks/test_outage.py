"""Ten minutes without a destination and 5,000 alerts in the outbox: the real courier, time moved by hand, nothing lost.

Elasticsearch and OpenSearch are the real ones and hold each alert once. Splunk cannot tell doubles: there the only ones
are those of a request that was carried out and not answered.
"""

from __future__ import annotations

import json
import urllib.request
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from detector.run.delivery import CAP_S, Courier
from detector.run.health import Health
from detector.run.outbox import Outbox
from detector.secret import Secret
from sinks.contract import SinkSettings
from sinks.elasticsearch import ElasticsearchSettings
from sinks.opensearch import OpenSearchSettings
from sinks.splunk_hec import SplunkHecSettings
from tests.run.made import HandClock
from tests.servers.elasticsearch import ElasticsearchServer
from tests.servers.hec import SWALLOWED, HecServer, coded
from tests.servers.opensearch import OpenSearchServer
from tests.sinks.alerts import alert
from tests.sinks.conftest import TOKEN_IN

COUNT = 5_000
OUTAGE_S = 600.0
IDS = [alert(number).id for number in range(COUNT)]


class Waiting:
    """An outbox with 5,000 alerts, and the courier that empties it."""

    def __init__(self, folder: Path, settings: SinkSettings) -> None:
        self.hand = HandClock()
        self.name = settings.name
        self.courier = Courier(
            settings,
            folder / "outbox.sqlite",
            lambda: Health(queries_per_s=1.0, lag_s=0.0),
            instance="i",
            heartbeat_s=None,
            clock=self.hand.clock(),
            jitter=lambda: 1.0,
        )
        self.outbox = Outbox(folder / "outbox.sqlite")
        self.outbox.put([alert(number) for number in range(COUNT)])

    @property
    def backlog(self) -> int:
        return self.outbox.backlog(self.name)

    def pass_an_outage(self) -> int:
        """Ten minutes; returns how often the sink was tried."""
        before, end, tries = self.backlog, self.hand.now + OUTAGE_S, 0
        while self.hand.now < end:
            self.hand.move(self.courier.step())
            tries += 1
            assert self.courier.standing.state == "busy"
        assert self.backlog == before
        return tries

    def drain(self) -> None:
        """Steps until nothing waits; a pause that never ends would be a hang, so they are counted."""
        for _ in range(2 * COUNT):
            if self.backlog == 0:
                return
            self.hand.move(self.courier.step())
        raise AssertionError(f"{self.backlog} alerts still wait")


@pytest.mark.parametrize("how", ["gone", "busy"])
def test_splunk_gets_all_in_order_and_doubles_only_what_was_not_answered(
    hec: HecServer, tmp_path: Path, how: str
) -> None:
    post = Waiting(tmp_path, SplunkHecSettings(url=hec.url, token=Secret(env=TOKEN_IN)))
    post.courier.step()
    assert hec.ids() == IDS[:500]
    if how == "gone":
        hec.stop()
    else:
        hec.script.extend([coded(9)] * 100)
    tries = post.pass_an_outage()
    assert tries < OUTAGE_S / CAP_S + 10  # back-off, not a storm
    hec.script.clear()
    if how == "gone":
        hec.start()
    hec.script.extend([None, SWALLOWED, coded(18)])  # a collector that comes back does not come back at once
    post.drain()
    assert list(dict.fromkeys(hec.ids())) == IDS
    doubled = {id_ for id_, times in Counter(hec.ids()).items() if times > 1}
    assert doubled == set(IDS[1000:1500])
    assert max(Counter(hec.ids()).values()) == 2
    assert post.outbox.refused(post.name) == ()


def test_splunk_with_acknowledgement_gets_again_what_a_restart_lost(hec: HecServer, tmp_path: Path) -> None:
    hec.acknowledges = True
    settings = SplunkHecSettings(
        url=hec.url, token=Secret(env=TOKEN_IN), acknowledge=True, acknowledge_timeout_s=0.01, batch_size=1000
    )
    post = Waiting(tmp_path, settings)
    post.courier.step()
    hec.indexing = False
    post.courier.step()  # accepted, never acknowledged: the indexer dies with it
    assert post.backlog == COUNT - 1000
    del hec.events[1000:]
    hec.indexing = True
    post.hand.move(CAP_S)
    post.drain()
    assert hec.ids() == IDS


@pytest.fixture
def elastic(elasticsearch: ElasticsearchServer, namespace: str) -> tuple[ElasticsearchServer, SinkSettings]:
    return elasticsearch, ElasticsearchSettings(
        url=elasticsearch.url, namespace=namespace, batch_size=25, timeout_s=0.7
    )


@pytest.fixture
def opensearched(opensearch: OpenSearchServer, namespace: str) -> tuple[OpenSearchServer, SinkSettings]:
    return opensearch, OpenSearchSettings(url=opensearch.url, namespace=namespace, batch_size=25, timeout_s=0.7)


@pytest.mark.server
@pytest.mark.parametrize("which", ["elastic", "opensearched"])
@pytest.mark.parametrize("how", ["killed", "hung"])
def test_a_data_stream_gets_all_in_order_once(
    request: pytest.FixtureRequest, tmp_path: Path, namespace: str, which: str, how: str
) -> None:
    server, settings = request.getfixturevalue(which)
    post = Waiting(tmp_path, settings)
    post.courier.step()
    if how == "killed":
        server.kill()
    else:
        server.pause()
    tries = post.pass_an_outage()
    assert tries < OUTAGE_S / CAP_S + 10
    if how == "killed":
        server.start()
    else:
        server.resume()
    post.drain()
    assert _in_the_order_of_arrival(server.url, f"logs-querywarden.alert-{namespace}") == IDS
    assert post.outbox.refused(post.name) == ()


def _in_the_order_of_arrival(url: str, stream: str) -> list[str]:
    """Asked over plain HTTP, which both products answer alike."""

    def ask(path: str, body: bytes | None) -> Any:
        headers = {"Content-Type": "application/json"}
        sent = urllib.request.Request(f"{url}/{stream}/{path}", body, headers, method="POST")
        with urllib.request.urlopen(sent) as answer:
            return json.load(answer)

    ask("_refresh", None)
    wanted = {"size": 2 * COUNT, "seq_no_primary_term": True, "_source": False}
    hits = ask("_search", json.dumps(wanted).encode())["hits"]["hits"]
    return [hit["_id"] for hit in sorted(hits, key=lambda hit: hit["_seq_no"])]
