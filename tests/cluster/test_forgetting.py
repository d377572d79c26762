"""Whom all workers are asked to forget is as if never seen, in all stages, and nobody else is changed by it."""

from __future__ import annotations

import random
from contextlib import closing
from pathlib import Path
from zlib import crc32

import msgspec
import pytest
from hypothesis import given
from hypothesis import settings as tried
from hypothesis import strategies as st

from detector.alert import Alert
from detector.cluster.clients import JUDGE, Clients
from detector.cluster.delivering import Erasing
from detector.cluster.forgetting import Forget, without_member
from detector.cluster.passing import GROUPS, TOWN
from detector.cluster.policies import Policies, asked, begun, forgotten
from detector.logs.native import decode_many
from detector.pipeline import Pipeline
from detector.policy import Dated, Policy
from detector.profile.artefact import Profile
from detector.rings.accounts import ACCOUNT
from detector.run.outbox import Outbox
from detector.settings import Settings, settings_of
from tests import people
from tests.cluster.world import World, at_random
from tests.driving import Outcome, drive
from tests.run.made import alert

SOURCES, PARTITIONS = 2, 2
GONE = "gone-by-law"
BELL_AT = people.START_US + 14 * people.DAY_US


@pytest.fixture(scope="module")
def settings() -> Settings:
    source = {"type": "kafka", "brokers": ["127.0.0.1:9"], "topic": "t"}
    return settings_of({"source": source, "policy": {"storm": {"at_least": 0}}})


def made_log() -> list[people.Asked]:
    """Honest clients, one of whom asks all the time and is a thief as well, and the bells."""
    honest = people.honest(2, 20, volume=20)
    at = [people.START_US + i * people.DAY_US for i in range(1, 11)]
    his = [q for i, start in enumerate(at) for q in people.noise(GONE, seed=i, n=12, at=start, group="o2-1")]
    other = [q for i, start in enumerate(at) for q in people.noise("other", seed=40 + i, n=6, at=start, group="o2-1")]
    bells = [q._replace(client=f"bell-{i}", group=None, at=BELL_AT) for i in range(SOURCES) for q in honest[:1]]
    return people.in_order([*honest, *his, *other, *bells])


@pytest.fixture(scope="module")
def log() -> list[people.Asked]:
    return made_log()


def place(q: people.Asked) -> int:
    return int(q.client[-1]) if q.client.startswith("bell") else crc32(q.client.encode()) % SOURCES


def shared(log: list[people.Asked]) -> list[list[bytes]]:
    streams: list[list[bytes]] = [[] for _ in range(SOURCES)]
    for q, line in zip(log, people.log_of(log), strict=True):
        streams[place(q)].append(line)
    return streams


def ask(world: World, kind: str = "client", entity: str = GONE) -> None:
    world.enter(asked(Forget("one", kind, entity)))


def only_later(profile: Profile, settings: Settings, log: list[people.Asked], at: dict[str, int]) -> Outcome:
    """What one process finds that never saw his records up to these offsets."""
    offsets, lines = dict.fromkeys(range(SOURCES), -1), []
    for q, line in zip(log, people.log_of(log), strict=True):
        offsets[place(q)] += 1
        early = offsets[place(q)] <= at.get(f"kafka:t/{place(q)}", -1)
        lines.append(b"rubbish" if q.client == GONE and early else line)
    policy = settings.policy.over(profile.summary.policy.thresholds)
    return drive(Pipeline(profile, [Dated(0, policy)], decode_many), people.chunks(lines))


def holding(world: World) -> list[tuple[str, bytes]]:
    """Stages and keys of the entries in which his name stands."""
    kept = [(stage, key, value) for (stage, _), of in world.kept.items() for key, value in of.entries.items()]
    return [(stage, key) for stage, key, value in kept if GONE.encode() in value]


def clients(rows: dict[tuple[str, str], bytes]) -> dict[tuple[str, str], bytes]:
    return {key: row for key, row in rows.items() if key[0] == "client" and not key[1].startswith("bell")}


def test_the_log_has_all_of_it(settings: Settings, profile: Profile, log: list[people.Asked]) -> None:
    """Else the other tests would say little."""
    world = World(settings, profile, shared(log), PARTITIONS, size=20)
    world.drain()
    for where in world.live:
        world.snapshot(where)
    holds = {
        stage for (stage, _), kept in world.kept.items() for value in kept.entries.values() if GONE.encode() in value
    }
    assert holds == {JUDGE, TOWN}
    assert any(GONE in (alert.entity.members or ()) for alert in world.alerts())
    assert {alert.entity.id for alert in world.alerts()} >= {GONE, "other", "o2-1"}


def test_he_leaves_no_byte_behind(settings: Settings, profile: Profile, log: list[people.Asked]) -> None:
    """Neither in what is kept of any stage, nor in the request; each in the order in which it was found."""
    world = World(settings, profile, shared(log), PARTITIONS, size=20)
    for _ in range(14):
        for number in range(SOURCES):
            world.project(number)
    his = JUDGE, world.routes.of(GONE)
    for where, most in [(his, 20), *((where, 10) for where in world.live)]:  # groups wait for who is behind
        world.take(where, most)
        world.snapshot(where)
    assert {stage for stage, _ in holding(world)} == {JUDGE, GROUPS, TOWN}
    for source in world.sources:  # he does not come again
        source.chunks = [
            msgspec.structs.replace(
                chunk, payloads=[b"{" if GONE.encode() in line else line for line in chunk.payloads]
            )
            for chunk in source.chunks
        ]
    while sum(world.take((JUDGE, number), 64) for number in range(PARTITIONS)):
        pass
    ask(world)
    world.drain()
    assert (world.policies.forget, world.policies.forgotten) == ({}, {"one"})
    for where in world.live:
        world.snapshot(where)
    assert holding(world) == []


@tried(max_examples=8)
@given(seed=st.integers(0, 2**32), after=st.integers(0, 40))
def test_who_comes_later_is_a_new_client_whoever_crashes(
    settings: Settings, profile: Profile, log: list[people.Asked], seed: int, after: int
) -> None:
    world, rng = World(settings, profile, shared(log), PARTITIONS, size=20), random.Random(seed)
    at_random(world, rng, crashes=True, steps=after)
    ask(world)
    at_random(world, rng, crashes=True)
    assert world.policies.forgotten == {"one"}
    at = world.forgot[JUDGE, world.routes.of(GONE)]
    expected = only_later(profile, settings, log, at)
    assert clients(world.rows()) == clients(expected.rows)
    points = [p for kept in world.kept.values() for p in kept.told.points if p.kind == "client" and p.id != GONE]
    wanted = [p for p in expected.points if p.kind == "client" and p.id != GONE]
    assert sorted(points, key=str) == sorted(wanted, key=str)
    accounts = {key[1]: row for key, row in world.rows().items() if key[0] == ACCOUNT}
    assert ((ACCOUNT, GONE) in expected.rows) == (GONE in accounts)


def test_a_group_is_forgotten_when_all_have_let_go_of_it(
    settings: Settings, profile: Profile, log: list[people.Asked]
) -> None:
    """Its members are not."""
    world = World(settings, profile, shared(log), PARTITIONS, size=20)
    world.drain()
    before = world.rows()
    case = next(
        key
        for key in world.cases()
        if key in world.groups()[world.routes.of_group("organisation", "o2-1")].docket.cases
    )
    ask(world, "organisation", "o2-1")
    world.drain()
    assert before.keys() - world.rows().keys() == {("organisation", "o2-1")}
    assert world.rows().items() <= before.items()
    assert case not in world.cases()
    assert world.policies.forgotten == {"one"}


def test_what_was_taken_away_is_not_restored(settings: Settings, profile: Profile, log: list[people.Asked]) -> None:
    """Of a compacted topic that was not compacted yet: the row, then that there is none."""
    world = World(settings, profile, shared(log), PARTITIONS, size=20)
    world.drain()
    his = JUDGE, world.routes.of(GONE)
    world.snapshot(his)
    old = dict(world.kept[his].entries)
    ask(world)
    world.answer(his)
    now = world.kept[his].entries
    taken = old.keys() - now.keys()
    assert {key[:1] for key in taken} == {b"r", b"c"}
    partition = world.made(his)
    for key, value in [*old.items(), *((key, None) for key in taken), *now.items()]:
        partition.restore(key, value)
    partition.restored()
    assert isinstance(partition.work, Clients)
    assert partition.work.pipeline.clients.find(GONE) is None
    assert partition.work.pipeline.cases.keys() == {key[1:] for key in now if key[:1] == b"c"}


def test_the_request_goes_when_it_is_done() -> None:
    """It holds the name. Whoever reads on from the beginning does not meet it, or knows at once that it is done."""
    policies, one = Policies(), Forget("one", "client", GONE)
    for key, value in (begun(Policy("first", {})), asked(one)):
        policies.take(key, value)
    assert policies.forget == {"one": one}
    for key, value in [*forgotten("one"), asked(one)]:
        policies.take(key, value)
    assert (policies.forget, policies.forgotten) == ({}, {"one"})


def test_in_sums_another_member_stands_for_who_is_forgotten() -> None:
    waiting = {
        "groups": ["a", "a", "b", "a"],
        "tick": [1, 1, 1, 2],
        "at": [5, 5, 6, 7],
        "bins": b"1234",
        "query_ids": ["x", "x", "y", "z"],
        "clients": [GONE, "other", GONE, GONE],
    }
    left = msgspec.msgpack.decode(without_member(msgspec.msgpack.encode(waiting), GONE))
    assert left == {**waiting, "clients": ["other", "other", "", ""]}


def test_the_outbox_of_a_worker_forgets_at_once_and_again_when_all_have(tmp_path: Path) -> None:
    """Of what came between, another client's alerts stay; those that wait for a sink, too, where they shall."""
    mine, other = (alert_on(name) for name in (GONE, "other"))
    with closing(Outbox(tmp_path / "o.sqlite")) as outbox:
        policies, late = Policies(), alert_on(GONE, "late")
        erasing = Erasing(outbox, policies)
        outbox.put([mine, other])
        erasing.erase(erasing.due())
        assert entities(outbox) == [GONE, "other"]
        policies.take(*asked(Forget("one", "client", GONE)))
        erasing.erase(erasing.due())
        assert entities(outbox) == ["other"]
        outbox.put([late])
        erasing.erase(erasing.due())
        assert entities(outbox) == ["other", GONE]
        for entry in forgotten("one"):
            policies.take(*entry)
        erasing.erase(erasing.due())
        assert entities(outbox) == ["other"]
        outbox.put([alert_on(GONE, "new")])  # of who took the name
        erasing.erase(erasing.due())
        assert entities(outbox) == ["other", GONE]


def alert_on(client: str, id_: str = "") -> Alert:
    made = alert(1)
    return msgspec.structs.replace(made, id=id_ or client, entity=msgspec.structs.replace(made.entity, id=client))


def entities(outbox: Outbox) -> list[str]:
    return [one.entity.id for one in outbox.kept()]
