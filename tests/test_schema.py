"""The schemas describe what is really read and written, and the pages are as the code would write them."""

from __future__ import annotations

import json
from pathlib import Path

import jsonschema
import msgspec
import pytest

from detector.alert import Alert, Entity, Promise, Reason
from detector.errors import DecodeError
from detector.logs.schema import log_examples
from detector.schema import meanings, pages, schemas
from detector.settings import Settings
from tests.reading import decode_all

DOCS = Path(__file__).parent.parent / "docs"
SCHEMAS = schemas()

ALERT = Alert(
    id="0" * 32,
    kind="extraction",
    action="open",
    case_id="1" * 32,
    at="2026-01-01T00:00:00Z",
    model="fraud",
    entity=Entity("client", "acct-1"),
    severity="high",
    score=2.5,
    threshold=1.5,
    queries=40,
    query_id="q-40",
    promise=Promise(0.01, None, "30d", "measured"),
    reasons=(Reason("spacing.nearest", 31.0, "The queries are spread out."),),
    techniques=("AML.T0024.002",),
    profile="p1",
    policy="v1",
    message="acct-1 copies fraud",
)


@pytest.mark.parametrize("name", sorted(pages()))
def test_pages_are_current(name: str) -> None:
    written = (DOCS / name).read_text(encoding="utf-8")
    assert written == pages()[name], "run: python -m detector.schema docs"


@pytest.mark.parametrize("name", sorted(SCHEMAS))
def test_schemas_are_json_schema_2020_12(name: str) -> None:
    jsonschema.Draft202012Validator.check_schema(SCHEMAS[name])
    json.dumps(SCHEMAS[name])


@pytest.mark.parametrize("example", log_examples(), ids=lambda example: str(example.get("id")))
def test_log_examples_validate_and_decode(example: dict[str, object]) -> None:
    jsonschema.validate(example, SCHEMAS["log"])
    decode_all(json.dumps(example).encode())


@pytest.mark.parametrize(
    "record",
    [
        {"at": 1},
        {"input": [1]},
        {"at": -1, "input": [1]},
        {"at": 1.7e12, "input": [1]},
        {"at": True, "input": [1]},
        {"at": 1, "input": []},
        {"at": 1, "input": [[]]},
        {"at": 1, "input": ""},
        {"at": 1, "input": [None]},
        {"at": 1, "input": [True]},
        {"at": 1, "input": [1, [2]]},
        {"at": 1, "input": {}},
        {"at": 1, "input": {"a": [1]}},
        {"at": 1, "input": [{"content": "no role"}]},
        {"at": 1, "input": [{"role": "user", "content": 1}]},
        {"at": 1, "input": [1], "embedding": ["a"]},
        {"at": 1, "input": [[[[[1]]]]]},
        {"at": 1, "input": [1], "client": 1.5},
        {"at": 1, "input": [1], "groups": {"a": []}},
        {"at": 1, "input": [1], "model": 1},
        {"at": 1, "input": [1], "output": {"label": 1.5}},
        {"at": 1, "input": [1], "output": {"probabilities": [2]}},
        {"at": 1, "input": [1], "output": {"probabilities": {"a": None}}},
        {"at": 1, "input": [1], "output": {"text": 1}},
        [],
    ],
    ids=str,
)
def test_what_the_log_schema_refuses_is_refused_by_the_decoder(record: object) -> None:
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate(record, SCHEMAS["log"])
    with pytest.raises(DecodeError):
        decode_all(json.dumps(record).encode())


def test_an_alert_validates() -> None:
    document = json.loads(msgspec.json.encode(ALERT))
    jsonschema.validate(document, SCHEMAS["alert"])
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate({**document, "severity": "dreadful"}, SCHEMAS["alert"])


def test_settings_that_load_validate() -> None:
    document = {
        "source": {"type": "stdin"},
        "policy": {"thresholds": {"client": {"high": 2}}},
        "run": {"no_alerts_before": "2026-01-01T00:00:00Z"},
    }
    jsonschema.validate(document, SCHEMAS["settings"])
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate({**document, "policies": {}}, SCHEMAS["settings"])


OURS = [field.type for field in msgspec.structs.fields(Settings) if field.name not in {"source", "sinks"}]


@pytest.mark.parametrize("section", OURS, ids=str)
def test_every_key_of_ours_says_what_it_means(section: type[msgspec.Struct]) -> None:
    assert all(meanings(section).values())
