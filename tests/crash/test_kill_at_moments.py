"""Kills at the moments that matter most: while it starts, while it saves, while it delivers."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from tests.crash.stage import Record, Run, Stage, records, told_to_file, waiting
from tests.run.child import Child
from tests.run.kept import kept, retold

pytestmark = pytest.mark.server

STARTS = 4  # kills spread over the time that a start takes
MARGIN_S = 0.3
SAVES = 3


def test_killed_while_starting_saving_and_delivering(stage: Stage, log: list[Record]) -> None:
    part = log[: len(log) // 3] + log[-4:]
    run = stage.new_run("killed", store={"snapshot_s": 0.2})
    stage.write(part[:500])
    child = _killed_while_starting(stage, run)
    _killed_while_saving(stage, run, child, part[500:1500])
    _killed_while_delivering(stage, run, part[1500:3000])
    stage.write(part[3000:])
    stage.finish(run, stage.start(run), len(part))
    expected, found = stage.undisturbed(len(part)), kept(run.folder)
    assert found == expected
    assert found.told == retold(run.folder)
    stage.assert_each_once(run, found.told)


def _killed_while_starting(stage: Stage, run: Run) -> Child:
    """The first start shows how long one takes; the following ones are killed on the way."""
    began = time.monotonic()
    child = stage.start(run)
    child.until(lambda: records(child) > 0, "the first records")
    takes_s = time.monotonic() - began + MARGIN_S
    child.kill()
    for number in range(STARTS):
        child = stage.start(run)
        time.sleep(takes_s * (number + 1) / STARTS)
        child.kill()
    return stage.start(run)


def _killed_while_saving(stage: Stage, run: Run, child: Child, part: list[Record]) -> None:
    """As soon as the write-ahead log of the store changes, a snapshot is under way, or was a moment ago."""
    log = run.folder / "store" / "state.sqlite-wal"
    child.until(lambda: records(child) > 0 or log.exists(), "the store to be open")
    for number in range(SAVES):
        child.until(lambda: child.get("/readyz")[0] == 200, "the runner to read")  # noqa: B023
        before = _touched(log)
        stage.write(part[number * len(part) // SAVES : (number + 1) * len(part) // SAVES])
        child.until(lambda: _touched(log) != before, "a snapshot")  # noqa: B023
        child.kill()
        child = stage.start(run)
    child.kill()


def _touched(path: Path) -> tuple[int, int]:
    stat = path.stat()
    return stat.st_size, stat.st_mtime_ns


def _killed_while_delivering(stage: Stage, run: Run, part: list[Record]) -> None:
    """Once between the two sinks, once while Elasticsearch owes an answer."""
    for piece, paused in ((part[: len(part) // 2], False), (part[len(part) // 2 :], True)):
        child = stage.start(run)
        before = len(told_to_file(run))
        if paused:
            stage.elasticsearch.pause()
        stage.write(piece)
        child.until(lambda: len(told_to_file(run)) > before, "an alert in the file")  # noqa: B023
        if paused:
            child.until(lambda: waiting(run) > 0, "an alert on its way")
        child.kill()
        if paused:
            stage.elasticsearch.resume()
