"""A partition of clients: applied once, without holes, and under the policy that it began with."""

from __future__ import annotations

import msgspec
import pytest

from detector.cluster.clients import JUDGE
from detector.cluster.partition import MARK, NOTHING, Partition
from detector.errors import StoreError
from detector.profile.artefact import Profile
from detector.settings import Settings, settings_of
from tests import people
from tests.cluster.world import World

PLACE = (JUDGE, 0)


def settings() -> Settings:
    return settings_of({"source": {"type": "kafka", "brokers": ["127.0.0.1:9"], "topic": "t"}})


@pytest.fixture(scope="module")
def log() -> list[bytes]:
    return people.log_of(people.in_order(people.honest(2, 20) + people.noise("thief", n=80)))


@pytest.fixture
def world(profile: Profile, log: list[bytes]) -> World:
    """Everything was shared out, nothing was judged."""
    made = World(settings(), profile, [log], 2)
    while made.project(0):
        pass
    return made


def of(partition: Partition) -> dict[bytes, bytes]:
    return dict(partition.work.entries())


def test_a_hole_is_refused_and_a_repeat_is_skipped(world: World) -> None:
    partition, (first, second, third) = world.live[PLACE], world.topics[PLACE][:3]
    assert partition.applied == NOTHING
    assert partition.apply(0, first).records > 0
    before = of(partition)
    assert partition.apply(0, first).records == 0
    assert of(partition) == before
    with pytest.raises(StoreError, match="missing between 0 and 2"):
        partition.apply(2, third)
    assert partition.apply(1, second).records > 0


def test_a_repeat_under_a_later_offset_is_skipped_by_the_watermark(world: World) -> None:
    partition, message = world.live[PLACE], world.topics[PLACE][0]
    partition.apply(0, message)
    before = of(partition)
    assert partition.apply(1, message).records == 0
    assert of(partition) == before
    assert partition.applied == 1


def test_what_was_told_before_a_crash_is_not_told_again(world: World) -> None:
    while world.take(PLACE, 8):
        pass
    told = len(world.kept[PLACE].told.points)
    assert told > 0
    world.open(PLACE)
    assert world.live[PLACE].applied == NOTHING  # no snapshot was taken
    while world.take(PLACE, 3):
        pass
    assert len(world.kept[PLACE].told.points) == told


def test_the_state_of_another_profile_is_refused(world: World) -> None:
    entries = world.kept[PLACE].entries
    mark = msgspec.msgpack.decode(entries[MARK])
    mark[1] = "another"
    entries[MARK] = msgspec.msgpack.encode(mark)
    with pytest.raises(StoreError, match="state is of profile another over 2 partitions"):
        world.open(PLACE)
