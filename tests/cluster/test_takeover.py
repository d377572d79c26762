"""A successor of the one-class model takes over for all partitions from one log time on, as it does in one process."""

from __future__ import annotations

import random
from typing import NamedTuple

import pytest
from hypothesis import given
from hypothesis import settings as tried
from hypothesis import strategies as st

from detector.cluster.policies import Answer, Decision, Policies, answered, begun, decided, made, proposed, takes_over
from detector.cluster.succession import Successors, horizon_us, promised
from detector.errors import StoreError
from detector.learned.population import News
from detector.learned.successor import Successor
from detector.logs.native import decode_many
from detector.pipeline import Pipeline, Step
from detector.policy import Dated, Policy
from detector.profile.artefact import Profile
from detector.profile.succession import name_of
from detector.run.successors import PREFIX, policy_of
from detector.settings import Settings, settings_of
from tests import people
from tests.cluster.world import World, at_random
from tests.driving import Outcome, outcome

SOURCES, PARTITIONS = 2, 2
LATER_US = 13 * people.DAY_US  # behind the log that was fitted
BELL_AT = people.START_US + LATER_US + 19 * people.DAY_US


def settings(successor: str) -> Settings:
    source = {"type": "kafka", "brokers": ["127.0.0.1:9"], "topic": "t"}
    return settings_of({"source": source, "learning": {"successor": successor}})


def made_log() -> list[people.Asked]:
    """Eighteen days of new honest clients, and thieves on the last of them."""
    honest = [one._replace(at=one.at + LATER_US) for one in people.honest(23, 160, days=18.0, volume=25)]
    late = people.START_US + LATER_US + 15 * people.DAY_US
    thieves = [q for i in range(4) for q in people.children(f"t{i}", seed=i, n=160, at=late + i * people.DAY_US // 4)]
    return people.in_order([*honest, *thieves])


def bells() -> list[people.Asked]:
    """One of each source, by which all ticks close."""
    asked = people.honest(9, 1)[:1]
    return [q._replace(client=f"bell-{i}", group=None, at=BELL_AT) for i in range(SOURCES) for q in asked]


@pytest.fixture(scope="module")
def asked() -> list[people.Asked]:
    return [*made_log(), *bells()]


def shared(asked: list[people.Asked]) -> list[list[bytes]]:
    streams: list[list[bytes]] = [[] for _ in range(SOURCES)]
    for q, line in zip(asked, people.log_of(asked), strict=True):
        streams[sum(q.client.encode()) % SOURCES].append(line)
    return streams


class Whole(NamedTuple):
    pipeline: Pipeline
    outcome: Outcome
    made: dict[str, Successor]


def alone(profile: Profile, first: Policy, asked: list[people.Asked], takeovers: list[Dated]) -> Whole:
    """One process, in which successors take over at these log times."""
    pipeline = Pipeline(profile, [Dated(0, first)], decode_many)
    lines, at, steps, found = people.log_of(asked), 0, list[Step](), dict[str, Successor]()

    def go_on(until: int | None) -> None:
        nonlocal at
        end = len(asked) if until is None else sum(q.at < until for q in asked)
        steps.append(pipeline.advance(people.chunk(lines[at:end], at=at)))
        steps.append(pipeline.tick([people.STREAM]))
        at = end
        found.update((name_of(n.successor), n.successor) for step in steps for n in step.news if n.successor)

    for dated in takeovers:
        go_on(dated.since)
        pipeline.policies.append(dated)
        pipeline.take_over(dated.since, found[dated.policy.version.removeprefix(PREFIX)])
    go_on(None)
    return Whole(pipeline, outcome(pipeline, steps), found)


def assert_same(world: World, profile: Profile, asked: list[people.Asked]) -> Whole:
    dated = world.policies.dated()
    whole = alone(profile, dated[0].policy, asked, dated[1:])
    assert whole.pipeline.population is not None

    def named(id_: str) -> bool:
        return not id_.startswith("bell")

    found = {key: row for key, row in world.rows().items() if named(key[1])}
    assert found == {key: row for key, row in whole.outcome.rows.items() if named(key[1])}
    assert world.cases() == whole.outcome.cases
    assert sorted(world.alerts(), key=str) == sorted(whole.outcome.alerts, key=str)
    assert world.town().days.population.settled == whole.pipeline.population.settled
    assert list(world.policies.successors) == list(whole.made)
    return whole


def in_step(world: World) -> None:
    """The sources are read as time goes on, and all partitions keep up."""
    while left := [source for source in world.sources if source.at < len(source.chunks)]:
        first = min(left, key=lambda source: decode_many(source.chunks[source.at].payloads[:1])[0][0].at)
        world.project(world.sources.index(first))
        for _ in range(2):
            for place in world.live:
                world.take(place, 64)
    world.drain()


@pytest.fixture(scope="module")
def without(profile: Profile, asked: list[people.Asked]) -> Whole:
    """One process, in which none takes over."""
    return alone(profile, settings("ask").policy.over(profile.summary.policy.thresholds), asked, [])


def test_by_itself_it_takes_over_once(profile: Profile, asked: list[people.Asked], without: Whole) -> None:
    """And the next one not within a horizon."""
    world = World(settings("auto"), profile, shared(asked), PARTITIONS, size=50)
    in_step(world)
    whole = assert_same(world, profile, asked)
    (takeover,) = world.policies.takeovers()
    assert whole.outcome.rows != without.outcome.rows
    (dated,) = (dated for dated in world.policies.dated() if dated.since)
    assert dated.policy.thresholds["client"][0].score == takeover.successor.threshold.score
    assert len(without.made) > 1
    assert {alert.policy for alert in world.alerts()} >= {dated.policy.version}


@pytest.mark.parametrize(("wanted", "entered"), [("ask", [b"s"]), ("off", []), ("auto", [b"s", b"t"])])
def test_else_a_person_is_asked(profile: Profile, without: Whole, wanted: str, entered: list[bytes]) -> None:
    successor = next(iter(without.made.values()))
    policies, kept = of(successor), Successors(profile, wanted)
    kept.take([News(successor=successor)])
    first = kept.enters(Policies(), successor.closed_at)
    found = [*first, *kept.enters(policies, successor.closed_at)]
    assert [key[:1] for key, _ in found] == entered
    for entry in found:
        policies.take(*entry)
    assert kept.enters(policies, successor.closed_at) == []  # each once


@tried(max_examples=2)
@given(seed=st.integers(0, 2**32), after=st.integers(0, 40))
def test_approved_it_is_as_in_one_process_whoever_crashes(
    profile: Profile, asked: list[people.Asked], without: Whole, seed: int, after: int
) -> None:
    """Or nothing has changed, where somebody had come to its time already."""
    world, rng = World(settings("ask"), profile, shared(asked), PARTITIONS, size=100), random.Random(seed)
    at_random(world, rng, crashes=True, steps=after)
    successor = next(iter(without.made.values()))
    since, base = successor.closed_at + people.DAY_US // 2, world.policies.dated()[-1].policy
    world.enter(made(successor))
    world.enter(takes_over("a", since, policy_of(profile, successor, base), horizon_us(profile)))
    at_random(world, rng, crashes=True)
    assert world.policies.decisions["a"].since in ([since] if after < 10 else [since, None])
    assert_same(world, profile, asked)


# -- what is proposed and decided

PLACES = ("judge-0", "town-0")
FIRST = Policy("first", {})


def of(successor: Successor, *entries: tuple[bytes, bytes]) -> Policies:
    policies = Policies()
    for entry in (begun(FIRST), made(successor), *entries):
        policies.take(*entry)
    return policies


def asks(id_: str, since: int, successor: Successor) -> list[tuple[bytes, bytes]]:
    """A proposal that all have answered."""
    policy = Policy(PREFIX + name_of(successor), {})
    answers = [answered(id_, place, Answer(9, bound=True)) for place in PLACES]
    return [takes_over(id_, since, policy, 4 * people.DAY_US), *answers]


def test_within_a_horizon_of_another_none_takes_over(without: Whole) -> None:
    successor = next(iter(without.made.values()))
    since = 10 * people.DAY_US
    both = of(successor, *asks("a", since, successor), *asks("b", since + people.DAY_US, successor))
    (first, second) = both.ready(PLACES)
    assert first == ("a", Decision(since))
    assert second[1].since is None
    assert second[1].why == "another takes over at 1970-01-11T00:00:00.000000Z, and at most one may in 4 days"
    later = of(successor, *asks("a", since, successor), *asks("b", since + 4 * people.DAY_US, successor))
    assert [decision.since for _, decision in later.ready(PLACES)] == [since, since + 4 * people.DAY_US]


def test_a_policy_may_hold_whenever(without: Whole) -> None:
    successor = next(iter(without.made.values()))
    answers = [answered("b", place, Answer(9, bound=True)) for place in PLACES]
    policies = of(successor, *asks("a", 1_000, successor), proposed("b", 1_001, FIRST), *answers)
    assert [decision.since for _, decision in policies.ready(PLACES)] == [1_000, 1_001]


def test_a_takeover_of_one_who_is_not_there_ends_the_worker(without: Whole) -> None:
    successor = next(iter(without.made.values()))
    policies = Policies()
    for entry in (begun(Policy(PREFIX + "beef", {})), made(successor)):
        policies.take(*entry)
    with pytest.raises(StoreError, match="names the successor beef, and does not hold it"):
        policies.takeovers()


def test_the_settings_policy_is_laid_over_the_thresholds_of_who_took_over(profile: Profile, without: Whole) -> None:
    successor = next(iter(without.made.values()))
    before = of(successor)
    assert promised(profile, before) == profile.summary.policy.thresholds
    policy = policy_of(profile, successor, FIRST)
    before.take(*takes_over("a", 1_000, policy, 1))
    before.take(*decided("a", Decision(1_000)))
    assert promised(profile, before) == {**profile.summary.policy.thresholds, "client": policy.thresholds["client"]}
