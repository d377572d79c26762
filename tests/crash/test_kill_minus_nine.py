"""Exact after kill -9: the alerts of an undisturbed run, each once in index and file, and its rows bit for bit.

Twenty kills of the runner, two of the broker, one of Elasticsearch, at moments drawn from a seed.
"""

from __future__ import annotations

import os
import random
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from tests.crash.stage import Record, Run, Stage, records, replayed
from tests.run.kept import kept, retold

pytestmark = pytest.mark.server

KILLS = 20
SEED = int(os.environ.get("QUERYWARDEN_CRASH_SEED", "20260105"))
BOTH_DIE = 5  # kill number: the broker and the runner, which starts again while the broker is away
BROKER_DIES = 12  # the runner reads on when the broker is back, and is killed then
ELASTICSEARCH_DIES = 8


def test_twenty_kills_change_nothing(
    stage: Stage, log: list[Record], profile: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    began = time.monotonic()
    run = stage.new_run("killed")
    again = _through_kills(stage, run, log)
    expected = stage.undisturbed(len(log))
    found = kept(run.folder)
    for part, one, other in zip(found._fields, found, expected, strict=True):
        assert one == other, f"{part} differ"
    assert found.told == retold(run.folder) == replayed(profile, log, tmp_path)
    assert {kind for kind, _ in found.told} == {"client", "organisation"}
    alerts = stage.assert_each_once(run, found.told)
    with capsys.disabled():
        print(  # noqa: T201
            f"\nKilled: the runner {KILLS} times, the broker twice, Elasticsearch once. {len(log):,} records, of which "
            f"{again:,} were read again; {len(found.rows):,} rows, {len(found.tape):,} points and {alerts} alerts on "
            f"{len(found.told)} entities are those of an undisturbed run; {time.monotonic() - began:.0f} s"
        )


def _through_kills(stage: Stage, run: Run, log: list[Record]) -> int:
    """Writes the log while runners read it and are killed, all but the last; returns how many records they reread."""
    rng = random.Random(SEED)
    parts = [log[k * len(log) // (KILLS + 1) : (k + 1) * len(log) // (KILLS + 1)] for k in range(KILLS + 1)]
    child, read = stage.start(run), 0
    with ThreadPoolExecutor(2) as pool:
        for number, part in enumerate(parts[:KILLS]):
            writing = pool.submit(stage.write, part, pause_s=0.05)
            child.until(lambda: records(child) > 0, "the first records")  # noqa: B023
            time.sleep(rng.uniform(0.0, 0.9))  # any moment: nothing is waited for
            if number == ELASTICSEARCH_DIES:
                stage.elasticsearch.kill()
                starting = pool.submit(stage.elasticsearch.start)
            if number in (BOTH_DIE, BROKER_DIES):
                stage.kafka.kill()
            if number == BROKER_DIES:
                stage.kafka.start()
                writing.result()
            read += records(child)
            child.kill()
            child = stage.start(run)
            if number == BOTH_DIE:
                child.until(lambda: child.said("The source is away"), "the runner to miss the broker")  # noqa: B023
                stage.kafka.start()
            writing.result()
        starting.result()
        stage.write(parts[KILLS])
        read += stage.finish(run, child, len(log))
    return read - len(log)
