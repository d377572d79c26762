"""Workers on a real Kafka: whatever is killed, all ends as `replay` has it, and each alert is told once."""

from __future__ import annotations

import os
import random
import threading
from collections.abc import Mapping
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest

from detector.alert import Alert
from detector.logs.native import decode_many
from detector.pipeline import Pipeline
from detector.policy import Budget, Dated, Storm
from detector.profile import artefact
from detector.run.replay import read_logs, replay
from detector.settings import PolicySettings, micros
from tests.crash.fleet import Fleet, Left
from tests.crash.stage import Record, Stage
from tests.driving import outcome, rows

pytestmark = pytest.mark.server

SEEDS = tuple(map(int, os.environ.get("QUERYWARDEN_CHAOS_SEEDS", "1").split(",")))
BLOWS = 8  # six kills and two zombies
FROZEN_S = 8.0  # longer than a worker's session
WRITE_PAUSE_S = 0.25  # between bursts, so that the log lasts as long as the blows


def expected(profile: Path, log: list[Record], folder: Path) -> Left:
    """What `replay` finds in the same records."""
    path = folder / "whole.jsonl"
    path.write_bytes(b"".join(record.line + b"\n" for record in log))
    loaded = artefact.load(profile)
    policy = PolicySettings().over(loaded.summary.policy.thresholds)
    done = replay(loaded, policy, read_logs([str(path)]), decode_many)
    return Left(rows(done.pipeline), dict(done.pipeline.cases), done.alerts, done.held)


def by_entity(alerts: list[Alert]) -> dict[tuple[str, str], list[Alert]]:
    found: dict[tuple[str, str], list[Alert]] = {}
    for alert in alerts:
        found.setdefault((alert.entity.kind, alert.entity.id), []).append(alert)
    return found


def of_clients(left: Left) -> dict[str, bytes]:
    """Of a log that no bell ends the last ticks are open: groups are not judged to its end."""
    return {id_: row for (kind, id_), row in left.rows.items() if kind == "client"}


def assert_same(fleet: Fleet, wanted: Left) -> None:
    left = fleet.left()
    assert {"client", "organisation", "population"} <= {alert.entity.kind for alert in wanted.alerts}
    assert len(wanted.alerts) > 10
    assert wanted.held
    assert left.rows.keys() == wanted.rows.keys()
    assert [id_ for id_, row in left.rows.items() if row != wanted.rows[id_]] == []
    assert left.cases == wanted.cases
    assert by_entity(left.alerts) == by_entity(wanted.alerts)  # each once, in its entity's order
    assert by_entity(left.held) == by_entity(wanted.held)
    indexed = fleet.indexed()
    assert set(indexed) == {alert.id for alert in wanted.alerts}
    assert set(indexed.values()) == {1}


def test_one_worker_finds_what_replay_finds(stage: Stage, crowded: list[Record], profile: Path, tmp_path: Path) -> None:
    fleet = Fleet(stage, 1)
    status, said = fleet.topics()
    assert status == 0, said
    stage.write(crowded)
    fleet.start(0)
    fleet.drain()
    assert_same(fleet, expected(profile, crowded, tmp_path))
    assert fleet.ended == 0
    assert fleet.children[0].stop() == 0


def test_workers_that_start_at_once_share_what_is_there_and_none_ends(
    stage: Stage, crowded: list[Record], profile: Path, tmp_path: Path
) -> None:
    """The first has all partitions for a moment, and some are handed to and fro while they are opened."""
    fleet = Fleet(stage, 2)
    assert fleet.topics()[0] == 0
    stage.write(crowded)
    for number in range(2):
        fleet.start(number)
    fleet.drain()
    assert_same(fleet, expected(profile, crowded, tmp_path))
    assert fleet.ended == 0


@pytest.mark.parametrize("seed", SEEDS)
def test_workers_and_a_broker_that_are_killed_change_nothing(
    stage: Stage, crowded: list[Record], profile: Path, tmp_path: Path, seed: int
) -> None:
    """Two workers; while the log is written one of them is killed again and again, or stopped for so long that its
    partitions are given away and it wakes as a zombie; once the broker is killed, too.
    """
    fleet = Fleet(stage, 2)
    status, said = fleet.topics()
    assert status == 0, said
    rng = random.Random(seed)
    for number in range(2):
        fleet.start(number)
    writing = threading.Thread(target=stage.write, args=(crowded,), kwargs={"pause_s": WRITE_PAUSE_S}, daemon=True)
    writing.start()
    for blow in range(BLOWS):
        threading.Event().wait(rng.uniform(3.0, 8.0))
        fleet.supervise()
        victim = rng.randrange(2)
        if blow % 3 == 2:
            fleet.freeze(victim, FROZEN_S)
            continue
        fleet.kill(victim)
        if blow == BLOWS // 2:
            stage.kafka.kill()
            stage.kafka.start()
        threading.Event().wait(rng.uniform(0.5, 3.0))
        fleet.start(victim)
    while writing.is_alive():
        writing.join(1.0)
        fleet.supervise()
    fleet.drain()
    assert_same(fleet, expected(profile, crowded, tmp_path))


def test_a_policy_holds_for_all_from_one_log_time_on(
    stage: Stage, crowded: list[Record], profile: Path, tmp_path: Path
) -> None:
    """Whoever is killed after it was decided. Another one, for a time that all have passed, is refused."""
    fleet = Fleet(stage, 2)
    assert fleet.topics()[0] == 0
    for number in range(2):
        fleet.start(number)
    place = next(i for i, record in enumerate(crowded) if b'"at":"2026-01-18' in record.line)
    stage.write(crowded[:place])
    fleet.drain()
    since, changed = "2026-01-20T10:00:00Z", {"budget": {"soft": 64}, "storm": {"at_least": 0}}
    status, said = fleet.apply(since, **changed)
    assert (status, "holds from 2026-01-20T10:00:00" in said) == (0, True), said
    status, said = fleet.apply("2026-01-06T00:00:00Z", cool_down_s=1.0)
    assert (status, "has come to" in said) == (1, True), said
    fleet.kill(1)
    stage.write(crowded[place:])
    fleet.start(1)
    fleet.drain()
    loaded = artefact.load(profile)
    promised = loaded.summary.policy.thresholds
    later = PolicySettings(budget=Budget(soft=64), storm=Storm(at_least=0)).over(promised)
    journal = [Dated(0, PolicySettings().over(promised)), Dated(micros(datetime.fromisoformat(since)), later)]
    path = tmp_path / "whole.jsonl"
    path.write_bytes(b"".join(record.line + b"\n" for record in crowded))
    pipeline = Pipeline(loaded, journal, decode_many)
    done = outcome(pipeline, [*map(pipeline.advance, read_logs([str(path)])), pipeline.tick()])
    left = fleet.left()
    assert (left.rows, left.cases) == (done.rows, done.cases)
    assert by_entity(left.alerts) == by_entity(done.alerts)
    assert {"budget"} < {alert.kind for alert in left.alerts}
    assert not left.held


def test_reading_begins_where_it_was_settled(stage: Stage, log: list[Record], profile: Path, tmp_path: Path) -> None:
    """With `start = "latest"`: at the end of the log when `querywarden topics` ran first, not when a worker started."""
    fleet = Fleet(stage, 1, start="latest")
    stage.write(log[:500])
    assert fleet.topics()[0] == 0
    stage.write(log[500:800])
    status, said = fleet.topics()
    assert (status, "0 of them begun" in said) == (0, True)
    fleet.start(0)
    fleet.drain()
    assert of_clients(fleet.left()) == of_clients(expected(profile, log[500:800], tmp_path))


def test_workers_come_in_by_sasl_over_tls(
    stage: Stage, log: list[Record], profile: Path, tmp_path: Path, secure: Mapping[str, Any]
) -> None:
    fleet = Fleet(stage, 1, **secure)
    assert fleet.topics()[0] == 0
    stage.write(log[:300])
    fleet.start(0)
    fleet.drain()
    assert of_clients(fleet.left()) == of_clients(expected(profile, log[:300], tmp_path))


def test_a_changed_number_of_partitions_is_refused(stage: Stage) -> None:
    fleet = Fleet(stage, 1)
    assert fleet.topics()[0] == 0
    status, said = fleet.topics()
    assert (status, said.count("as it must be")) == (0, 11)
    text = fleet.first.config.read_text().replace("partitions = 3", "partitions = 4")
    fleet.first.config.write_text(text)
    status, said = fleet.topics()
    assert status == 1
    assert "cluster.partitions: 4, but the topic" in said
    assert "their number cannot change: set it to 3" in said
