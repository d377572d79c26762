"""Workers on a real Kafka: whatever is killed, every client ends as `replay` has him, and each alert is told once."""

from __future__ import annotations

import os
import random
import threading
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from detector.alert import Alert
from detector.decide import Case
from detector.logs.native import decode_many
from detector.policy import Storm
from detector.profile import artefact
from detector.run.replay import read_logs, replay
from detector.settings import PolicySettings
from tests.crash.fleet import Fleet, Left
from tests.crash.stage import Record, Stage

pytestmark = pytest.mark.server

SEEDS = tuple(map(int, os.environ.get("QUERYWARDEN_CHAOS_SEEDS", "1").split(",")))
BLOWS = 8  # six kills and two zombies
FROZEN_S = 8.0  # longer than a worker's session
WRITE_PAUSE_S = 0.25  # between bursts, so that the log lasts as long as the blows


def expected(profile: Path, log: list[Record], folder: Path) -> Left:
    """What `replay` finds of clients in the same records."""
    path = folder / "whole.jsonl"
    path.write_bytes(b"".join(record.line + b"\n" for record in log))
    loaded = artefact.load(profile)
    policy = PolicySettings(storm=Storm(at_least=0)).over(loaded.summary.policy.thresholds)
    done = replay(loaded, policy, read_logs([str(path)]), decode_many)
    clients = done.pipeline.clients
    keys = set(clients.keys)
    cases: dict[bytes, Case] = {key: case for key, case in done.pipeline.cases.items() if key in keys}
    alerts = [alert for alert in done.alerts if alert.entity.kind == "client"]
    return Left({id_: clients.rows[slot].tobytes() for slot, id_ in enumerate(clients.ids)}, cases, alerts)


def by_client(alerts: list[Alert]) -> dict[str, list[Alert]]:
    found: dict[str, list[Alert]] = {}
    for alert in alerts:
        found.setdefault(alert.entity.id, []).append(alert)
    return found


def assert_same(fleet: Fleet, wanted: Left) -> None:
    left = fleet.left()
    assert len(wanted.alerts) > 10
    assert left.rows.keys() == wanted.rows.keys()
    assert [id_ for id_, row in left.rows.items() if row != wanted.rows[id_]] == []
    assert left.cases == wanted.cases
    assert by_client(left.alerts) == by_client(wanted.alerts)  # each once, in its client's order
    indexed = fleet.indexed()
    assert set(indexed) == {alert.id for alert in wanted.alerts}
    assert set(indexed.values()) == {1}


def test_one_worker_finds_what_replay_finds(stage: Stage, log: list[Record], profile: Path, tmp_path: Path) -> None:
    fleet = Fleet(stage, 1)
    status, said = fleet.topics()
    assert status == 0, said
    stage.write(log)
    fleet.start(0)
    fleet.drain()
    assert_same(fleet, expected(profile, log, tmp_path))
    assert fleet.ended == 0
    assert fleet.children[0].stop() == 0


@pytest.mark.parametrize("seed", SEEDS)
def test_workers_and_a_broker_that_are_killed_change_nothing(
    stage: Stage, log: list[Record], profile: Path, tmp_path: Path, seed: int
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
    writing = threading.Thread(target=stage.write, args=(log,), kwargs={"pause_s": WRITE_PAUSE_S}, daemon=True)
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
    assert_same(fleet, expected(profile, log, tmp_path))


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
    assert fleet.left().rows == expected(profile, log[500:800], tmp_path).rows


def test_workers_come_in_by_sasl_over_tls(
    stage: Stage, log: list[Record], profile: Path, tmp_path: Path, secure: Mapping[str, Any]
) -> None:
    fleet = Fleet(stage, 1, **secure)
    assert fleet.topics()[0] == 0
    stage.write(log[:300])
    fleet.start(0)
    fleet.drain()
    assert fleet.left().rows == expected(profile, log[:300], tmp_path).rows


def test_a_changed_number_of_partitions_is_refused(stage: Stage) -> None:
    fleet = Fleet(stage, 1)
    assert fleet.topics()[0] == 0
    status, said = fleet.topics()
    assert (status, said.count("as it must be")) == (0, 5)
    text = fleet.first.config.read_text().replace("partitions = 3", "partitions = 4")
    fleet.first.config.write_text(text)
    status, said = fleet.topics()
    assert status == 1
    assert "cluster.partitions: 4, but the topic" in said
    assert "their number cannot change: set it to 3" in said
