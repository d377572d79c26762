"""What spans clients, over partitions: in whatever order things happen, it is what one pipeline finds."""

from __future__ import annotations

import random
from collections import defaultdict
from typing import NamedTuple

import pytest
from hypothesis import given
from hypothesis import settings as tried
from hypothesis import strategies as st

from detector.alert import Alert
from detector.cluster import wire
from detector.cluster.clients import JUDGE
from detector.logs.native import decode_many
from detector.profile.artefact import Profile
from detector.run.replay import Replayed, replay
from detector.settings import Settings
from detector.tape import Point
from tests import people
from tests.cluster import spanned
from tests.cluster.spanned import shared
from tests.cluster.world import World, at_random
from tests.driving import rows

PARTITIONS = 3


@pytest.fixture(scope="module")
def settings() -> Settings:
    return spanned.settings()


@pytest.fixture(scope="module")
def profile(profile: Profile) -> Profile:
    return spanned.busy(profile)


@pytest.fixture(scope="module")
def log() -> list[bytes]:
    return spanned.log()


class Whole(NamedTuple):
    done: Replayed
    points: list[Point]


@pytest.fixture(scope="module")
def whole(settings: Settings, profile: Profile, log: list[bytes]) -> Whole:
    policy, steps = settings.policy.over(profile.summary.policy.thresholds), []
    done = replay(profile, policy, iter([people.chunk(log)]), decode_many, each=steps.append)
    return Whole(done, [point for step in steps for point in step.points])


def by_entity(alerts: list[Alert]) -> dict[tuple[str, str], list[Alert]]:
    found: dict[tuple[str, str], list[Alert]] = defaultdict(list)
    for alert in alerts:
        found[alert.entity.kind, alert.entity.id].append(alert)
    return found


def in_order(points: list[Point]) -> list[Point]:
    return sorted((p for p in points if not p.id.startswith("bell")), key=lambda p: (p.kind, p.id, p.n, p.at, p.budget))


def assert_same(world: World, expected_of: Whole) -> None:
    whole = expected_of.done
    assert in_order([p for kept in world.kept.values() for p in kept.told.points]) == in_order(expected_of.points)
    expected = {key: row for key, row in rows(whole.pipeline).items() if not key[1].startswith("bell")}
    found = {key: row for key, row in world.rows().items() if not key[1].startswith("bell")}
    assert found.keys() == expected.keys()
    assert [key for key, row in found.items() if row != expected[key]] == []
    assert world.cases() == whole.pipeline.cases
    assert by_entity(world.alerts()) == by_entity(whole.alerts)
    assert by_entity(world.alerts("held")) == by_entity(whole.held)
    assert [letter.reason for kept in world.kept.values() for letter in kept.told.letters] == ["json"]
    assert whole.pipeline.population is not None
    ours, theirs = world.town().days.population.settled, whole.pipeline.population.settled
    assert ours == theirs
    assert world.town().rings.members() == whole.pipeline.rings()  # type: ignore[union-attr]


def test_the_log_has_all_of_it(whole: Whole) -> None:
    """Else the other tests would say little."""
    done = whole.done
    kinds = {alert.entity.kind for alert in done.alerts}
    assert kinds == {"client", "organisation", "ring", "population"}
    assert len(done.held) > 3
    assert {alert.threshold for alert in done.alerts if alert.kind == "population"} - {0.0, 8.0}
    assert done.pipeline.population is not None
    assert done.pipeline.population.settled.suspects
    assert done.pipeline.population.settled.teaching.samples


def test_all_stages_find_what_one_pipeline_finds(
    settings: Settings, profile: Profile, log: list[bytes], whole: Replayed
) -> None:
    world = World(settings, profile, shared(log), PARTITIONS)
    world.drain()
    assert_same(world, whole)


@tried(max_examples=10)
@given(seed=st.integers(0, 2**32), crashes=st.booleans())
def test_in_whatever_order_things_happen_and_whoever_crashes(
    settings: Settings, profile: Profile, log: list[bytes], whole: Whole, seed: int, crashes: bool
) -> None:
    """And whatever is sent again."""
    world = World(settings, profile, shared(log), PARTITIONS)
    at_random(world, random.Random(seed), crashes=crashes)
    assert_same(world, whole)


# -- who is waited for


@pytest.fixture(scope="module")
def short() -> list[list[bytes]]:
    """Two sources, of which one ends a day before the other."""
    early = people.noise("early", n=20, group="g")
    late = people.noise("late", n=20, at=people.START_US + people.DAY_US, group="g")
    return [people.log_of(early), people.log_of(late)]


def judged(world: World) -> int:
    return sum(int(table.rows["n"].sum()) for work in world.groups() for table in work.tables)


def test_a_tick_waits_for_all_streams_until_one_is_known_to_rest(
    settings: Settings, profile: Profile, short: list[list[bytes]]
) -> None:
    world = World(settings, profile, short, 2)
    world.drain()
    assert judged(world) == 19  # its last tick is open
    world.rest(0)
    world.drain()
    assert judged(world) == 20 + 19
    world.rest(1)
    world.drain()
    assert judged(world) == 20 + 19  # nobody has passed the last tick


def test_who_rests_is_waited_for_again_when_something_comes(
    settings: Settings, profile: Profile, short: list[list[bytes]]
) -> None:
    """And what it says after that, of before, is not believed."""
    world = World(settings, profile, [[*short[0]], [*short[1]]], 2, size=10)
    while world.project(1):
        pass
    world.project(0)
    rested = wire.at_rest(profile.summary.id, "kafka:t/0", 10, world.sources[0].clock)
    world.project(0)
    for target in range(2):
        world.topics[JUDGE, target].append(rested)
    world.drain()
    assert judged(world) == 19


def test_who_rested_is_waited_for_when_the_others_go_on(
    settings: Settings, profile: Profile, short: list[list[bytes]]
) -> None:
    """What comes to him while the others are a day ahead falls into its own ticks."""
    later = [people.noise(f"later{i}", seed=i, n=20, at=people.START_US + i * people.DAY_US, group="g") for i in (2, 3)]
    streams = [[*lines, *people.log_of(asked)] for lines, asked in zip(short, later, strict=True)]
    world = World(settings, profile, streams, 2, size=20)
    world.project(0)
    world.project(1)
    for number in (0, 1, 0):  # who waits for whom is not known at the first word
        world.rest(number)
    world.project(1)
    while sum(world.take(place, 64) for place in world.live):
        pass
    assert judged(world) == 20 + 19  # nothing of the third day, as long as the other may still be on the second
    world.drain()
    world.rest(0)
    world.drain()
    assert judged(world) == 79  # all but the last tick


def test_a_source_that_is_not_known_is_waited_for_from_then_on(
    settings: Settings, profile: Profile, short: list[list[bytes]]
) -> None:
    """A partition of the log that came later: what it holds counts in the first open tick."""
    world = World(settings, profile, short, 2, known=1)
    while world.project(0):
        pass
    world.drain()
    world.rest(0)
    world.rest(1)
    world.drain()
    assert judged(world) == 20 + 19
