"""The Elasticsearch sink against a real server that asks who you are."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from elasticsearch import Elasticsearch

from detector.errors import SinkRefused
from detector.secret import Secret
from sinks.contract import Delivery
from sinks.elasticsearch import ElasticsearchSettings
from sinks.elasticsearch_answers import PRIVILEGES
from sinks.elasticsearch_stream import ElasticsearchSink
from tests.servers.elasticsearch import ElasticsearchServer
from tests.sinks.alerts import alert
from tests.sinks.conftest import DEPLOY, load_template

pytestmark = pytest.mark.server
Open = Callable[..., ElasticsearchSink]
SECRET = "QUERYWARDEN_TEST_SECRET"


@pytest.fixture
def admin(guarded: ElasticsearchServer) -> Iterator[Elasticsearch]:
    with Elasticsearch(guarded.url, basic_auth=("admin", guarded.users["admin"][0])) as client:
        load_template(client)
        yield client


@pytest.fixture
def open_sink(guarded: ElasticsearchServer, namespace: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[Open]:
    opened: list[ElasticsearchSink] = []

    def open_one(*, key: str | None = None, password: str | None = None) -> ElasticsearchSink:
        monkeypatch.setenv(SECRET, key or password or "")
        secret = Secret(env=SECRET)
        who: dict[str, Any] = {"api_key": secret} if key else {"username": "admin", "password": secret}
        settings = ElasticsearchSettings(url=guarded.url, namespace=namespace, **(who if key or password else {}))
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
