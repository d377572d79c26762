"""A policy holds for all partitions from the same log time on, or for none."""

from __future__ import annotations

import random

import pytest
from hypothesis import given
from hypothesis import settings as tried
from hypothesis import strategies as st

from detector.cluster.clients import JUDGE
from detector.cluster.policies import Answer, Decision, Policies, answered, begun, decided, proposed
from detector.errors import StoreError
from detector.logs.native import decode_many
from detector.pipeline import Pipeline
from detector.policy import Budget, Dated, Policy, Threshold
from detector.profile.artefact import Profile
from detector.settings import Settings, settings_of
from tests import people
from tests.cluster.world import World, at_random
from tests.driving import drive

SOURCES = 2
FIRST, SECOND = Policy("first", {}), Policy("second", {}, cool_down_s=1.0)
PLACES = ("judge-0", "judge-1", "town-0")


def of(*entries: tuple[bytes, bytes]) -> Policies:
    policies = Policies()
    for entry in (begun(FIRST), *entries):
        policies.take(*entry)
    return policies


def test_until_all_have_answered_nobody_may_come_to_its_time() -> None:
    policies = of(proposed("a", 100, SECOND), answered("a", "judge-0", Answer(90, bound=True)))
    assert policies.bound("judge-0") == 100
    assert policies.bound("judge-1") is None
    assert list(policies.unanswered("judge-1")) == ["a"]
    assert list(policies.ready(PLACES)) == []
    assert policies.dated() == [Dated(0, FIRST)]


def test_when_all_are_bound_it_holds_and_nobody_is_bound_any_more() -> None:
    policies = of(proposed("a", 100, SECOND), *(answered("a", place, Answer(9, bound=True)) for place in PLACES))
    ((id_, decision),) = policies.ready(PLACES)
    assert decision == Decision(100)
    policies.take(*decided(id_, decision))
    assert policies.dated() == [Dated(0, FIRST), Dated(100, SECOND)]
    assert policies.bound("judge-0") is None
    assert not policies.pending


def test_who_has_passed_it_already_refuses_it_for_all() -> None:
    late = answered("a", "town-0", Answer(100, bound=False))
    policies = of(proposed("a", 100, SECOND), late, *(answered("a", p, Answer(9, bound=True)) for p in PLACES[:2]))
    ((id_, decision),) = policies.ready(PLACES)
    assert (decision.since, decision.why[:19]) == (None, "town-0 has come to ")
    policies.take(*decided(id_, decision))
    assert policies.dated() == [Dated(0, FIRST)]


def test_of_two_the_one_with_the_later_time_holds_last() -> None:
    third = Policy("third", {})
    entries = [proposed("a", 200, SECOND), decided("a", Decision(200)), proposed("b", 100, third)]
    policies = of(*entries, decided("b", Decision(100)))
    assert [dated.policy.version for dated in policies.dated()] == ["first", "third", "second"]


def test_without_a_first_policy_nothing_is_judged() -> None:
    with pytest.raises(StoreError, match="run `querywarden topics`"):
        Policies().dated()
    with pytest.raises(StoreError, match="cannot be read"):
        Policies().take(*begun(FIRST)[:1], b"\xc1")


# -- over partitions


@pytest.fixture(scope="module")
def settings() -> Settings:
    return settings_of({"source": {"type": "kafka", "brokers": ["127.0.0.1:9"], "topic": "t"}})


@pytest.fixture(scope="module")
def asked() -> list[people.Asked]:
    crowd = [q for i in range(8) for q in people.noise(f"m{i}", seed=i, n=8, at=people.START_US, group=f"g{i % 2}")]
    bells = [q._replace(client=f"b{i}", at=people.START_US + people.DAY_US) for i in range(2) for q in crowd[:1]]
    return people.in_order([*crowd, *bells])


@tried(max_examples=8)
@given(seed=st.integers(0, 2**32), minutes=st.integers(1, 9), after=st.integers(0, 40))
def test_it_is_as_if_one_pipeline_had_had_it_from_then_on(
    settings: Settings, profile: Profile, asked: list[people.Asked], seed: int, minutes: int, after: int
) -> None:
    """Or had never heard of it, where somebody had come there already."""
    lines = people.log_of(asked)
    streams = [[line for line, q in zip(lines, asked, strict=True) if int(q.client[1:]) % 2 == i] for i in range(2)]
    world, rng = World(settings, profile, streams, 2, size=3), random.Random(seed)
    since = people.START_US + minutes * people.MINUTE_US
    levels = ("client", "organisation")
    policy = Policy("later", {level: (Threshold("low", 1.0),) for level in levels}, budget=Budget(soft=64))
    at_random(world, rng, crashes=True, steps=after)
    world.enter(proposed("a", since, policy))
    at_random(world, rng, crashes=True)
    decision = world.policies.decisions["a"]
    journal = [Dated(0, settings.policy.over(profile.summary.policy.thresholds))]
    if decision.since is not None:
        journal.append(Dated(decision.since, policy))
    whole = drive(Pipeline(profile, journal, decode_many), people.chunks(lines))
    assert sorted(world.alerts(), key=lambda a: a.id) == sorted(whole.alerts, key=lambda a: a.id)
    assert world.cases() == whole.cases


def test_who_crashed_is_bound_by_what_was_answered_before(
    settings: Settings, profile: Profile, asked: list[people.Asked]
) -> None:
    world = World(settings, profile, [people.log_of(asked)], 2)
    while world.project(0):
        pass
    place, since = (JUDGE, 0), people.START_US + 3 * people.MINUTE_US
    world.enter(proposed("a", since, SECOND))
    while world.take(place, 8):
        pass
    stopped = world.live[place].applied
    assert stopped < len(world.topics[place]) - 1
    world.open(place)
    while world.take(place, 8):
        pass
    assert world.live[place].applied == stopped
    assert world.live[place].work.decided < since
    world.drain()
    assert world.policies.decisions["a"] == Decision(since)
