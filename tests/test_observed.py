"""What got no answer, or one of another version, counts for budgets and is no evidence; cached and batched ones are."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import msgspec
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from detector.observed import rounds_of
from detector.pipeline import State
from detector.policy import Budget, Dated
from detector.profile.artefact import Profile
from detector.query import Chunk
from detector.run.health import of_other_versions
from tests import people, strategies
from tests.driving import Outcome, drive, pipeline

NOISE = people.log_of(people.noise("thief", n=80))


def bound(profile: Profile, *versions: str) -> Profile:
    """The profile, fitted for these versions."""
    summary = msgspec.structs.replace(profile.summary, versions=versions)
    return replace(profile, summary=summary)


def told(records: list[bytes], **more: Any) -> list[bytes]:
    return [json.dumps(json.loads(record) | more).encode() for record in records]


def evidence(profile: Profile, found: Outcome, client: str) -> tuple[Any, ...]:
    """What is known of a client beside how much it asked."""
    row = np.frombuffer(found.rows[("client", client)], profile.entities("client").dtype)[0]
    return row["counts"].tolist(), [(p.level, p.evidence) for p in found.points if p.id == client and not p.budget]


@given(st.lists(st.tuples(st.integers(0, 3), st.integers(-1, 2)), min_size=1, max_size=30))
def test_rounds_keep_each_clients_order_and_no_round_mixes(asked: list[tuple[int, int]]) -> None:
    slots, places = (np.array(column) for column in zip(*asked, strict=True))
    rounds = rounds_of(slots, places)
    for slot in set(slots.tolist()):
        mine, where = rounds[slots == slot], places[slots == slot]
        assert mine[0] == 0
        assert (np.diff(mine) == (np.diff(where) != 0)).all()


@settings(max_examples=50)
@given(records=strategies.streams(), sizes=strategies.cuts)
def test_cutting_a_stream_of_several_versions_changes_nothing(
    profile: Profile, records: list[bytes], sizes: list[int]
) -> None:
    one = bound(profile, "1")
    at_once = drive(pipeline(one), [people.chunk(records)])
    assert drive(pipeline(one), people.chunks(records, [*sizes, 1])) == at_once


@pytest.mark.parametrize("change", [{"status": "error"}, {"model_version": "8"}])
def test_what_is_not_weighed_leaves_the_evidence_as_it_was(profile: Profile, change: dict[str, Any]) -> None:
    ours = bound(profile, "7")
    honest = [q._replace(client="thief") for q in people.honest(3, 6)][: len(NOISE)]
    without = told(people.log_of(honest), model_version="7")
    others = [told([r], at=q.at / 1e6, id=f"x{q.at}", **change)[0] for q, r in zip(honest, NOISE, strict=False)]
    assert len(honest) > 40
    mixed = [record for pair in zip(without, others, strict=False) for record in pair]
    expected = drive(pipeline(ours), people.chunks(without[: len(mixed) // 2]))
    for size in (1, 1_000):
        found = drive(pipeline(ours), people.chunks(mixed, [size]))
        assert evidence(ours, found, "thief")[0] == evidence(ours, expected, "thief")[0]
        assert found.counts["judged"] == len(mixed) // 2
        assert not found.letters


@pytest.mark.parametrize("change", [{"status": "error"}, {"model_version": "8"}, {"status": "error", "input": [1.0]}])
def test_it_counts_for_budgets(profile: Profile, change: dict[str, Any]) -> None:
    policy = msgspec.structs.replace(profile.summary.policy, budget=Budget(soft=64))
    found = drive(pipeline(bound(profile, "7"), [Dated(0, policy)]), people.chunks(told(NOISE, **change)))
    assert [a.kind for a in found.alerts] == ["budget"]
    assert found.counts["judged"] == 0


def test_it_is_counted(profile: Profile) -> None:
    made = pipeline(bound(profile, "7"))
    step = made.advance(people.chunk([*told(NOISE[:3], status="error"), *told(NOISE[3:7], model_version="8")]))
    assert (step.unanswered, step.other_versions, step.judged, step.records) == (3, 4, 0, 7)


def test_a_version_that_the_operator_names_is_judged(profile: Profile) -> None:
    records = told(NOISE, model_version="8")
    ours = bound(profile, "7")
    assert not drive(pipeline(ours), people.chunks(records)).alerts
    assert drive(pipeline(ours, also_versions=["8"]), people.chunks(records)).alerts


def test_without_versions_all_is_as_it_was(profile: Profile) -> None:
    """In the profile's log, or in this one."""
    expected = drive(pipeline(profile), people.chunks(NOISE)).alerts
    assert expected
    assert drive(pipeline(profile), people.chunks(told(NOISE, model_version="8"))).alerts == expected
    assert drive(pipeline(bound(profile, "7")), people.chunks(NOISE)).alerts == expected


def test_health_says_which_version_since_when_and_what_to_do(profile: Profile) -> None:
    made = pipeline(bound(profile, "7"))
    made.advance(people.chunk(told(NOISE, model_version="8")))
    again = pipeline(bound(profile, "7"))
    again.restore(msgspec.msgpack.decode(msgspec.msgpack.encode(made.state()), type=State))
    (said,) = of_other_versions(again.other_versions, ("7",), again.newest_clock)
    assert said.startswith("version 8 of the model is asked since 2026-01-01T00:00:00Z, and observed, not judged")
    assert "profile.also_versions" in said
    assert not of_other_versions(again.other_versions, ("7",), again.newest_clock + people.DAY_US)


def test_a_cached_answer_counts_as_any_other(profile: Profile) -> None:
    """Whoever asked has learned it."""
    fresh, cached = (drive(pipeline(profile), people.chunks(told(NOISE, cached=c))) for c in (False, True))
    assert cached == fresh
    assert fresh.alerts


def batch(records: list[bytes]) -> bytes:
    """One record of what these asked, at the time of the first."""
    read = [json.loads(record) for record in records]
    body = {name: read[0][name] for name in ("at", "client", "model", "groups")}
    body |= {"id": "b", "inputs": [one["input"] for one in read], "outputs": [one["output"] for one in read]}
    return json.dumps(body).encode()


def test_a_batch_is_judged_as_its_queries_one_after_another(profile: Profile) -> None:
    at_once = told(NOISE, at=people.START_US / 1e6)
    singles = [json.dumps(json.loads(r) | {"id": f"b/{i}"}).encode() for i, r in enumerate(at_once)]
    expected = drive(pipeline(profile), people.chunks(singles))
    found = drive(pipeline(profile), people.chunks([batch(NOISE)]))
    assert (found.rows, found.points, found.alerts) == (expected.rows, expected.points, expected.alerts)
    assert found.counts == {**expected.counts, "records": 1}
    assert found.alerts[0].query_id.startswith("b/")


def test_equal_rows_of_a_batch_are_queries_and_a_batch_that_comes_again_is_retried(profile: Profile) -> None:
    rows = [NOISE[0]] * 20
    found = drive(pipeline(profile), people.chunks([batch(rows), batch(rows)]))
    assert (found.counts["judged"], found.counts["retries"]) == (20, 20)


def test_a_row_that_does_not_fit_is_a_dead_letter_with_its_number(profile: Profile) -> None:
    records = [NOISE[0], people.line("thief", people.START_US, [1.0]), NOISE[2]]
    found = drive(pipeline(profile), [Chunk(people.STREAM, [batch(records)], [5], 6, [people.END_US])])
    assert [(letter.offset, letter.row, letter.reason) for letter in found.letters] == [(5, 1, "width")]
    assert found.counts["judged"] == 2
