"""What an operator can get wrong about an OpenSearch, and what is said then; secrets are never repeated."""

from __future__ import annotations

import hashlib
import json
import ssl
import sys
import threading
from http.server import HTTPServer
from pathlib import Path
from typing import Any

import pytest

from detector.errors import MissingExtra, SettingsError, SinkRefused
from detector.secret import Secret
from sinks.opensearch import OpenSearchSettings
from tests.sinks.alerts import alert
from tests.sinks.conftest import DEPLOY, DEPLOY_OPENSEARCH
from tests.sinks.test_elasticsearch_settings import SomethingElse

URL = "https://os.example:9200"
KEY = Secret(env="QUERYWARDEN_TEST_KEY")


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"url": "https://os.example"}, "scheme, host and port"),
        ({"url": "https://me:hunter2@os.example:9200"}, "must not hold credentials"),
        ({"url": ()}, "empty"),
        ({"url": URL, "username": "me"}, "go together"),
        ({"url": URL, "namespace": "Prod-1"}, "`namespace`"),
        ({"url": "http://os.example:9200", "ca_certs": "ca.pem"}, "need an https url"),
    ],
)
def test_a_fault_is_named_without_what_was_written(settings: dict[str, Any], message: str) -> None:
    with pytest.raises(SettingsError, match=message) as caught:
        OpenSearchSettings(**settings)
    assert "hunter2" not in str(caught.value)


def test_a_missing_package_names_the_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "opensearchpy", None)
    monkeypatch.delitem(sys.modules, "sinks.opensearch_stream", raising=False)
    with pytest.raises(MissingExtra, match=r"querywarden\[opensearch\]"):
        OpenSearchSettings(url=URL).open()


def test_a_missing_ca_file_is_a_fault_of_the_settings(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="`ca_certs`"):
        OpenSearchSettings(url=URL, ca_certs=str(tmp_path / "none.pem")).open()


def test_several_urls_and_tls_settings_open_without_io(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("QUERYWARDEN_TEST_KEY", "secret")
    two = (URL, "https://os2.example:9200")
    for tls in ({"verify": False}, {"ssl_assert_fingerprint": "aa" * 32}, {}):
        OpenSearchSettings(url=two, username="me", password=KEY, **tls).open().close()


def test_something_else_at_the_url_holds_the_queue() -> None:
    with HTTPServer(("127.0.0.1", 0), SomethingElse) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        sink = OpenSearchSettings(url=f"http://127.0.0.1:{server.server_port}").open()
        with pytest.raises(SinkRefused, match="is not OpenSearch"):
            sink.deliver([alert(1)])
        sink.close()
        server.shutdown()


def test_tls_is_verified_by_file_by_fingerprint_or_not_at_all(
    certificate: Path, monkeypatch: pytest.MonkeyPatch, recwarn: pytest.WarningsRecorder
) -> None:
    monkeypatch.setenv("QUERYWARDEN_TEST_KEY", "secret")
    right = hashlib.sha256(ssl.PEM_cert_to_DER_cert(certificate.read_text())).hexdigest()
    trusting = ({"ca_certs": str(certificate)}, {"ssl_assert_fingerprint": right}, {"verify": False})
    with HTTPServer(("127.0.0.1", 0), SomethingElse) as server:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(certificate, certificate.with_suffix(".key"))
        server.socket = context.wrap_socket(server.socket, server_side=True)
        threading.Thread(target=server.serve_forever, daemon=True).start()
        for tls, said in [
            *((one, "is not OpenSearch") for one in trusting),
            ({}, "no trusted connection"),
            ({"ssl_assert_fingerprint": "aa" * 32}, "no trusted connection"),
        ]:
            url = f"https://127.0.0.1:{server.server_port}"
            sink = OpenSearchSettings(url=url, username="me", password=KEY, **tls).open()
            with pytest.raises(SinkRefused, match=said):
                sink.check()
            sink.close()
        server.shutdown()
    assert not recwarn.list


def test_the_template_is_elasticsearchs_without_what_opensearch_does_not_know() -> None:
    ours = json.loads((DEPLOY_OPENSEARCH / "index-template.json").read_text())
    theirs = json.loads((DEPLOY / "index-template.json").read_text())
    for unknown in ("composed_of", "ignore_missing_component_templates"):
        del theirs[unknown]
    del theirs["template"]["lifecycle"]
    assert ours == theirs


def test_the_ism_policy_takes_the_templates_indices() -> None:
    policy = json.loads((DEPLOY_OPENSEARCH / "ism-policy.json").read_text())["policy"]
    template = json.loads((DEPLOY_OPENSEARCH / "index-template.json").read_text())
    assert policy["ism_template"][0]["index_patterns"] == template["index_patterns"]
    assert {state["name"] for state in policy["states"]} == {policy["default_state"], "delete"}
