"""A population that moves is one alert, whoever comes in which order; who is critical or over budget is told anyway."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import msgspec
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import poisson

from detector.alert import Alert
from detector.openings import TAIL, least_unlikely
from detector.pipeline import Pipeline, State
from detector.policy import Budget, Dated, Policy, Release, Storm, Threshold
from detector.profile.artefact import Profile
from detector.query import Chunk
from detector.storm import Waiting, held
from tests import people, strategies
from tests.driving import Outcome, drive, outcome, pipeline
from tests.run.made import alert
from tests.test_pipeline import restored, saved

MOVED = 24  # clients that begin to ask otherwise, one a minute
LEVELS = ("client", "organisation")
MEDIUM = {level: (Threshold("medium", 1.5), Threshold("critical", 1e6)) for level in LEVELS}
POLICY = Policy("storms", MEDIUM, storm=Storm(3_600.0, 8))
STREAMS = ("kafka:t/0", "kafka:t/1")


def moved(n: int = MOVED, queries: int = 6, at: int = people.START_US) -> list[people.Asked]:
    return [q for i in range(n) for q in people.noise(f"m{i}", seed=i, n=queries, at=at + i * people.MINUTE_US)]


def log(asked: Sequence[people.Asked]) -> list[bytes]:
    return people.log_of(people.in_order(asked))


def run(profile: Profile, asked: Sequence[people.Asked], policy: Policy = POLICY) -> Outcome:
    return drive(pipeline(profile, [Dated(0, policy)]), people.chunks(log(asked)))


def population(found: Outcome, action: str = "open") -> list[Alert]:
    return [a for a in found.alerts if a.kind == "population" and a.action == action]


def opened(alerts: Sequence[Alert]) -> list[str]:
    return [a.entity.id for a in alerts if a.kind == "extraction" and a.action == "open"]


# -- one alert instead of many


def test_when_many_cross_on_one_signal_one_alert_says_so_and_the_later_ones_are_held(profile: Profile) -> None:
    found = run(profile, moved())
    (told,) = population(found)
    assert (told.severity, told.score, told.threshold) == ("high", 8.0, 8.0)
    assert told.entity.members is not None
    assert len(told.entity.members) == 8
    assert set(told.entity.members) <= set(opened(found.alerts))
    later = [a for a in found.alerts if a.kind == "extraction" and a.at >= told.at]
    assert all(a.reasons[0].signal != told.entity.id for a in later)  # who crosses on another signal is told
    assert len(opened(found.held)) >= MOVED - 10
    assert {*opened(found.held), *opened(found.alerts)} == {f"m{i}" for i in range(MOVED)}
    assert "8 entities crossed on this signal within 60 minutes" in told.message


def test_held_alerts_leave_their_cases_open(profile: Profile) -> None:
    found = run(profile, moved())
    held_cases = {case.held for case in found.cases.values() if case.held}
    assert held_cases == {a.case_id for a in found.held}
    assert len(held_cases) >= MOVED - 10
    assert all(case.open for case in found.cases.values() if case.held)


def test_what_is_held_stays_held_to_its_end(profile: Profile) -> None:
    """A resolve of a case that nobody was told of would only puzzle."""
    back = [q._replace(client=f"m{MOVED - 1}", group=None) for q in people.honest(5, 1)]
    later = [q._replace(at=q.at + 6 * people.DAY_US) for q in back]
    found = run(profile, [*moved(), *later])
    of_last = sorted(
        (a for a in (*found.alerts, *found.held) if a.entity.id == f"m{MOVED - 1}"), key=lambda alert: alert.at
    )
    of_case = [(a.action, a in found.held) for a in of_last if a.case_id == of_last[0].case_id]
    assert of_case == [("open", True), ("resolve", True)]


def test_it_is_resolved_when_the_population_has_settled_and_then_alerts_are_sent_again(profile: Profile) -> None:
    later = people.noise("thief", seed=77, n=6, at=people.START_US + 3 * 60 * people.MINUTE_US)
    found = run(profile, [*moved(), *later])
    (begun,), (ended,) = population(found), population(found, "resolve")
    assert begun.case_id == ended.case_id
    assert begun.at < ended.at < "2026-01-01T03:00"
    assert "thief" in opened(found.alerts)


def test_few_are_no_storm(profile: Profile) -> None:
    found = run(profile, moved(7))
    assert not population(found)
    assert not found.held


def test_nor_are_many_over_a_long_time(profile: Profile) -> None:
    asked = [q._replace(at=q.at + i * 9 * people.MINUTE_US) for i in range(MOVED) for q in moved()[i * 6 : i * 6 + 6]]
    found = run(profile, asked)
    assert not population(found)
    assert len(opened(found.alerts)) == MOVED


def test_it_can_be_turned_off(profile: Profile) -> None:
    found = run(profile, moved(), msgspec.structs.replace(POLICY, storm=Storm(at_least=0)))
    assert not population(found)
    assert len(opened(found.alerts)) == MOVED


def test_the_more_is_asked_the_more_openings_are_expected(profile: Profile) -> None:
    """A service of a million clients has eight honest alerts an hour, and is not in a storm for that."""
    busy = msgspec.structs.replace(profile.summary, promise=1.0, clients=profile.summary.queries)  # one a query
    found = drive(Pipeline_of(profile, busy), people.chunks(log(moved())))
    assert not population(found)


def Pipeline_of(profile: Profile, summary: Any) -> Pipeline:  # noqa: N802
    changed = replace(profile, summary=summary)
    return pipeline(changed, [Dated(0, POLICY)])


@given(st.floats(1e-6, 2_000.0))
def test_the_limit_is_where_chance_ends(expected: float) -> None:
    k = least_unlikely(expected)
    assert poisson.sf(k - 1, expected) <= TAIL * 1.001
    if expected <= 500:
        assert poisson.sf(k - 2, expected) > TAIL * 0.999


# -- who is told anyway


def test_who_is_critical_is_told(profile: Profile) -> None:
    """From then on the case is told, its end too."""
    thresholds = {"client": (Threshold("medium", 1.5), Threshold("high", 2.15), Threshold("critical", 2.3))}
    found = run(profile, moved(), Policy("s", thresholds, storm=Storm(3_600.0, 8)))
    held_first = {a.case_id for a in found.held}
    assert {a.severity for a in found.held} <= {"medium", "high"}
    told = [a for a in found.alerts if a.case_id in held_first]
    assert told
    assert {a.severity for a in told} == {"critical"}


def test_budgets_are_told(profile: Profile) -> None:
    policy = msgspec.structs.replace(POLICY, budget=Budget(soft=64))
    found = run(profile, moved(20, 70), policy)
    assert population(found)
    assert sum(a.kind == "budget" for a in found.alerts) == 20
    assert all(a.kind != "budget" for a in found.held)


@pytest.mark.parametrize(
    ("case", "kind", "action", "severity", "storming", "expected"),
    [
        ("", "extraction", "open", "high", True, ("case", True)),
        ("", "extraction", "open", "high", False, ("", False)),
        ("", "extraction", "open", "critical", True, ("", False)),
        ("case", "extraction", "escalate", "high", True, ("case", True)),
        ("case", "extraction", "escalate", "high", False, ("", False)),
        ("case", "extraction", "escalate", "critical", True, ("", False)),
        ("case", "extraction", "resolve", "high", False, ("case", True)),
        ("", "extraction", "escalate", "high", True, ("", False)),
        ("", "extraction", "resolve", "high", True, ("", False)),
        ("old", "extraction", "open", "high", False, ("", False)),
        ("case", "budget", "open", "high", True, ("case", False)),
    ],
)
def test_what_is_held(
    case: str, kind: str, action: str, severity: str, storming: bool, expected: tuple[str, bool]
) -> None:
    fields: Any = {"kind": kind, "action": action, "severity": severity}
    if kind == "budget":
        fields["case_id"] = "a budget's"
    assert held(case, msgspec.structs.replace(alert(1), **fields), storming) == expected


# -- releases


def test_a_release_is_named(profile: Profile) -> None:
    release = Release(people.START_US - people.MINUTE_US, "prompt template 7", 3_600.0)
    found = run(profile, moved(), msgspec.structs.replace(POLICY, releases=(release,)))
    (told,) = population(found)
    assert "release: prompt template 7 (2025-12-31T23:59:00Z)" in told.message
    assert told.reasons[-1].signal == "policy.release"


# -- deterministic


@settings(max_examples=15)
@given(sizes=strategies.cuts)
def test_cutting_the_stream_otherwise_changes_nothing(profile: Profile, sizes: list[int]) -> None:
    records = log(moved(14, 4))
    policies = [Dated(0, POLICY)]
    whole = drive(pipeline(profile, policies), [people.chunk(records)])
    assert whole.held
    assert drive(pipeline(profile, policies), people.chunks(records, [*sizes, 7])) == whole


@settings(max_examples=25)
@given(data=st.data(), closing=st.booleans())
def test_nor_do_partitions_in_another_interleaving(profile: Profile, data: st.DataObject, closing: bool) -> None:
    asked = moved(20, 4)
    parts = [log([q for q in asked if int(q.client[1:]) % 2 == s]) for s in (0, 1)]

    def found() -> tuple[list[Alert], list[Alert]]:
        cut = [[*data.draw(strategies.cuts), 9] for _ in STREAMS]
        queues = [list(people.chunks(p, sizes, stream=s)) for p, sizes, s in zip(parts, cut, STREAMS, strict=True)]
        order = data.draw(st.permutations([0] * len(queues[0]) + [1] * len(queues[1])))
        mixed: list[Chunk] = [queues[which].pop(0) for which in order]
        made = pipeline(profile, [Dated(0, POLICY)])
        done = drive(made, mixed, streams=STREAMS)
        return sorted(done.alerts, key=lambda a: a.id), sorted(done.held, key=lambda a: a.id)

    one = found()
    assert one[1]
    assert found() == one


@settings(max_examples=20)
@given(data=st.data())
def test_going_on_from_a_snapshot_is_as_if_there_had_been_no_break(profile: Profile, data: st.DataObject) -> None:
    records = log(moved(14, 4))
    straight = run(profile, moved(14, 4))
    cut = data.draw(st.integers(0, len(records)))
    before = pipeline(profile, [Dated(0, POLICY)])
    done = [before.advance(people.chunk(records[:cut]))]
    if data.draw(st.booleans()):
        done.append(before.tick([people.STREAM]))
    snapshot = saved(before)
    after = restored(profile, snapshot)
    after.policies[:] = [Dated(0, POLICY)]
    assert msgspec.msgpack.decode(snapshot[0], type=State).sky == before.state().sky
    done += [after.advance(people.chunk(records[cut:], at=cut)), after.tick()]
    found = outcome(after, done)
    assert (found.alerts, found.held, found.cases) == (straight.alerts, straight.held, straight.cases)


def test_an_alert_waits_for_the_slowest_stream_and_no_longer(profile: Profile) -> None:
    made = pipeline(profile, [Dated(0, POLICY)])
    made.begin(STREAMS, people.START_US)
    records = people.log_of(people.noise("thief", n=30))
    first = made.advance(people.chunk(records, stream=STREAMS[0]))
    assert not first.alerts
    early = made.tick(STREAMS)
    assert not [a for a in early.alerts if a.at > "2026-01-01T00:00:10"]
    made.begin([STREAMS[1]], people.START_US + 40 * people.MINUTE_US)
    assert [a for a in made.tick(STREAMS).alerts if a.at > "2026-01-01T00:00:10"] or early.alerts


def test_what_is_remembered_is_bounded(profile: Profile) -> None:
    """A storm of 5,000 leaves a snapshot of openings, not of history."""
    from detector.openings import MOST
    from detector.storm import Storms

    storms = Storms("m", "p", 0.0)
    policies = [Dated(0, POLICY)]
    for i in range(MOST + 900):
        fields: Any = {"entity": msgspec.structs.replace(alert(1).entity, id=f"c{i}")}
        storms.put(Waiting(1, i.to_bytes(16, "big"), msgspec.structs.replace(alert(1), **fields)))
    storms.asked(np.arange(10).tolist())
    list(storms.close(10, policies))
    sky = storms.state()
    assert len(sky.recent["score"]) == MOST
    assert not sky.waiting
    assert not sky.openings
    list(storms.close(1_000, policies))
    assert storms.state().asked == {}
