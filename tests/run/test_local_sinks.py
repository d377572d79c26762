"""Sinks of a running runner: one that is away delays nobody, and what waited comes when it is back."""

from __future__ import annotations

import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import msgspec
import pytest

from detector.alert import Alert
from detector.errors import SinkBusy, SinkRefused
from detector.run.local import LocalRunner
from detector.run.outbox import Outbox
from detector.settings import settings_of
from sinks.contract import Delivery
from sinks.file import FileSettings
from tests.run.hour import hour
from tests.run.kept import alerts
from tests.run.made import ScriptedSettings, ScriptedSink
from tests.run.scene import document


def runner(folder: Path, profile: Path, sink: ScriptedSink, **sections: Any) -> LocalRunner:
    """One with a sink that does as it is told, and a file beside it."""
    settings = settings_of(document(folder, profile, **sections))
    sinks = (ScriptedSettings(sink, batch_size=2), FileSettings(path=str(folder / "alerts.jsonl")))
    return LocalRunner(msgspec.structs.replace(settings, sinks=sinks))


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "log.jsonl").write_bytes(b"".join(line + b"\n" for line in hour().lines))
    return tmp_path


def away(error: Exception) -> ScriptedSink:
    def script(alerts: Sequence[Alert]) -> Delivery:
        raise error

    return ScriptedSink(script)


def in_file(folder: Path) -> list[str]:
    lines = (folder / "alerts.jsonl").read_bytes().splitlines()
    return [alert.id for alert in (msgspec.json.decode(line, type=Alert) for line in lines) if alert.kind != "health"]


@pytest.mark.parametrize(
    "error", [SinkBusy("down for an hour", retry_after_s=3600.0), SinkRefused("wrong token")], ids=["busy", "refused"]
)
def test_a_sink_that_is_away_delays_nobody_and_gets_all_later(saved: Path, folder: Path, error: Exception) -> None:
    began = time.monotonic()
    first = runner(folder, saved, away(error))
    first.run()
    assert time.monotonic() - began < 10.0
    standings = first._couriers.standings()  # the last look at health may have come before the courier's first try
    assert any("down for an hour" in s.reason or "wrong token" in s.reason for s in standings)
    everything = [alert.id for alert in alerts(folder)]
    assert in_file(folder) == everything
    back = ScriptedSink()
    runner(folder, saved, back).run()
    assert back.taken == everything
    assert in_file(folder) == everything


def test_alerts_go_out_while_the_log_is_read_and_the_rest_when_it_ends(saved: Path, folder: Path) -> None:
    sink = ScriptedSink()
    runner(folder, saved, sink).run()
    assert sink.taken == [alert.id for alert in alerts(folder)]
    assert sink.closed == 1


def test_what_was_told_long_ago_is_dropped_once_all_sinks_have_it(saved: Path, folder: Path) -> None:
    runner(folder, saved, ScriptedSink()).run()
    before = len(alerts(folder))
    later = runner(folder, saved, ScriptedSink())
    later._main.outbox._wall = lambda: time.time() + 31 * 86_400
    later.run()
    assert before > 0
    assert alerts(folder) == []
    outbox = Outbox(folder / "store" / "outbox.sqlite")
    assert outbox.db.read("SELECT count(*) FROM outbox WHERE payload IS NULL") == [(before,)]
    outbox.close()
