"""Whatever an operator can set, count or meet is described, and nothing that is not there."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any, get_type_hints

import msgspec
import pytest

from detector import columns, pipeline
from detector.alert import Alert
from detector.logs.contract import REASONS
from detector.run.telemetry import Telemetry
from detector.settings import Settings
from features import NUMBERS
from tests.docs.pages import PAGES, ROOT, first_cells
from tests.layouts import CLIENT_ROW, GROUP_ROW

DOCS = ROOT / "docs"


def keys(struct: type[msgspec.Struct]) -> Iterator[str]:
    """Every key of the settings, those of sources, sinks and inner tables too."""
    hints = get_type_hints(struct)
    for field in msgspec.structs.fields(struct):
        yield field.encode_name
        for inner in _structs(hints[field.name]):
            yield from keys(inner)


def _structs(hint: Any) -> Iterator[type[msgspec.Struct]]:
    if isinstance(hint, type) and issubclass(hint, msgspec.Struct):
        yield hint
    for inner in getattr(hint, "__args__", ()):
        yield from _structs(inner)


@pytest.mark.parametrize("key", sorted(set(keys(Settings))))
def test_settings_are_described(key: str) -> None:
    assert re.search(rf"\b{key}\b", (DOCS / "settings.md").read_text()), f"docs/settings.md does not know {key}"


def test_metrics_are_described() -> None:
    ours = [metric for metric in Telemetry().registry.collect() if metric.name.startswith("querywarden_")]
    names = {metric.name + ("_total" if metric.type == "counter" else "") for metric in ours}
    assert set(first_cells(DOCS / "metrics.md", "metric")) == names


def test_metrics_have_the_type_and_the_labels_that_are_described() -> None:
    telemetry = Telemetry()
    page = (DOCS / "metrics.md").read_text()
    collectors = {collector for collector in vars(telemetry).values() if hasattr(collector, "_labelnames")}
    for collector in collectors:
        kind, name = collector._type, collector._name + ("_total" if collector._type == "counter" else "")
        labels = ", ".join(f"`{label}`" for label in collector._labelnames)
        assert f"| `{name}` | {kind} | {labels} |".replace("|  |", "| |") in page


def test_reasons_of_dead_letters_are_described() -> None:
    reasons = {*REASONS, columns.TEXT, columns.WIDTH, columns.NUMBERS}
    reasons |= {pipeline.FUTURE, pipeline.LATE, pipeline.IDENTITY}
    assert set(first_cells(DOCS / "logs.md", "reason")) == reasons


def test_fields_of_an_alert_are_described() -> None:
    described = ", ".join(first_cells(DOCS / "alerts.md", "field")).replace("`", "").split(", ")
    assert set(described) == set(Alert.__struct_fields__)


def test_signals_are_described() -> None:
    assert set(first_cells(DOCS / "mathematics.md", "signal")) == {signal.name for signal in NUMBERS.signals}


def test_row_sizes_are_those_of_the_layout() -> None:
    for page in PAGES:
        text = page.read_text()
        for size, of in re.findall(r"([\d,]+) bytes (?:for )?a (client|group)", text.replace("\n", " ")):
            row = CLIENT_ROW if of == "client" else GROUP_ROW
            assert int(size.replace(",", "")) == row.itemsize, page
