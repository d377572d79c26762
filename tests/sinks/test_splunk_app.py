"""The Splunk app passes Splunk's own checker, and speaks of the fields that the sink sends."""

from __future__ import annotations

import json
import re
import runpy
import tarfile
import tomllib
import xml.etree.ElementTree as ET
from configparser import RawConfigParser
from io import BytesIO
from pathlib import Path
from typing import Any

import pytest

from sinks import cim
from sinks.splunk_hec_events import ALERT, AUDIT
from tests.docs.pages import ROOT
from tests.servers.hec.appinspect import inspected
from tests.sinks.alerts import golden

SPLUNK = ROOT / "deploy" / "splunk"
APP = SPLUNK / "querywarden"
# What Splunk itself or a search gives a field that an alert does not have.
MADE = {"_time", "count", "index", "last", "named", "risk_message", "risk_other", "risk_score", "risk_user"}
MADE |= {"model", "silent_s", "sourcetype", "eventtype"}


def conf(name: str) -> RawConfigParser:
    parser = RawConfigParser(strict=True, comment_prefixes=("#",), delimiters=("=",), interpolation=None)
    parser.optionxform = str  # type: ignore[assignment, method-assign]
    parser.read(APP / "default" / f"{name}.conf")
    return parser


def packaged() -> bytes:
    data: bytes = runpy.run_path(str(SPLUNK / "package.py"))["package"]()
    return data


@pytest.mark.server
def test_splunks_own_checker_finds_nothing(tmp_path: Path) -> None:
    package = tmp_path / "querywarden.spl"
    package.write_bytes(packaged())
    summary = inspected(package, tmp_path / "report.json")["summary"]
    bad = ("error", "failure", "future_failure", "warning", "skipped")
    assert {key: summary[key] for key in bad} == dict.fromkeys(bad, 0)
    assert summary["success"] > 50


def test_the_package_holds_the_app_alone_and_is_the_same_every_time() -> None:
    assert packaged() == packaged()
    with tarfile.open(fileobj=BytesIO(packaged())) as archive:
        names = {member.name for member in archive if member.isfile()}
    files = {f"querywarden/{path.relative_to(APP)}" for path in APP.rglob("*") if path.is_file()}
    assert names == files | {"querywarden/LICENSE"}


def test_the_app_has_the_version_of_the_project() -> None:
    version = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["version"]
    app = conf("app")
    assert {app["launcher"]["version"], app["id"]["version"]} == {version}
    assert json.loads((APP / "app.manifest").read_text())["info"]["id"]["version"] == version


def test_the_sourcetypes_are_the_sinks() -> None:
    assert set(conf("props").sections()) == {ALERT, AUDIT}


def test_time_is_found_in_an_alert_that_comes_from_a_file() -> None:
    props = conf("props")[ALERT]
    line = (Path(__file__).parent / "golden" / "alerts.jsonl").read_text().splitlines()[0]
    assert line[re.search(props["TIME_PREFIX"], line).end() :].startswith("2026-03-01T12:00:00.000000Z")  # type: ignore[union-attr]


def test_alerts_have_the_tag_of_the_data_model() -> None:
    assert conf("tags")["eventtype=querywarden_alert"]["alert"] == "enabled"
    assert set(conf("eventtypes").sections()) >= {"querywarden_alert", "querywarden_heartbeat"}


@pytest.mark.parametrize("search", [*conf("savedsearches").sections()])
def test_nothing_is_scheduled_before_somebody_wants_it(search: str) -> None:
    assert conf("savedsearches")[search].get("enableSched", "0") == "0"


def test_searches_name_fields_that_alerts_have() -> None:
    known = MADE | {field for one in golden() for field in _fields(cim.event(one))}
    queries = [section["search"] for section in conf("savedsearches").values() if "search" in section]
    view = ET.parse(APP / "default" / "data" / "ui" / "views" / "querywarden_overview.xml")  # noqa: S314 - our own file
    queries += [query.text or "" for query in view.iter("query")]
    assert len(queries) == 10
    for query in queries:
        named = re.findall(r"(?:latest|dc)\(([\w.{}]+)\)|\bBY ([\w.{}]+)|([\w.{}]+)!?=\"", query)
        assert {field for group in named for field in group if field} <= known | {"signal"}, query


def _fields(value: Any, prefix: str = "") -> set[str]:
    """The names that Splunk gives to what is in an event: `a.b`, and `a{}` for the values of a list."""
    if isinstance(value, dict):
        return {name for key, below in value.items() for name in _fields(below, f"{prefix}.{key}".lstrip("."))}
    if isinstance(value, list):
        return {name for below in value for name in _fields(below, f"{prefix}{{}}")} or {f"{prefix}{{}}"}
    return {prefix}
