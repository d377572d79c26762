"""The population at work in the pipeline: newcomers, successors and their takeover, in any order of arrival."""

from __future__ import annotations

from typing import Any

import msgspec
import numpy as np
import pytest

from detector.learned.population import News, Settled
from detector.pipeline import Pipeline, restore_rows
from detector.policy import Dated
from detector.profile.artefact import Profile
from detector.profile.succession import name_of, thresholds_of
from detector.query import Chunk
from tests import people
from tests.driving import drive, pipeline, saved_rows, steps

# Two of the profile's horizons after the log that it was learned from.
LATER_US = 13 * people.DAY_US


def later(seed: int, clients: int, **how: Any) -> list[people.Asked]:
    return [one._replace(at=one.at + LATER_US) for one in people.honest(seed, clients, **how)]


@pytest.fixture(scope="module")
def records() -> list[bytes]:
    """Twelve days of fresh honest clients, and thieves among them."""
    thieves = [q for i in range(6) for q in people.noise(f"t{i}", seed=i, at=people.START_US + LATER_US)]
    return people.log_of(people.in_order([*later(21, 260), *thieves]))


@pytest.fixture(scope="module")
def lived(profile: Profile, records: list[bytes]) -> tuple[Pipeline, list[News]]:
    alive = pipeline(profile)
    return alive, [news for step in steps(alive, people.chunks(records)) for news in step.news]


def settled(alive: Pipeline) -> Settled:
    assert alive.population is not None
    return alive.population.settled


def test_newcomers_are_compared_and_honest_ones_keep_the_promise(lived: tuple[Pipeline, list[News]]) -> None:
    found = settled(lived[0])
    assert found.watch.seen > 100
    assert found.watch.void_since is None


def test_thieves_teach_nothing(lived: tuple[Pipeline, list[News]]) -> None:
    alive, _ = lived
    thieves = {alive.clients.keys[alive.clients.slot(f"t{i}")] for i in range(6)}
    assert thieves <= settled(alive).suspects
    assert settled(alive).teaching.samples
    assert not thieves & {sample.key for sample in settled(alive).teaching.samples}


def test_an_epoch_that_closes_has_a_successor_that_was_calibrated_anew(
    profile: Profile, lived: tuple[Pipeline, list[News]]
) -> None:
    _, news = lived
    made = [one.successor for one in news if one.successor is not None]
    assert made
    last = made[-1]
    assert last.threshold.entities >= 19
    assert last.before.judges == last.after.judges == last.threshold.entities
    assert last.after.threshold == thresholds_of(profile, last)[0].score
    assert [t.severity for t in thresholds_of(profile, last)] == ["medium", "high", "critical"]


@pytest.mark.parametrize("noise", [0.03, 0.06])  # many score higher; nearly all do
def test_who_asks_otherwise_than_those_who_calibrated_voids_the_promise(profile: Profile, noise: float) -> None:
    """All new clients have a noisier pen: no crime, but the promise is not theirs."""
    rng = np.random.default_rng(5)
    moved = [one._replace(input=one.input + rng.normal(0, noise, people.WIDTH)) for one in later(22, 260)]
    alive = pipeline(profile)
    alerts = drive(alive, people.chunks(people.log_of(moved))).alerts
    void = settled(alive).watch.void_since
    assert void is not None
    assert settled(alive).watch.higher
    told = [alert for alert in alerts if alert.kind == "population" and alert.entity.id == "promise"]
    assert len(told) == 1
    states = {alert.promise.state for alert in alerts if alert.kind == "extraction" and alert.at > told[0].at}
    assert all(state.startswith("void since ") or state == "none" for state in states)


def test_a_successor_takes_over_from_a_log_time_on(profile: Profile) -> None:
    calm = steps(pipeline(profile), people.chunks(people.log_of(later(23, 260))))
    successor = [news.successor for step in calm for news in step.news if news.successor is not None][-1]
    since = people.START_US + 2 * LATER_US
    policy = msgspec.structs.replace(
        profile.summary.policy,
        version="next",
        thresholds={**profile.summary.policy.thresholds, "client": thresholds_of(profile, successor)},
    )
    alive = pipeline(profile, [Dated(0, profile.summary.policy), Dated(since, policy)])
    alive.take_over(since, successor)
    before = people.noise("early", n=40, at=since - people.DAY_US)
    after = people.noise("late", n=40, at=since)
    alerts = drive(alive, people.chunks(people.log_of([*before, *after]))).alerts
    opened = {alert.entity.id: alert for alert in alerts if alert.action == "open" and alert.kind == "extraction"}
    assert opened["early"].promise.state == "measured"
    assert opened["late"].promise.state == "presumed honest"
    assert opened["late"].promise.share == profile.level("client").share
    assert opened["late"].policy == "next"


def test_the_same_days_in_other_chunks_leave_the_same(
    profile: Profile, records: list[bytes], lived: tuple[Pipeline, list[News]]
) -> None:
    alive = pipeline(profile)
    again = [news for step in steps(alive, people.chunks(records, [997] * 100)) for news in step.news]
    assert settled(alive) == settled(lived[0])
    assert [name_of(n.successor) for n in again if n.successor] == [
        name_of(n.successor) for n in lived[1] if n.successor
    ]


def test_two_partitions_in_any_order_leave_the_same(profile: Profile, records: list[bytes]) -> None:
    names = ("kafka:t/0", "kafka:t/1")
    whose = [msgspec.json.decode(record)["client"] for record in records]
    parts = [[r for r, c in zip(records, whose, strict=True) if hash_of(c) % 2 == p] for p in (0, 1)]
    found = []
    for order in ("in turns", "one first"):
        queues = [list(people.chunks(part, [500] * 200, stream=name)) for part, name in zip(parts, names, strict=True)]
        mixed: list[Chunk] = []
        while any(queues):
            which = min((q for q in queues if q), key=len if order == "one first" else lambda q: -len(q))
            mixed.append(which.pop(0))
        alive = pipeline(profile)
        for step in steps(alive, mixed, streams=names):
            assert step is not None
        found.append(settled(alive))
    assert found[0] == found[1]


def hash_of(client: str) -> int:
    return sum(client.encode())


def test_going_on_from_a_snapshot_leaves_the_same(
    profile: Profile, records: list[bytes], lived: tuple[Pipeline, list[News]]
) -> None:
    chunks = list(people.chunks(records, [len(records) // 2]))
    before = pipeline(profile)
    steps(before, chunks[:1])
    after = pipeline(profile)
    assert after.population is not None
    after.population.settled = msgspec.msgpack.decode(msgspec.msgpack.encode(settled(before)), type=Settled)
    state = msgspec.msgpack.decode(msgspec.msgpack.encode(before.state()), type=type(before.state()))
    restore_rows(after.tables, saved_rows(before.tables))
    after.cases.update(before.cases)
    after.restore(state)
    steps(after, chunks[1:])
    assert settled(after) == settled(lived[0])
