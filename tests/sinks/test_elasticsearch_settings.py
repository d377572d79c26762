"""What an operator can get wrong, and what is said then; secrets are never repeated."""

from __future__ import annotations

import sys
import threading
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import pytest

from detector.errors import MissingExtra, SettingsError, SinkRefused
from detector.secret import Secret
from sinks.elasticsearch import ElasticsearchSettings
from tests.sinks.alerts import alert

URL = "https://es.example:9200"
KEY = Secret(env="QUERYWARDEN_TEST_KEY")


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"url": "https://es.example"}, "scheme, host and port"),
        ({"url": "es.example:9200"}, "scheme, host and port"),
        ({"url": "https://es.example:none"}, "not an address"),
        ({"url": "https://me:hunter2@es.example:9200"}, "must not hold credentials"),
        ({"url": ()}, "empty"),
        ({"url": URL, "api_key": KEY, "username": "me", "password": KEY}, "not both"),
        ({"url": URL, "username": "me"}, "go together"),
        ({"url": URL, "namespace": "Prod-1"}, "`namespace`"),
        ({"url": URL, "dataset": "query-warden"}, "`dataset`"),
        ({"url": "http://es.example:9200", "ca_certs": "ca.pem"}, "need an https url"),
    ],
)
def test_a_fault_is_named_without_what_was_written(settings: dict[str, Any], message: str) -> None:
    with pytest.raises(SettingsError, match=message) as caught:
        ElasticsearchSettings(**settings)
    assert "hunter2" not in str(caught.value)


def test_a_missing_package_names_the_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "elastic_transport", None)
    monkeypatch.delitem(sys.modules, "sinks.elasticsearch_stream", raising=False)
    with pytest.raises(MissingExtra, match=r"querywarden\[elasticsearch\]"):
        ElasticsearchSettings(url=URL).open()


def test_a_missing_ca_file_is_a_fault_of_the_settings(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match='sink "elasticsearch"'):
        ElasticsearchSettings(url=URL, ca_certs=str(tmp_path / "none.pem")).open()


def test_a_missing_secret_is_a_fault_of_the_settings() -> None:
    with pytest.raises(SettingsError, match="QUERYWARDEN_TEST_KEY"):
        ElasticsearchSettings(url=URL, api_key=KEY).open()


def test_several_urls_and_tls_settings_open_without_io(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("QUERYWARDEN_TEST_KEY", "c2VjcmV0")
    fingerprint = "aa" * 32
    two = (URL, "https://es2.example:9200")
    for tls in ({"verify": False}, {"ssl_assert_fingerprint": fingerprint}):
        ElasticsearchSettings(url=two, api_key=KEY, **tls).open().close()


class SomethingElse(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        self.do_POST()

    def do_POST(self) -> None:
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", "2")
        self.end_headers()
        self.wfile.write(b"{}")

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the standard library's name
        pass


def test_something_else_at_the_url_holds_the_queue() -> None:
    with HTTPServer(("127.0.0.1", 0), SomethingElse) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        sink = ElasticsearchSettings(url=f"http://127.0.0.1:{server.server_port}").open()
        with pytest.raises(SinkRefused, match="is not Elasticsearch"):
            sink.deliver([alert(1)])
        sink.close()
        server.shutdown()
