"""Every registered sink keeps the contract: checks that run over the registry."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import msgspec
import pytest

from sinks import SINKS, AnySinkSettings, open_sink
from sinks.contract import Delivery, Sink
from tests.sinks.alerts import alert
from tests.sinks.conftest import tag_of

Examples = dict[str, Callable[[], dict[str, Any]]]
NEEDS_A_SERVER = ("elasticsearch", "opensearch")
TAGS = [pytest.param(tag, marks=[pytest.mark.server] if tag in NEEDS_A_SERVER else []) for tag in map(tag_of, SINKS)]
MINIMAL: dict[str, dict[str, Any]] = {
    "file": {"path": "alerts.jsonl"},
    "elasticsearch": {"url": "http://es.example:9200"},
    "opensearch": {"url": "http://os.example:9200"},
    "splunk_hec": {"url": "http://splunk.example:8088", "token": {"env": "HEC_TOKEN"}},
}


def read(tag: str, settings: dict[str, Any]) -> AnySinkSettings:
    read: AnySinkSettings = msgspec.convert({"type": tag, **settings}, AnySinkSettings)
    return read


@pytest.fixture
def sink(tag: str, examples: Examples) -> Iterator[Sink]:
    sink = open_sink(read(tag, examples[tag]()))
    yield sink
    sink.close()


def test_every_sink_has_an_example(examples: Examples) -> None:
    tags = {tag_of(settings) for settings in SINKS}
    assert tags == set(examples) == set(MINIMAL)


def test_the_union_reads_every_sink() -> None:
    assert {type(read(tag_of(settings), MINIMAL[tag_of(settings)])) for settings in SINKS} == set(SINKS)


@pytest.mark.parametrize("tag", MINIMAL)
def test_an_unknown_setting_is_rejected(tag: str) -> None:
    with pytest.raises(msgspec.ValidationError, match="unknown field `batchsize`"):
        read(tag, MINIMAL[tag] | {"batchsize": 3})


@pytest.mark.parametrize("tag", MINIMAL)
def test_a_batch_of_none_is_rejected(tag: str) -> None:
    with pytest.raises(msgspec.ValidationError, match="batch_size"):
        read(tag, MINIMAL[tag] | {"batch_size": 0})


@pytest.mark.parametrize("tag", MINIMAL)
def test_settings_are_frozen_and_have_a_name(tag: str) -> None:
    settings = read(tag, MINIMAL[tag])
    assert settings.name == tag
    with pytest.raises(AttributeError):
        settings.name = "other"  # type: ignore[misc]


@pytest.mark.parametrize("tag", TAGS)
def test_checks_while_there_is_nothing_and_after_the_first_alert(tag: str, sink: Sink) -> None:
    assert sink.check()
    assert sink.deliver([alert(1)]) == Delivery()
    assert sink.check()


@pytest.mark.parametrize("tag", TAGS)
def test_a_known_id_is_delivered(tag: str, sink: Sink) -> None:
    assert sink.deliver([alert(1), alert(2)]) == Delivery()
    assert sink.deliver([alert(2), alert(3)]) == Delivery()


@pytest.mark.parametrize("tag", TAGS)
def test_an_id_twice_in_one_call_is_delivered(tag: str, sink: Sink) -> None:
    assert sink.deliver([alert(1), alert(1)]) == Delivery()


@pytest.mark.parametrize("tag", TAGS)
def test_a_sink_that_was_never_used_closes(tag: str, sink: Sink) -> None:
    assert sink is not None
