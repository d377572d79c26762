"""The Elasticsearch sink against a real server that asks who you are."""

from __future__ import annotations

import hashlib
import json
import ssl
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from elasticsearch import Elasticsearch

from detector.errors import SinkRefused
from detector.secret import Secret
from sinks.contract import Delivery
from sinks.data_stream import DataStreamSink
from sinks.elasticsearch import ElasticsearchSettings
from sinks.elasticsearch_stream import PRIVILEGES
from tests.servers.elasticsearch import ElasticsearchServer
from tests.sinks.alerts import alert
from tests.sinks.conftest import DEPLOY, load_template

pytestmark = pytest.mark.server
Open = Callable[..., DataStreamSink]
SECRET = "QUERYWARDEN_TEST_SECRET"


@pytest.fixture
def admin(guarded: ElasticsearchServer, certificate: Path) -> Iterator[Elasticsearch]:
    who = ("admin", guarded.users["admin"][0])
    with Elasticsearch(guarded.url, basic_auth=who, ca_certs=str(certificate)) as client:
        load_template(client)
        yield client


@pytest.fixture
def open_sink(
    guarded: ElasticsearchServer, certificate: Path, namespace: str, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Open]:
    opened: list[DataStreamSink] = []

    def open_one(*, key: str | None = None, password: str | None = None, **tls: Any) -> DataStreamSink:
        monkeypatch.setenv(SECRET, key or password or "")
        secret = Secret(env=SECRET)
        who: dict[str, Any] = {"api_key": secret} if key else {"username": "admin", "password": secret}
        more = (tls or {"ca_certs": str(certificate)}) | (who if key or password else {})
        settings = ElasticsearchSettings(url=guarded.url, namespace=namespace, **more)
        opened.append(settings.open())
        return opened[-1]

    yield open_one
    for sink in opened:
        sink.close()


def key_with(admin: Elasticsearch, privileges: tuple[str, ...]) -> str:
    body = json.loads((DEPLOY / "api-key.json").read_text())
    (role,) = body["role_descriptors"].values()
    assert tuple(role["indices"][0]["privileges"]) == PRIVILEGES
    role["indices"][0]["privileges"] = list(privileges)
    encoded: str = admin.security.create_api_key(**body, refresh=True)["encoded"]
    return encoded


def test_the_key_of_the_readme_is_enough(admin: Elasticsearch, open_sink: Open, namespace: str) -> None:
    stream = f"logs-querywarden.alert-{namespace}"
    sink = open_sink(key=key_with(admin, PRIVILEGES))
    assert "first alert" in sink.check()
    assert sink.deliver([alert(1)]) == Delivery()
    admin.indices.rollover(alias=stream)
    assert sink.deliver([alert(1), alert(2)]) == Delivery()
    assert "2 backing indices" in sink.check()
    admin.indices.refresh(index=stream)
    assert admin.count(index=stream)["count"] == 2


def test_user_and_password_are_enough(admin: Elasticsearch, open_sink: Open, guarded: ElasticsearchServer) -> None:
    sink = open_sink(password=guarded.users["admin"][0])
    assert sink.check()
    assert sink.deliver([alert(1)]) == Delivery()


@pytest.mark.parametrize("who", [{}, {"password": "wrong-password"}, {"key": "bm90OmFrZXk="}])
def test_wrong_credentials_hold_the_queue(admin: Elasticsearch, open_sink: Open, who: dict[str, str]) -> None:
    sink = open_sink(**who)
    for call in (sink.check, lambda: sink.deliver([alert(1)])):
        with pytest.raises(SinkRefused, match="401") as caught:
            call()
        assert not any(secret in str(caught.value) for secret in who.values())


@pytest.mark.parametrize("missing", PRIVILEGES)
def test_a_missing_privilege_is_named(admin: Elasticsearch, open_sink: Open, missing: str) -> None:
    sink = open_sink(key=key_with(admin, tuple(one for one in PRIVILEGES if one != missing)))
    with pytest.raises(SinkRefused, match=missing):
        sink.check()


@pytest.mark.parametrize("missing", PRIVILEGES)
def test_a_missing_privilege_holds_the_queue(
    admin: Elasticsearch, open_sink: Open, namespace: str, missing: str
) -> None:
    if missing != "auto_configure":
        open_sink(key=key_with(admin, PRIVILEGES)).deliver([alert(1)])
    sink = open_sink(key=key_with(admin, tuple(one for one in PRIVILEGES if one != missing)))
    with pytest.raises(SinkRefused, match="403"):
        sink.deliver([alert(2)])


def test_a_revoked_key_holds_the_queue(admin: Elasticsearch, open_sink: Open) -> None:
    sink = open_sink(key=key_with(admin, PRIVILEGES))
    sink.deliver([alert(1)])
    admin.security.invalidate_api_key(name="querywarden-alerts")
    with pytest.raises(SinkRefused, match="401"):
        sink.deliver([alert(2)])


def fingerprint_of(certificate: Path) -> str:
    return hashlib.sha256(ssl.PEM_cert_to_DER_cert(certificate.read_text())).hexdigest()


def test_the_fingerprint_of_the_certificate_is_enough(
    guarded: ElasticsearchServer, open_sink: Open, certificate: Path
) -> None:
    sink = open_sink(password=guarded.users["admin"][0], ssl_assert_fingerprint=fingerprint_of(certificate))
    assert sink.check()


def test_without_verification_any_certificate_is(guarded: ElasticsearchServer, open_sink: Open) -> None:
    assert open_sink(password=guarded.users["admin"][0], verify=False).check()


@pytest.mark.parametrize("tls", [{"verify": True}, {"ssl_assert_fingerprint": "00" * 32}])
def test_an_untrusted_certificate_holds_the_queue(
    guarded: ElasticsearchServer, open_sink: Open, tls: dict[str, Any]
) -> None:
    sink = open_sink(password=guarded.users["admin"][0], **tls)
    with pytest.raises(SinkRefused, match="no trusted connection"):
        sink.deliver([alert(1)])
