"""A partition that an earlier version left goes on where that stopped: what comes out is as if nobody had stopped.

`version_1` and `version_2` hold what workers of these versions wrote, by their own code (make.py.txt there).
"""

from __future__ import annotations

import lzma
import random
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import settings as tried
from hypothesis import strategies as st

from detector.alert import Alert
from detector.cluster import wire
from detector.cluster.clients import JUDGE
from detector.cluster.partition import MARK, TOLD
from detector.cluster.versions import STEPS, VERSION, current
from detector.errors import StoreError
from detector.logs.native import decode_many
from detector.profile import artefact
from detector.profile.artefact import Profile
from detector.rings.accounts import ACCOUNT, RING
from detector.run.replay import Replayed, replay
from detector.settings import Settings, settings_of
from detector.tape import Point
from tests import people
from tests.cluster.world import Kept, World, at_random
from tests.driving import rows

HERE = Path(__file__).parent
PARTITIONS, SIZE = 2, 7
ALL = {"client", "organisation", ACCOUNT, RING, "population"}


class Partition(msgspec.Struct, kw_only=True):
    """begin: the offset of the first of `messages`. alerts, points: what was told."""

    stage: str = JUDGE
    number: int
    entries: list[tuple[bytes, bytes]]
    begin: int
    messages: list[bytes]
    alerts: list[Alert]
    points: list[Point]


class Left(msgspec.Struct):
    """committed: of each source how many chunks were shared out, and its clock."""

    committed: list[tuple[int, int]]
    partitions: list[Partition]


def read(version: int) -> Any:
    return msgspec.msgpack.decode(lzma.decompress((HERE / f"version_{version}" / "left.msgpack.xz").read_bytes()))


@pytest.fixture(scope="module")
def lines() -> list[list[bytes]]:
    """The log, by source, each ended by a bell, by which all ticks close."""
    asked = [q._replace(client=f"bell-{i}", group=None) for i in range(2) for q in people.honest(9, 1)[:1]]
    bells = people.log_of([bell._replace(at=people.START_US + 20 * people.DAY_US) for bell in asked])
    return [[*of, bell] for of, bell in zip(read(1)["lines"], bells, strict=True)]


@pytest.fixture(scope="module")
def first() -> Left:
    """Of version 1, which kept no clocks."""
    found = read(1)
    numbered = [{"number": number, **one} for number, one in enumerate(found["partitions"])]
    return msgspec.convert({"committed": [(at, 0) for at in found["committed"]], "partitions": numbered}, Left)


@pytest.fixture(scope="module")
def second() -> Left:
    return msgspec.convert(read(2), Left)


@pytest.fixture(scope="module")
def profile() -> Profile:
    return artefact.load(HERE / "version_1" / "profile")


@pytest.fixture(scope="module")
def settings() -> Settings:
    source = {"type": "kafka", "brokers": ["127.0.0.1:9"], "topic": "t"}
    return settings_of({"source": source, "policy": {"storm": {"at_least": 0}}})


@pytest.fixture(scope="module")
def whole(settings: Settings, profile: Profile, lines: list[list[bytes]]) -> tuple[Replayed, list[Point]]:
    """What one process finds that never stopped."""
    log = sorted((line for of in lines for line in of), key=lambda line: decode_many([line])[0][0].at)
    policy, steps = settings.policy.over(profile.summary.policy.thresholds), []
    done = replay(profile, policy, iter([people.chunk(log)]), decode_many, each=steps.append)
    return done, [point for step in steps for point in step.points]


def upgraded(world: World, left: Left) -> World:
    """Workers of this version in the place of older ones: topics, entries and what is committed are theirs."""
    for source, (at, clock) in zip(world.sources, left.committed, strict=True):
        source.at, source.clock = at, clock
    for one in left.partitions:
        place = one.stage, one.number
        world.topics[place] = [b"applied, and long gone"] * one.begin + one.messages
        world.kept[place] = Kept(dict(one.entries))
        world.open(place)
    return world


def of_version_1(settings: Settings, profile: Profile, lines: list[list[bytes]], left: Left) -> World:
    """Its chunks ended where it stopped."""
    world = World(settings, profile, lines, PARTITIONS)
    for number, (source, (at, _)) in enumerate(zip(world.sources, left.committed, strict=True)):
        source.chunks = list(people.chunks(lines[number], [at, SIZE], stream=f"kafka:t/{number}"))
    shared = msgspec.structs.replace(left, committed=[(1, 0) for _ in left.committed])
    return upgraded(world, shared)


def of_version_2(settings: Settings, profile: Profile, lines: list[list[bytes]], left: Left) -> World:
    return upgraded(World(settings, profile, lines, PARTITIONS, size=SIZE), left)


def in_order(points: list[Point]) -> list[Point]:
    return sorted(points, key=lambda p: (p.kind, p.id, p.n, p.at, p.budget))


def assert_same(world: World, left: Left, whole: tuple[Replayed, list[Point]], kinds: set[str]) -> None:
    """What is found of entities of these kinds, and what was told of them."""
    done, points = whole

    def meant(kind: str, id_: str) -> bool:
        return kind in kinds and not id_.startswith("bell")

    expected = {key: row for key, row in rows(done.pipeline).items() if meant(*key)}
    assert {key: row for key, row in world.rows().items() if meant(*key)} == expected
    keys = {key for table in done.pipeline.tables if table.kind in kinds for key in table.keys}
    cases = {key: case for key, case in done.pipeline.cases.items() if key in keys}
    assert {key: case for key, case in world.cases().items() if key in keys} == cases
    told = [alert for one in left.partitions for alert in one.alerts] + world.alerts()
    assert known([alert for alert in told if meant(alert.entity.kind, alert.entity.id)]) == known(
        [alert for alert in done.alerts if meant(alert.entity.kind, alert.entity.id)]
    )
    found = [point for one in left.partitions for point in one.points]
    found += [point for kept in world.kept.values() for point in kept.told.points]
    assert in_order([p for p in found if meant(p.kind, p.id)]) == in_order([p for p in points if meant(p.kind, p.id)])


def known(alerts: list[Alert]) -> list[Alert]:
    return sorted(alerts, key=str)


def behind(left: Left) -> list[int]:
    """How many messages of each partition were told, and not saved."""
    entries = [dict(one.entries) for one in left.partitions]
    return [msgspec.msgpack.decode(of[TOLD]) - msgspec.msgpack.decode(of[MARK])[3] for of in entries]


def test_what_was_left_has_all_of_it(first: Left, second: Left, whole: tuple[Replayed, list[Point]]) -> None:
    """Else the other tests would say little."""
    for version, left in enumerate((first, second), 1):
        assert {msgspec.msgpack.decode(dict(one.entries)[MARK])[0] for one in left.partitions} == {version}
        assert max(behind(left)) > 0
        assert any(one.messages for one in left.partitions)
        told = {point.id for one in left.partitions for point in one.points}
        assert "early" in told
        assert "late" not in told
    assert min(behind(first)) > 0
    assert {alert.entity.id for one in first.partitions for alert in one.alerts} == {"early", "through"}
    assert {"early", "through", "late"} <= {alert.entity.id for alert in whole[0].alerts}
    assert {"client", "organisation", ACCOUNT} <= {kind for kind, _ in rows(whole[0].pipeline)}


def test_clients_of_version_1_go_on_as_if_nobody_had_stopped(
    settings: Settings,
    profile: Profile,
    lines: list[list[bytes]],
    first: Left,
    whole: tuple[Replayed, list[Point]],
) -> None:
    """It knew nothing else."""
    world = of_version_1(settings, profile, lines, first)
    world.drain()
    assert_same(world, first, whole, {"client"})


def test_all_of_version_2_goes_on_as_if_nobody_had_stopped(
    settings: Settings,
    profile: Profile,
    lines: list[list[bytes]],
    second: Left,
    whole: tuple[Replayed, list[Point]],
) -> None:
    world = of_version_2(settings, profile, lines, second)
    world.drain()
    assert_same(world, second, whole, ALL)
    assert whole[0].pipeline.population is not None
    assert world.town().days.population.settled == whole[0].pipeline.population.settled


@tried(max_examples=10)
@given(seed=st.integers(0, 2**32), version=st.sampled_from((1, 2)))
def test_also_when_those_who_take_over_crash(
    settings: Settings,
    profile: Profile,
    lines: list[list[bytes]],
    first: Left,
    second: Left,
    whole: tuple[Replayed, list[Point]],
    seed: int,
    version: int,
) -> None:
    """What was written for them once is not read as the older version's again."""
    made, left = (of_version_1, first) if version == 1 else (of_version_2, second)
    world = made(settings, profile, lines, left)
    at_random(world, random.Random(seed), crashes=True)
    assert_same(world, left, whole, {"client"} if version == 1 else ALL)


# -- while both are there


def test_whoever_opens_a_partition_writes_it_as_his_version_at_once(
    settings: Settings, profile: Profile, lines: list[list[bytes]], second: Left
) -> None:
    """So that an older worker refuses it, which judges by the number that comes first."""
    world = of_version_2(settings, profile, lines, second)
    marks = [msgspec.msgpack.decode(kept.entries[MARK]) for kept in world.kept.values()]
    assert {mark[0] for mark in marks} == {VERSION}
    assert current(msgspec.msgpack.encode([2, *marks[0][1:]]), 0)[1] == 2


def test_a_worker_of_version_1_cannot_read_what_is_sent_now(
    settings: Settings, profile: Profile, lines: list[list[bytes]]
) -> None:
    """It ends then. The other way round each message is read."""
    world = World(settings, profile, lines, PARTITIONS, size=SIZE)
    world.project(0)
    sent = [value for (stage, _), topic in world.topics.items() if stage == JUDGE for value in topic]
    for value in sent:
        with pytest.raises(msgspec.ValidationError):
            msgspec.msgpack.decode(value, type=wire.First)


def test_the_state_of_a_later_version_is_refused(settings: Settings, profile: Profile, second: Left) -> None:
    world = World(settings, profile, [[], []], PARTITIONS)
    kept = world.kept[JUDGE, 0]
    mark = msgspec.msgpack.decode(kept.entries[MARK])
    kept.entries[MARK] = msgspec.msgpack.encode([VERSION + 1, *mark[1:], "more"])
    with pytest.raises(StoreError, match=f"is of version {VERSION + 1}, this worker reads none behind {VERSION}"):
        world.open((JUDGE, 0))


def test_each_version_has_a_state_that_was_kept() -> None:
    assert [version for version in range(1, 9) if (HERE / f"version_{version}").exists()] == [*range(1, len(STEPS) + 1)]
