"""The servers of these tests, and an example of each registered sink."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from elasticsearch import Elasticsearch
from opensearchpy import OpenSearch

from sinks import AnySinkSettings
from tests.servers.elasticsearch import ElasticsearchServer, elasticsearch_server
from tests.servers.hec import HecServer
from tests.servers.opensearch import OpenSearchServer, opensearch_server

DEPLOY = Path(__file__).parents[2] / "deploy" / "elasticsearch"
DEPLOY_OPENSEARCH = DEPLOY.with_name("opensearch")
TOKEN = "12345678-90ab-cdef-1234-567890abcdef"
TOKEN_IN = "QUERYWARDEN_TEST_HEC_TOKEN"
LARGEST_REQUEST = "64kb"  # 413 above this
PRESSURE = "48kb"  # 429 above this


@pytest.fixture(scope="session")
def elasticsearch(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ElasticsearchServer]:
    """A server without security that has our index template, and small limits so that they can be met."""
    limits = {"http.max_content_length": LARGEST_REQUEST, "indexing_pressure.memory.coordinating.limit": PRESSURE}
    for server in elasticsearch_server(tmp_path_factory.mktemp("elasticsearch"), settings=limits):
        with Elasticsearch(server.url) as client:
            load_template(client)
        yield server


@pytest.fixture(scope="session")
def opensearch(tmp_path_factory: pytest.TempPathFactory) -> Iterator[OpenSearchServer]:
    """A server without plugins that has our index template, and takes small requests only."""
    limits = {"http.max_content_length": LARGEST_REQUEST}
    for server in opensearch_server(tmp_path_factory.mktemp("opensearch"), settings=limits):
        with OpenSearch(server.url) as client:
            template = json.loads((DEPLOY_OPENSEARCH / "index-template.json").read_text())
            client.indices.put_index_template(name="logs-querywarden.alert", body=template)
        yield server


@pytest.fixture(scope="session")
def guarded(tmp_path_factory: pytest.TempPathFactory, certificate: Path) -> Iterator[ElasticsearchServer]:
    """A server that asks who you are, over TLS; `admin` may do anything."""
    users = {"admin": ("pw-123456", "superuser")}
    tls = (certificate, certificate.with_suffix(".key"))
    yield from elasticsearch_server(tmp_path_factory.mktemp("guarded"), users=users, tls=tls)


@pytest.fixture(scope="session")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A certificate for 127.0.0.1 that signs itself; the key is beside it."""
    path = tmp_path_factory.mktemp("tls") / "http.pem"
    made = ["-out", str(path), "-keyout", str(path.with_suffix(".key"))]
    named = ["-subj", "/CN=127.0.0.1", "-addext", "subjectAltName=IP:127.0.0.1"]
    command = ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", *named, *made]
    subprocess.run(command, check=True, capture_output=True)
    return path


@pytest.fixture
def hec(monkeypatch: pytest.MonkeyPatch) -> Iterator[HecServer]:
    monkeypatch.setenv(TOKEN_IN, TOKEN)
    with HecServer(TOKEN) as server:
        yield server


@pytest.fixture
def client(elasticsearch: ElasticsearchServer) -> Iterator[Elasticsearch]:
    with Elasticsearch(elasticsearch.url, max_retries=0) as client:
        yield client


@pytest.fixture
def namespace(request: pytest.FixtureRequest) -> str:
    """A data stream of its own for each test: this server cannot delete one."""
    return "".join(c if c.isalnum() else "_" for c in request.node.name.lower())[:80]


@pytest.fixture
def examples(tmp_path: Path, request: pytest.FixtureRequest) -> dict[str, Callable[[], dict[str, Any]]]:
    """Per `type`: settings that work, as they would be read. The server starts only where it is asked for."""

    def elasticsearch_example() -> dict[str, Any]:
        server: ElasticsearchServer = request.getfixturevalue("elasticsearch")
        return {"url": server.url, "namespace": request.getfixturevalue("namespace")}

    def opensearch_example() -> dict[str, Any]:
        server: OpenSearchServer = request.getfixturevalue("opensearch")
        return {"url": server.url, "namespace": request.getfixturevalue("namespace")}

    def splunk_example() -> dict[str, Any]:
        server: HecServer = request.getfixturevalue("hec")
        return {"url": server.url, "token": {"env": TOKEN_IN}}

    return {
        "file": lambda: {"path": str(tmp_path / "alerts.jsonl")},
        "elasticsearch": elasticsearch_example,
        "opensearch": opensearch_example,
        "splunk_hec": splunk_example,
    }


def load_template(client: Elasticsearch) -> None:
    template = json.loads((DEPLOY / "index-template.json").read_text())
    client.perform_request(
        "PUT",
        "/_index_template/logs-querywarden.alert",
        headers={"accept": "application/json", "content-type": "application/json"},
        body=template,
    )


def tag_of(settings: type[AnySinkSettings]) -> str:
    tag = settings.__struct_config__.tag
    assert isinstance(tag, str)
    return tag
