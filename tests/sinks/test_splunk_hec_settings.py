"""What an operator can get wrong, and what is said then; secrets are never repeated."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import msgspec
import pytest

from detector.errors import MissingExtra, SettingsError
from detector.secret import Secret
from sinks import cim
from sinks.splunk_hec import SplunkHecSettings
from sinks.splunk_hec_events import ALERT
from tests.sinks.alerts import alert, golden
from tests.sinks.conftest import TOKEN_IN

URL = "https://splunk.example:8088"
SECRET = Secret(env=TOKEN_IN)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"url": "splunk.example:8088"}, "scheme and host"),
        ({"url": "https://splunk.example:none"}, "not an address"),
        ({"url": "https://me:hunter2@splunk.example"}, "must not hold credentials"),
        ({"url": f"{URL}/services/collector?token=hunter2"}, "must not hold credentials"),
        ({"url": f"{URL}/services/collector/raw"}, "raw endpoint"),
        ({"url": "http://splunk.example:8088", "verify": False}, "need an https url"),
    ],
)
def test_a_fault_is_named_without_what_was_written(settings: dict[str, Any], message: str) -> None:
    with pytest.raises(SettingsError, match=message) as caught:
        SplunkHecSettings(token=SECRET, **settings)
    assert "hunter2" not in str(caught.value)


@pytest.mark.parametrize("token", ["", "two words", "line\nbreak", "ümlaut"])
def test_a_token_that_no_header_takes_is_a_fault_and_not_repeated(token: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(TOKEN_IN, token)
    with pytest.raises(SettingsError, match="`token` is empty or holds") as caught:
        SplunkHecSettings(url=URL, token=SECRET).open()
    assert not token or token not in str(caught.value)


def test_a_missing_package_names_the_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "urllib3", None)
    monkeypatch.delitem(sys.modules, "sinks.splunk_hec_collector", raising=False)
    with pytest.raises(MissingExtra, match=r"querywarden\[splunk\]"):
        SplunkHecSettings(url=URL, token=SECRET).open()


def test_a_missing_ca_file_is_a_fault_of_the_settings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(TOKEN_IN, "t")
    with pytest.raises(SettingsError, match="`ca_certs`"):
        SplunkHecSettings(url=URL, token=SECRET, ca_certs=str(tmp_path / "none.pem")).open()


def test_the_sourcetype_is_the_apps() -> None:
    assert SplunkHecSettings(url=URL, token=SECRET).sourcetype == ALERT


def test_an_alert_is_all_there_under_its_own_names() -> None:
    for one in golden():
        event = cim.event(one)
        told = msgspec.to_builtins(one)
    assert {key: event[key] for key in told} == told


def test_who_asked_is_the_source_and_only_a_client_is_a_user() -> None:
    client, group, _, budget, health, *_ = (cim.event(one) for one in golden())
    assert (client["src"], client["user"]) == ("client-1", "client-1")
    assert (group["src"], group.get("user")) == ("acme", None)
    assert (budget["src"], budget.get("user")) == ("192.0.2.0/24", None)
    assert "src" not in health


def test_the_fields_of_the_data_model_are_there() -> None:
    event = cim.event(alert(1))
    assert {event["app"], event["type"], event["signature_id"]} == {"querywarden", "alert", "querywarden.extraction"}
    assert (event["id"], event["severity"], event["dest"]) == (alert(1).id, "high", "fraud")
    assert (event["signature"], event["description"]) == ("Model extraction", alert(1).message)
    assert event["mitre_technique_id"] == ["AML.T0024.002"]
