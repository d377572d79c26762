"""What goes out, byte for byte. `python -m tests.sinks.regenerate` writes the files anew."""

from __future__ import annotations

import json
from typing import Any

import msgspec
import pytest

from detector.alert import TECHNIQUES, Alert
from sinks.ecs import RULES, SUBTECHNIQUES, document
from sinks.ecs import TECHNIQUES as NAMED
from tests.sinks.alerts import alert, golden
from tests.sinks.conftest import DEPLOY
from tests.sinks.regenerate import GOLDEN, STREAM, golden_files


@pytest.mark.parametrize("name", ["alerts.jsonl", "bulk.ndjson", "ecs.json", "hec.json"])
def test_what_goes_out_is_as_before(name: str) -> None:
    assert golden_files()[name].decode() == (GOLDEN / name).read_text(encoding="utf-8")


def test_a_line_of_the_file_reads_back_as_the_alert() -> None:
    lines = (GOLDEN / "alerts.jsonl").read_bytes().splitlines()
    assert msgspec.json.decode(lines[0], type=Alert) == golden()[0]


def test_every_kind_and_technique_has_a_name() -> None:
    used = {one for techniques in TECHNIQUES.values() for one in techniques}
    assert set(RULES) == set(TECHNIQUES)
    assert used == set(SUBTECHNIQUES)
    assert {one.rpartition(".")[0] for one in used} == set(NAMED)


def test_a_technique_that_we_have_no_name_for_keeps_its_id() -> None:
    threat = document(msgspec.structs.replace(alert(1), techniques=("AML.T0099",)), **STREAM)["threat"]
    assert threat["technique"] == {"id": ["AML.T0099"], "name": []}


def test_the_template_maps_every_field_that_we_send() -> None:
    properties = json.loads((DEPLOY / "index-template.json").read_text())["template"]["mappings"]["properties"]
    mapped = set(_mapped(properties))
    documents = json.loads((GOLDEN / "ecs.json").read_text(encoding="utf-8"))
    assert {path for one in documents for path in _leaves(one)} == mapped


def _mapped(properties: dict[str, Any], prefix: str = "") -> list[str]:
    paths = []
    for name, field in properties.items():
        below = field.get("properties")
        paths += _mapped(below, f"{prefix}{name}.") if below else [prefix + name]
    return paths


def _leaves(value: Any, prefix: str = "") -> list[str]:
    if isinstance(value, dict):
        return [path for name, below in value.items() for path in _leaves(below, f"{prefix}.{name}".lstrip("."))]
    if isinstance(value, list) and value and isinstance(value[0], dict):
        return [path for one in value for path in _leaves(one, prefix)]
    return [] if value == [] else [prefix]
