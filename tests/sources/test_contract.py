"""What every registered source keeps."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import pytest

from detector.errors import SettingsError
from detector.sources import SOURCES, AnySourceSettings
from detector.sources.contract import Source, SourceSettings
from detector.sources.files import FileSettings
from detector.sources.files_bounded import FileReplay
from detector.sources.kafka import KafkaSettings
from detector.sources.kafka_reader import KafkaSource
from detector.sources.stdin import StdinSettings, StdinSource
from tests.sources.broker import Broker
from tests.sources.clock import HandClock

EXAMPLES: dict[str, dict[str, Any]] = {
    "file": {"paths": ["inference.jsonl"]},
    "kafka": {"brokers": ["127.0.0.1:9092"], "topic": "inference"},
    "stdin": {},
}
RECORDS = [f'{{"n": {number}}}'.encode() for number in range(950)]
TEXT = b"".join(record + b"\n" for record in RECORDS)

Make = Callable[[], Source]


def tag(settings: type) -> str:
    return str(settings.__struct_config__.tag)  # type: ignore[attr-defined]


def from_files(tmp_path: Path, *, followed: bool) -> Make:
    (tmp_path / "log").write_bytes(TEXT)
    return FileSettings(paths=(str(tmp_path / "log"),), batch_size=100, follow=followed).connect


def from_stdin(tmp_path: Path) -> Make:
    (tmp_path / "log").write_bytes(TEXT)
    settings = StdinSettings(batch_size=100)
    return lambda: StdinSource(settings, run_id="run", fd=os.open(tmp_path / "log", os.O_RDONLY))


def from_kafka(request: pytest.FixtureRequest) -> Make:
    broker: Broker = request.getfixturevalue("kafka")
    topic = broker.topic()
    broker.send(topic, RECORDS)
    settings = KafkaSettings(brokers=(broker.bootstrap,), topic=topic, start="earliest", batch_size=100)
    return lambda: KafkaSource(settings, clock=HandClock())


RESUMABLE = ["file", "file followed", pytest.param("kafka", marks=pytest.mark.server)]


@pytest.fixture(params=[*RESUMABLE, "stdin"])
def make(request: pytest.FixtureRequest, tmp_path: Path) -> Make:
    """Makes a source over RECORDS in one stream; again and again over the same records."""
    if request.param == "stdin":
        return from_stdin(tmp_path)
    if request.param == "kafka":
        return from_kafka(request)
    return from_files(tmp_path, followed=request.param == "file followed")


def test_every_source_is_tried_here() -> None:
    assert set(EXAMPLES) == {tag(settings) for settings in SOURCES}


@pytest.mark.parametrize("settings", SOURCES, ids=tag)
def test_settings_are_read_by_type_and_unknown_keys_are_errors(settings: type[SourceSettings]) -> None:
    written = {"type": tag(settings), **EXAMPLES[tag(settings)]}
    assert type(msgspec.convert(written, AnySourceSettings)) is settings
    with pytest.raises(msgspec.ValidationError, match="unknown field `brokrs`"):
        msgspec.convert({**written, "brokrs": []}, AnySourceSettings)


@pytest.mark.parametrize("settings", SOURCES, ids=tag)
def test_settings_are_frozen_and_connect_does_no_io(settings: type[SourceSettings]) -> None:
    read = msgspec.convert(EXAMPLES[tag(settings)], settings)
    with pytest.raises(AttributeError):
        read.batch_size = 1  # type: ignore[attr-defined]
    source: Source = read.connect()
    source.close()


def test_every_record_comes_once_in_order_with_offsets_that_grow(make: Make) -> None:
    source = make()
    source.open({})
    payloads: list[bytes] = []
    offsets: list[int] = []
    position = None
    while len(payloads) < len(RECORDS):
        for chunk in source.read(10.0):
            assert len(chunk.payloads) == len(chunk.offsets) == len(chunk.bounds_at) <= 100
            assert position is None or chunk.offsets[0] == position
            assert chunk.stream in source.streams() or source.exhausted
            payloads += chunk.payloads
            offsets += chunk.offsets
            position = chunk.next_offset
            source.commit({chunk.stream: position})
    assert payloads == RECORDS
    assert offsets == sorted(set(offsets))
    assert source.read(0.0) == []
    assert sum(source.lag().values()) == 0
    source.close()


@pytest.mark.parametrize("make", RESUMABLE, indirect=True)
def test_a_stream_with_something_left_is_not_drained_and_positions_are_those_of_what_was_given(make: Make) -> None:
    source = make()
    source.open({})
    (stream,) = source.streams()
    assert source.positions() == {stream: 0}
    assert source.drained([stream]) == set()
    (chunk,) = source.read(10.0)
    assert source.positions() == {stream: chunk.next_offset}
    assert source.drained([stream]) == set()
    while source.lag()[stream]:
        source.read(10.0)
    assert source.drained([stream]) == (set() if source.exhausted or isinstance(source, FileReplay) else {stream})
    assert source.drained([]) == set()
    source.close()


@pytest.mark.parametrize("make", RESUMABLE, indirect=True)
def test_a_source_goes_on_at_any_position(make: Make) -> None:
    positions: dict[str, int] = {}
    got: list[bytes] = []
    while len(got) < len(RECORDS):
        source = make()
        source.open(positions)
        (chunk,) = source.read(10.0)
        got += chunk.payloads
        positions[chunk.stream] = chunk.next_offset
        source.close()
    assert got == RECORDS


@pytest.mark.parametrize(
    "wrong",
    [
        {"start": "yesterday"},
        {"start": "2026-03-01T00:00:00"},
        {"sasl_mechanism": "PLAIN"},
        {"username": "alice"},
        {"ca_file": "ca.pem"},
        {"partitions": []},
        {"topic": "no spaces"},
        {"brokers": []},
    ],
    ids=str,
)
def test_kafka_settings_that_cannot_be_meant_are_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(SettingsError, match=r"Kafka source|start ="):
        msgspec.convert({**EXAMPLES["kafka"], **wrong}, KafkaSettings)
