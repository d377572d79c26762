"""The stages in order: the same records give the same rows, points and alerts, however they come; attacks are named."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import Any

import msgspec
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import betabinom

from detector.decide import NO_CASE, Case, decide
from detector.errors import DecodeError
from detector.logs.native import decode_many
from detector.pipeline import FUTURE, IDENTITY, LATE, Pipeline, State, restore_rows
from detector.policy import Budget, Dated, Policy, Suppression, Threshold, in_force
from detector.profile.artefact import Profile
from detector.query import Chunk
from detector.tape import Point
from features import NUMBERS
from tests import people, strategies
from tests.driving import Outcome, drive, outcome, pipeline, rows, saved_rows, steps
from tests.layouts import CLIENT_ROW

some = settings(max_examples=50)


def of_client(found: Outcome, client: str) -> tuple[Any, ...]:
    """All that is known and was said of one client."""
    return (
        found.rows[("client", client)],
        [p for p in found.points if (p.kind, p.id) == ("client", client)],
        [a for a in found.alerts if (a.entity.kind, a.entity.id) == ("client", client)],
    )


def row_of(found: Outcome, client: str) -> Any:
    return np.frombuffer(found.rows[("client", client)], CLIENT_ROW)[0]


def of_groups(found: Outcome) -> tuple[Any, ...]:
    return (
        {key: row for key, row in found.rows.items() if key[0] != "client"},
        [p for p in found.points if p.kind != "client"],
        [a for a in found.alerts if a.entity.kind != "client"],
    )


# -- however the stream is cut


@some
@given(records=strategies.streams(), sizes=strategies.cuts)
def test_cutting_a_stream_into_other_chunks_changes_nothing(
    profile: Profile, records: list[bytes], sizes: list[int]
) -> None:
    at_once = drive(pipeline(profile), [people.chunk(records)])
    piecewise = drive(pipeline(profile), people.chunks(records, [*sizes, 1]))
    assert at_once == piecewise


def test_nor_does_it_over_thousands_of_records(profile: Profile) -> None:
    asked = people.in_order(people.honest(3, 60) + people.noise("thief", group="o3-1", n=300))
    records = people.log_of(asked)
    at_once = drive(pipeline(profile), [people.chunk(records)])
    for size in (1, 700):
        assert drive(pipeline(profile), people.chunks(records, [size])) == at_once
    assert at_once.alerts
    assert at_once.counts["judged"] == len(records)


def test_without_a_profile_budgets_run_and_nothing_is_weighed() -> None:
    records = people.log_of(people.noise("thief", n=100))
    records[5:5] = [people.line("other", people.START_US, "text")]
    policies = [Dated(0, Policy("1", {}, budget=Budget(soft=70)))]
    found = [drive(pipeline(None, policies), people.chunks(records, [size])) for size in (1, 101)]
    assert found[0] == found[1]
    assert [(a.kind, a.entity.id, a.severity) for a in found[0].alerts] == [("budget", "thief", "low")]
    assert found[0].counts["judged"] == 101
    assert all(point.budget for point in found[0].points)


# -- however streams are interleaved


@some
@given(records=strategies.streams(), order=st.randoms(use_true_random=False))
def test_interleaving_clients_does_not_change_a_client(profile: Profile, records: list[bytes], order: Any) -> None:
    """Each client's own records keep their order; whose comes first does not matter."""
    whose = [client_of(record) for record in records]
    shuffled = sorted(range(len(records)), key=lambda i: order.random())
    queues = {client: [i for i in range(len(records)) if whose[i] == client] for client in set(whose)}
    mixed = [records[queues[whose[i]].pop(0)] for i in shuffled]
    straight, found = drive(pipeline(profile), [people.chunk(records)]), drive(pipeline(profile), [people.chunk(mixed)])
    for kind, client in straight.rows:
        if kind == "client":
            assert of_client(straight, client) == of_client(found, client)


@some
@given(records=strategies.streams(), data=st.data())
def test_two_partitions_give_the_same_groups_in_any_interleaving(
    profile: Profile, records: list[bytes], data: st.DataObject
) -> None:
    """Clients of one group lie in different partitions; ticks close when both have passed them."""
    streams = ("kafka:t/0", "kafka:t/1")
    whose = [client_of(record) for record in records]
    parts = [[r for r, c in zip(records, whose, strict=True) if (c in ("c0", "c1")) == (s == 0)] for s in (0, 1)]

    def interleaved() -> list[Chunk]:
        cut = [[*data.draw(strategies.cuts), 1] for _ in streams]
        queues = [list(people.chunks(p, sizes, stream=s)) for p, sizes, s in zip(parts, cut, streams, strict=True)]
        order = data.draw(st.permutations([0] * len(queues[0]) + [1] * len(queues[1])))
        return [queues[which].pop(0) for which in order]

    one = drive(pipeline(profile), interleaved(), streams=streams)
    other = drive(pipeline(profile), interleaved(), streams=streams)
    assert of_groups(one) == of_groups(other)
    assert one.rows == other.rows


@some
@given(data=st.data())
def test_one_client_never_changes_another(profile: Profile, data: st.DataObject) -> None:
    happened = data.draw(strategies.events(40))
    records = strategies.written(happened)
    whose = [client_of(record) for record in records]
    without = [r for r, c in zip(records, whose, strict=True) if c != "c3"]
    together = drive(pipeline(profile), people.chunks(records, data.draw(strategies.cuts)))
    alone = drive(pipeline(profile), people.chunks(without, data.draw(strategies.cuts)))
    for kind, client in alone.rows:
        if kind == "client":
            assert of_client(together, client) == of_client(alone, client)


@pytest.mark.parametrize("odd", strategies.ODD)
def test_a_record_that_cannot_be_judged_leaves_the_others_as_they_were(profile: Profile, odd: str) -> None:
    good = [strategies.Event(i % 4, "sweeps" if i % 4 == 1 else "asks", i % 32, 7_000_000) for i in range(24)]
    bad = strategies.Event(0, odd, 3, 0)
    records = strategies.written([*good[:12], bad, *good[12:]])
    without = [*records[:12], *records[13:]]
    found, expected = (
        drive(pipeline(profile), [people.chunk(records)]),
        drive(pipeline(profile), [people.chunk(without)]),
    )
    for client in ("c1", "c2", "c3"):
        assert of_client(found, client) == of_client(expected, client)
    assert expected.alerts


@pytest.mark.parametrize("odd", ["broken", "narrow", "text"])
def test_a_record_that_cannot_be_read_counts_for_whoever_sent_it(profile: Profile, odd: str) -> None:
    good = [strategies.Event(0, "asks", i % 32, 7_000_000) for i in range(12)]
    records = strategies.written([*good[:6], strategies.Event(0, odd, 3, 0), *good[6:]])
    expected = strategies.written([*good[:6], strategies.Event(0, "asks", 3, 0), *good[6:]])
    found, others = (
        drive(pipeline(profile), [people.chunk(records)]),
        drive(pipeline(profile), [people.chunk(expected)]),
    )
    mine, theirs = row_of(found, "c0"), row_of(others, "c0")
    assert (mine["n"], mine["asked_today"]) == (theirs["n"], theirs["asked_today"])
    odds = list(NUMBERS.names).index("conduct.odd")
    assert mine["counts"][0, odds].tolist()[:3] == [12, 0, 1]
    assert mine["spacing_seen"] == 12


def test_who_sends_much_that_cannot_be_read_is_named(profile: Profile) -> None:
    good = [strategies.Event(0, "asks", i % 32, 7_000_000) for i in range(30)]
    bad = [strategies.Event(0, "narrow", 3, 7_000_000) for _ in range(30)]
    asked = strategies.written([one for pair in zip(good, bad, strict=True) for one in pair])
    alerts = drive(pipeline(profile), [people.chunk(asked)]).alerts
    assert {alert.entity.id for alert in alerts if alert.entity.kind == "client"} == {"c0"}
    assert alerts[0].reasons[0].signal == "conduct.odd"


def unread(n: int, **changes: Any) -> list[bytes]:
    """Records of the client `hidden` that cannot be read, one a minute."""
    plain = {"at": 0, "client": "hidden", "model": people.MODEL, "input": {"x": [1]}}
    times = [people.START_US / 1e6 + 60 * i for i in range(n)]
    return [msgspec.json.encode(plain | {"at": at} | changes) for at in times]


def test_who_only_sends_what_cannot_be_read_is_counted_and_named(profile: Profile) -> None:
    found = drive(pipeline(profile), [people.chunk(unread(30))])
    assert row_of(found, "hidden")["n"] == 30
    assert row_of(found, "hidden")["first_at"] == people.START_US
    assert len(found.letters) == 30
    assert found.counts["judged"] == 0
    assert opened(found) == {"hidden"}
    assert found.alerts[0].reasons[0].signal == "conduct.odd"
    assert found.alerts[0].at > "2026-01-01T00:00"


def test_one_that_cannot_be_read_names_nobody(profile: Profile) -> None:
    assert not drive(pipeline(profile), [people.chunk(unread(1))]).alerts


def test_without_a_time_it_counts_at_its_clients_own_clock_and_not_before_there_is_one(profile: Profile) -> None:
    asked = strategies.written([strategies.Event(0, "asks", 1, 0)])
    timeless = unread(3, client="c0", at="yesterday")
    found = drive(pipeline(profile), [people.chunk([*timeless[:2], *asked, timeless[2]])])
    row = row_of(found, "c0")
    assert (row["n"], row["clock"]) == (2, people.START_US)
    assert len(found.letters) == 3


def test_a_time_beyond_its_bound_or_too_late_is_told_once(profile: Profile) -> None:
    asked = strategies.written([strategies.Event(0, "asks", 1, 0)])
    odd = [unread(1, client="c0", at=at)[0] for at in (people.END_US / 1e6 + 9, people.START_US / 1e6 - 3 * 86_400)]
    found = drive(pipeline(profile), [people.chunk([*asked, *odd])])
    assert [letter.reason for letter in found.letters] == ["input", "input"]
    row = row_of(found, "c0")
    assert (row["n"], row["clock"]) == (2, people.START_US)  # the first of the two; the other is too late


@pytest.mark.parametrize("changes", [{"model": "another"}, {"status": "error"}, {"model_version": "8"}])
def test_what_was_not_answered_or_not_by_this_model_is_no_evidence_because_it_cannot_be_read(
    profile: Profile, changes: dict[str, Any]
) -> None:
    bound = replace(profile, summary=msgspec.structs.replace(profile.summary, versions=("7",)))
    found = drive(pipeline(bound), [people.chunk(unread(60, **changes))])
    assert not found.alerts
    assert len(found.letters) == 60


def client_of(record: bytes) -> str | None:
    queries, _, refused = decode_many([record])
    found: str | None = queries[0].client if queries else refused[0][1].client
    return found


# -- what is set aside


@pytest.mark.parametrize(
    ("what", "reason"),
    [
        ("broken", "json"),
        ("narrow", "width"),
        ("text", "text"),
        ("nobody", IDENTITY),
        ("late", LATE),
        ("future", FUTURE),
    ],
)
def test_a_dead_letter_names_the_place_the_reason_and_the_client(profile: Profile, what: str, reason: str) -> None:
    records = strategies.written([strategies.Event(0, "asks", 1, 0), strategies.Event(0, what, 2, 0)])
    (letter,) = drive(pipeline(profile), [people.chunk(records, at=40)]).letters
    assert (letter.stream, letter.offset, letter.reason) == (people.STREAM, 41, reason)
    assert letter.client == (None if what == "nobody" else "c0")
    assert letter.message
    assert letter.payload is None


def test_a_payload_is_kept_only_when_asked_for(profile: Profile) -> None:
    (letter,) = drive(pipeline(profile, keep_payloads=True), [people.chunk([b"{"])]).letters
    assert letter.payload == b"{"


def test_everything_is_counted_once(profile: Profile) -> None:
    happened = [strategies.Event(0, what, 1, 1_000_000) for what in ("asks", "retries", *strategies.ODD)]
    found = drive(pipeline(profile), [people.chunk(strategies.written(happened))])
    assert found.counts == {"records": 10, "judged": 2, "retries": 1, "unidentified": 1, "other_models": 1}
    assert len(found.letters) == 6


def test_a_decoder_may_give_several_queries_of_one_record(profile: Profile) -> None:
    def halves(payloads: Sequence[bytes]) -> tuple[list[Any], list[int], list[tuple[int, DecodeError]]]:
        queries, sources, refused = decode_many(payloads)
        twice = [msgspec.structs.replace(q, row=row, id=f"{q.id}/{row}") for q in queries for row in (0, 1)]
        return twice, [s for s in sources for _ in (0, 1)], refused

    records = strategies.written([strategies.Event(0, "asks", 1, 0), strategies.Event(0, "narrow", 1, 0)])
    doubled = Pipeline(profile, [Dated(0, profile.summary.policy)], halves)
    step = doubled.advance(people.chunk(records))
    assert step.judged == 2
    assert [(letter.offset, letter.row) for letter in step.letters] == [(1, 0), (1, 1)]


# -- a break


Saved = tuple[bytes, list[tuple[str, str, bytes]], list[tuple[bytes, bytes]]]


def saved(before: Pipeline) -> Saved:
    """What a snapshot holds, as bytes."""
    return (
        msgspec.msgpack.encode(before.state()),
        saved_rows(before.tables),
        [(key, msgspec.msgpack.encode(case)) for key, case in before.cases.items()],
    )


def restored(profile: Profile, snapshot: Saved) -> Pipeline:
    state, rows, cases = snapshot
    after = pipeline(profile)
    restore_rows(after.tables, rows)
    after.cases.update((key, msgspec.msgpack.decode(case, type=Case)) for key, case in cases)
    after.restore(msgspec.msgpack.decode(state, type=State))
    return after


@some
@given(records=strategies.streams(), data=st.data())
def test_going_on_from_a_snapshot_is_as_if_there_had_been_no_break(
    profile: Profile, records: list[bytes], data: st.DataObject
) -> None:
    cut = data.draw(st.integers(0, len(records)))
    straight = drive(pipeline(profile), people.chunks(records, [5]))
    before = pipeline(profile)
    done = steps(before, people.chunks(records[:cut], [5]))
    after = restored(profile, saved(before))
    assert rows(after) == rows(before)
    done += steps(after, [people.chunk(records[cut:], at=cut)])
    assert outcome(after, [*done, after.tick()]) == straight


def test_a_snapshot_of_more_entities_than_a_table_begins_with_comes_back(profile: Profile) -> None:
    records = [people.line(f"c{i}", people.START_US + i, [0.1] * people.WIDTH, group=f"o{i}") for i in range(1_100)]
    before = pipeline(profile)
    steps(before, [people.chunk(records)])
    assert rows(restored(profile, saved(before))) == rows(before)


# -- what another policy would have said


def tape_log() -> list[bytes]:
    """Thieves who are named, pause for longer than anything is remembered, and ask honestly afterwards; a busy one."""
    back = [q._replace(client="thief", group="oa", at=q.at + 5 * people.DAY_US) for q in people.honest(4, 1, days=1.0)]
    busy = [q._replace(client="busy") for q in people.noise("busy", seed=2, n=150)]
    asked = [*people.noise("thief", n=40, group="oa"), *people.children("copier", n=120), *back, *busy]
    again = people.noise("thief", seed=3, n=40, at=people.START_US + 7 * people.DAY_US, group="oa")
    return people.log_of(people.in_order([*asked, *again, *people.honest(5, 10, days=6.0)]))


TAPE_LOG = tape_log()


def decided(journal: Sequence[Dated], points: Iterable[Point]) -> list[tuple[Any, ...]]:
    """What `decide` makes of a recorded tape."""
    cases: dict[bytes, Case] = {}
    found: list[tuple[Any, ...]] = []
    for point in points:
        policy = in_force(journal, point.at)
        cases[point.key], decision = decide(policy, cases.get(point.key, NO_CASE), point)
        if decision is not None:
            found.append((point.query_id, policy.version, *decision))
    return found


def alerted(step_alerts: Iterable[Any]) -> list[tuple[Any, ...]]:
    return [(a.query_id, a.policy, a.kind, a.action, a.severity, a.threshold, a.case_id, a.id) for a in step_alerts]


@pytest.fixture(scope="module")
def tape(profile: Profile) -> list[Point]:
    return drive(pipeline(profile), people.chunks(TAPE_LOG)).points


WHO = st.sampled_from([("client", "thief"), ("client", "copier"), ("client", "busy"), ("organisation", "oa")])


@settings(max_examples=25)
@given(journal=strategies.journals(strategies.policies(WHO)))
def test_deciding_anew_over_the_tape_is_what_a_rerun_would_have_said(
    profile: Profile, tape: list[Point], journal: list[Dated]
) -> None:
    rerun = drive(pipeline(profile, journal), people.chunks(TAPE_LOG))
    assert rerun.points == tape
    assert sorted(decided(journal, tape)) == sorted(alerted(rerun.alerts))


def test_the_tape_holds_all_that_can_be_said(profile: Profile) -> None:
    """So that the property above is not about nothing."""
    thresholds = {"client": (Threshold("low", 2.2), Threshold("high", 3.5))}
    policy = Policy("1", thresholds, suppressions=(Suppression("client", "copier", people.END_US, "made"),))
    found = drive(pipeline(profile, [Dated(0, policy)]), people.chunks(TAPE_LOG)).alerts
    assert {a.action for a in found if a.entity.id == "thief"} == {"open", "escalate", "resolve"}
    assert sum(a.action == "open" for a in found if a.entity.id == "thief") == 2
    assert not any(a.entity.id == "copier" for a in found)


def test_a_policy_holds_from_its_time_on(profile: Profile) -> None:
    quiet, strict = Policy("quiet", {}), profile.summary.policy
    since = people.START_US + 20 * people.MINUTE_US
    records = people.log_of(people.noise("thief"))
    found = drive(pipeline(profile, [Dated(0, quiet), Dated(since, strict)]), people.chunks(records)).alerts
    assert found
    assert all(a.at >= "2026-01-01T00:20" and a.policy == strict.version for a in found)


# -- what is named


def opened(found: Outcome, kind: str = "client") -> set[str]:
    return {a.entity.id for a in found.alerts if a.entity.kind == kind and a.action == "open"}


@pytest.mark.parametrize(
    ("attack", "most"),
    [(people.noise("thief", n=60), 10), (people.children("thief", n=200), 100)],
    ids=["noise", "children"],
)
def test_a_copier_is_named_soon_and_with_reasons(profile: Profile, attack: list[people.Asked], most: int) -> None:
    alerts = drive(pipeline(profile), people.chunks(people.log_of(attack))).alerts
    assert alerts[0].action == "open"
    assert alerts[0].queries <= most
    assert alerts[0].reasons
    assert alerts[0].reasons[0].evidence_db > 0
    assert alerts[0].promise.share == profile.level("client").share


def test_a_sweep_hidden_in_honest_queries_is_named(profile: Profile) -> None:
    """Three of ten queries are noise."""
    rng = np.random.default_rng(3)
    cover = people.honest(7, 12, volume=200)
    cover = [q._replace(client="thief", group=None) for q in cover[:600]]
    sweep = iter(people.noise("thief", n=600))
    mixed = [q._replace(input=next(sweep).input) if rng.random() < 0.3 else q for q in cover]
    assert opened(drive(pipeline(profile), people.chunks(people.log_of(mixed)))) == {"thief"}


def test_an_attack_split_over_the_accounts_of_one_group_names_the_group(profile: Profile) -> None:
    """Five queries an account."""
    ring = [q._replace(client=f"r{i % 12}", group="ring") for i, q in enumerate(people.noise("r", n=60))]
    found = drive(pipeline(profile), people.chunks(people.log_of(ring)))
    assert opened(found, "organisation") == {"ring"}
    (first, *_) = [a for a in found.alerts if a.entity.kind == "organisation"]
    assert first.entity.members
    assert set(first.entity.members) <= {q.client for q in ring}


def test_fresh_honest_clients_are_named_as_seldom_as_promised(profile: Profile) -> None:
    """Judged by the beta-binomial law of a split conformal threshold, one-sided, at 0.1%."""
    clients = 400
    found = drive(pipeline(profile), people.chunks(people.log_of(people.honest(8, clients))))
    for level in profile.summary.levels:
        if level.rank is None:  # it only observes
            continue
        n = sum(kind == level.kind for kind, _ in found.rows)
        law = betabinom(n, level.calibrated + 1 - level.rank, level.rank)
        assert len(opened(found, level.kind)) <= law.ppf(0.999)


def test_retries_change_nothing(profile: Profile) -> None:
    records = people.log_of(people.honest(9, 20) + people.noise("thief"))
    twice = [record for record in records for _ in (0, 1)]
    once, found = drive(pipeline(profile), people.chunks(records)), drive(pipeline(profile), people.chunks(twice))
    assert found.counts["retries"] == len(records)
    assert (found.rows, found.points, found.alerts) == (once.rows, once.points, once.alerts)


def test_a_promise_stands_behind_its_threshold_and_nothing_lower(profile: Profile) -> None:
    level = profile.level("client")
    assert level.threshold is not None
    assert profile.promise("client", level.threshold).share == level.share
    below = profile.promise("client", level.threshold - 0.1)
    assert (below.share, below.state) == (None, "none")
