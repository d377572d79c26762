"""`querywarden run` as a process: what it says of itself, how it ends, and what is there after kill -9."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest

from detector.alert import Alert
from detector.profile import artefact
from detector.run.forgetting import ask
from detector.run.local import LocalRunner
from detector.run.store import Reader
from detector.settings import settings_of
from tests.run.child import Child, configured, total
from tests.run.hour import RUBBISH, hour
from tests.run.kept import kept, retold, told
from tests.run.scene import document

Start = Callable[[], Child]


@pytest.fixture
def start(saved: Path, tmp_path: Path) -> Iterator[Start]:
    """Starts runners that follow the same log into the same store and alert file."""
    config = configured(tmp_path / "run.toml", settings(tmp_path, saved, follow=True))
    children: list[Child] = []

    def start_one() -> Child:
        children.append(Child(config, tmp_path / "run.log"))
        return children[-1]

    yield start_one
    for child in children:
        child.kill()


def settings(folder: Path, profile: Path, *, follow: bool) -> dict[str, Any]:
    return document(
        folder,
        profile,
        source={"follow": follow, "batch_size": 20},
        store={"snapshot_s": 0.05},
        sinks=[{"type": "file", "path": str(folder / "alerts.jsonl")}],
    )


def append(folder: Path, lines: list[bytes]) -> int:
    """Returns the size of the log."""
    with (folder / "log.jsonl").open("ab") as file:
        file.writelines(line + b"\n" for line in lines)
        return file.tell()


def sent(folder: Path) -> list[Alert]:
    """What is in the alert file, without heartbeats."""
    lines = (folder / "alerts.jsonl").read_bytes().splitlines()
    return [alert for alert in (msgspec.json.decode(line, type=Alert) for line in lines) if alert.kind != "health"]


def stored(folder: Path) -> int:
    """How far the last snapshot has come in the log."""
    reader = Reader(folder / "store" / "state.sqlite")
    found = reader.db.read("SELECT sum(next_offset) FROM positions")[0][0]
    reader.close()
    return found or 0


class _Named(msgspec.Struct):
    client: str
    groups: dict[str, str] | None


def _entities() -> int:
    named = [msgspec.json.decode(line, type=_Named) for line in hour().lines if line != RUBBISH]
    return len({one.client for one in named} | {one.groups["organisation"] for one in named if one.groups})


def test_it_says_how_it_stands_and_ends_in_good_order(start: Start, tmp_path: Path) -> None:
    size = append(tmp_path, hour().lines)
    rubbish = hour().lines.count(RUBBISH)
    child = start()
    child.until(lambda: total(child.metrics(), "querywarden_records") == len(hour().lines), "all records")
    child.until(lambda: len(sent(tmp_path)) == total(child.metrics(), "querywarden_alerts"), "all alerts")
    child.until(lambda: total(child.metrics(), "querywarden_entities") == _entities(), "the gauges")
    metrics, (status, ready) = child.metrics(), child.get("/readyz")
    assert child.get("/healthz") == (200, "alive\n")
    assert (status, json.loads(ready)["state"], json.loads(ready)["reasons"]) == (200, "ok", [])
    assert child.stop() == 0
    found = kept(tmp_path)
    assert list(found.positions.values()) == [size]
    assert total(metrics, "querywarden_queries") == len(hour().lines) - rubbish
    assert metrics["querywarden_dead_letters_total", "json"] == rubbish == len(found.letters)
    assert total(metrics, "querywarden_lag") == total(metrics, "querywarden_sink_backlog") == 0
    assert metrics["querywarden_sink_state", "file", "ok"] == 1
    assert total(metrics, "querywarden_tape_points") == len(found.tape)
    assert told(sent(tmp_path)) == found.told == retold(tmp_path)


def test_after_kill_minus_nine_all_is_as_without(start: Start, saved: Path, tmp_path: Path) -> None:
    log = hour().lines
    for begin, end in ((0, 150), (150, 320)):
        child = start()
        child.until(lambda: total(child.metrics(), "querywarden_snapshot_seconds_count") > 0, "the start")  # noqa: B023
        before, size = stored(tmp_path), append(tmp_path, log[begin:end])
        child.until(lambda: stored(tmp_path) > before, "a snapshot")  # noqa: B023
        child.kill()
        assert before < stored(tmp_path) <= size
    append(tmp_path, log[320:])
    LocalRunner(settings_of(settings(tmp_path, saved, follow=False))).run()
    assert told(sent(tmp_path)) == kept(tmp_path).told == retold(tmp_path)
    (tmp_path / "once").mkdir()
    append(tmp_path / "once", log)
    LocalRunner(settings_of(settings(tmp_path / "once", saved, follow=False))).run()
    assert kept(tmp_path) == kept(tmp_path / "once")


def test_a_running_one_forgets_within_a_second_and_after_kill_minus_nine_too(
    start: Start, saved: Path, tmp_path: Path
) -> None:
    gone, store = "n1", tmp_path / "store" / "state.sqlite"
    append(tmp_path, hour().lines)
    child = start()
    child.until(lambda: total(child.metrics(), "querywarden_records") == len(hour().lines), "all records")
    child.until(lambda: gone in names(store), "his row")
    ask(store, "client", gone, keep_alerts=False)
    child.until(lambda: gone not in names(store), "that he is forgotten")
    child.kill()
    child = start()
    child.until(lambda: total(child.metrics(), "querywarden_snapshot_seconds_count") > 0, "the start")
    append(tmp_path, [line for line in hour().lines if f'"client":"{gone}"'.encode() in line][:5])
    child.until(lambda: gone in names(store), "his return")
    assert child.stop() == 0
    rows = {id_: row for (_, id_), row in kept(tmp_path).rows.items()}
    table = artefact.load(saved).entities("client")
    table.restore(gone, rows[gone])
    assert int(table.rows["n"][0]) == 5


def names(store: Path) -> set[str]:
    """Of the entities that the store knows."""
    reader = Reader(store)
    found = {id_ for (id_,) in reader.db.read("SELECT id FROM names")}
    reader.close()
    return found
