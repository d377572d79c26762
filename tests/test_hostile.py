"""Hostile records of some clients, through decoder and pipeline: nobody else's result changes, memory is bounded."""

from __future__ import annotations

import json
import tracemalloc
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from detector.errors import DecodeError
from detector.logs.contract import MAX_BYTES, Decoded
from detector.logs.native import decode_many
from detector.pipeline import Pipeline
from detector.policy import Budget, Dated
from detector.profile.artefact import Profile
from detector.query import Chunk
from detector.rings.accounts import ACCOUNT
from tests import people
from tests.driving import Outcome, drive, pipeline
from tests.layouts import CLIENT_ROW

HONEST = people.in_order([*people.honest(21, 4, days=0.2), *people.noise("thief", n=30, group="gang")])
LOG = people.log_of(HONEST)
CLIENTS = {q.client for q in HONEST}
GROUPS = {q.group for q in HONEST if q.group}
NOW = people.START_US

# -- records that mean harm


def hostile(what: str, number: int, at: int) -> bytes:
    """One record of the client `evil` (or of nobody), of a kind that is to break something."""
    asked: Any = [0.1 * (number % 7)] * people.WIDTH
    plain: dict[str, Any] = {"at": at / 1e6, "client": "evil", "model": people.MODEL, "id": "one", "input": asked}
    changed: dict[str, dict[str, Any]] = {
        "reused id": {},
        "an id of another": {"id": f"{HONEST[0].client}/0"},
        "2099": {"at": 4_070_908_800},
        "1970": {"at": 0},
        "narrow": {"input": [1.0]},
        "wide": {"input": [1.0] * 5_000},
        "huge numbers": {"input": [1e308] * people.WIDTH},
        "probabilities": {"output": {"probabilities": [1.0] * 3_000}},
        "many groups": {"groups": {f"g{i}": "x" for i in range(500)}},
        "a long name": {"client": "evil" * 10_000},
        "fresh name": {"client": f"evil-{number}"},
        "a failed one": {"status": "error"},
        "another version": {"model_version": f"v{number}"},
        "batch": {"input": None, "inputs": [asked] * 40},
        "batch of odd rows": {"input": None, "inputs": [asked, [1.0], [1e308] * people.WIDTH, "text"]},
        "a chat": {"input": [{"role": "user", "content": "text"}] * 50},
        "named values": {"input": {f"n{i}": i for i in range(people.WIDTH)}},
        "an embedding": {"embedding": [0.5] * 5_000},
        "surrogate": {"client": "evil", "id": "\ud800"},
        "control characters": {"client": "evil\x00\n\x1b[31m"},
        "nothing": {"client": None},
    }
    if what in changed:
        return json.dumps(plain | changed[what]).encode()
    body = json.dumps(plain).encode()
    return {
        "NaN": body.replace(b"[0", b"[NaN, 0", 1),
        "infinity": body.replace(b"[0", b"[Infinity, 0", 1),
        "1e999": body.replace(b"[0", b"[1e999, 0", 1),
        "invalid UTF-8": body.replace(b"evil", b"ev\xff\xfel"),
        "deep": b'{"x": ' + b"[" * 20_000 + body,
        "deep input": b'{"client": "evil", "at": 1, "input": ' + b"[" * 3_000 + b"]" * 3_000 + b"}",
        "cut off": body[:-5],
        "null bytes": b"\x00" * 64,
        "two in one": body + body,
        "duplicate keys": body[:-1] + b', "client": "evil2"}',
        "empty": b"",
    }[what]


KINDS = (
    "reused id",
    "an id of another",
    "2099",
    "1970",
    "narrow",
    "wide",
    "huge numbers",
    "probabilities",
    "many groups",
    "a long name",
    "fresh name",
    "a failed one",
    "another version",
    "batch",
    "batch of odd rows",
    "a chat",
    "named values",
    "an embedding",
    "surrogate",
    "control characters",
    "nothing",
    "NaN",
    "infinity",
    "1e999",
    "invalid UTF-8",
    "deep",
    "deep input",
    "cut off",
    "null bytes",
    "two in one",
    "duplicate keys",
    "empty",
)
ATTACKS = st.lists(st.tuples(st.sampled_from(KINDS), st.integers(0, len(LOG))), max_size=40)


def chunk(records: list[bytes], bounds: list[int]) -> Chunk:
    return Chunk(people.STREAM, records, list(range(len(records))), len(records), bounds)


def among(attacks: list[tuple[str, int]]) -> tuple[list[bytes], list[int]]:
    """The honest log with hostile records at these places, and the times at which each was written."""
    records: list[bytes] = []
    bounds: list[int] = []
    for place in range(len(LOG) + 1):
        at = HONEST[min(place, len(LOG) - 1)].at
        for number, (what, where) in enumerate(attacks):
            if where == place:
                records.append(hostile(what, number, at))
                bounds.append(at + 300_000_000)
        if place < len(LOG):
            records.append(LOG[place])
            bounds.append(at + 300_000_000)
    return records, bounds


def of_the_honest(found: Outcome) -> tuple[Any, ...]:
    """Rows, points and alerts of everybody but the attackers. An alert may be held in a storm that they make, and with
    whom an account is linked depends on who else there is.
    """
    ours = CLIENTS | GROUPS
    return (
        {key: row for key, row in found.rows.items() if key[1] in ours and key[0] != ACCOUNT},
        [p for p in found.points if p.id in ours],
        sorted((a for a in (*found.alerts, *found.held) if a.entity.id in ours), key=lambda a: a.id),
        [letter for letter in found.letters if letter.client in ours],
    )


def watching(profile: Profile) -> Pipeline:
    return pipeline(profile, [Dated(0, profile.summary.policy)])


@pytest.fixture(scope="module")
def undisturbed(profile: Profile) -> tuple[Any, ...]:
    found = drive(watching(profile), [chunk(*among([]))])
    assert found.alerts
    assert not found.letters
    return of_the_honest(found)


@settings(max_examples=60)
@given(attacks=ATTACKS, size=st.sampled_from((1, 9, 10_000)))
def test_hostile_records_of_others_change_nothing(
    profile: Profile, undisturbed: tuple[Any, ...], attacks: list[tuple[str, int]], size: int
) -> None:
    records, bounds = among(attacks)
    parts = [slice(i, i + size) for i in range(0, len(records), size)]
    cut = [
        Chunk(people.STREAM, records[s], list(range(s.start, s.start + len(records[s]))), s.stop, bounds[s])
        for s in parts
    ]
    assert of_the_honest(drive(watching(profile), cut)) == undisturbed


@pytest.mark.parametrize("what", KINDS)
def test_each_kind_many_times_changes_nothing(profile: Profile, undisturbed: tuple[Any, ...], what: str) -> None:
    attacks = [(what, place) for place in range(0, len(LOG), 3)]
    assert of_the_honest(drive(watching(profile), [chunk(*among(attacks))])) == undisturbed


@pytest.mark.parametrize("what", KINDS)
def test_every_record_is_counted_judged_or_set_aside(profile: Profile, what: str) -> None:
    found = drive(watching(profile), [chunk([hostile(what, 0, NOW)], [NOW])])
    judged, retried = found.counts["judged"], found.counts["retries"]
    quiet = {"a failed one", "another version"}
    assert judged + retried + len(found.letters) >= 1 or what in quiet
    assert all(letter.message and len(letter.message) < 1_000 for letter in found.letters)


@pytest.mark.parametrize("what", ["cut off", "1e999", "deep", "narrow", "2099", "duplicate keys"])
def test_who_sends_what_cannot_be_read_is_named_where_that_can_be_read(profile: Profile, what: str) -> None:
    found = drive(watching(profile), [chunk([hostile(what, 0, NOW)], [NOW])])
    named = {letter.client for letter in found.letters} | {id_ for kind, id_ in found.rows if kind == "client"}
    assert named & {"evil", "evil2"} or what == "deep"


def test_one_record_from_2099_does_not_expire_anybody(profile: Profile, undisturbed: tuple[Any, ...]) -> None:
    made = watching(profile)
    found = drive(made, [chunk(*among([("2099", 0)]))])
    assert made.newest_clock < people.START_US + people.DAY_US
    assert [letter.reason for letter in found.letters] == ["future"]


# -- size


def test_ten_megabytes_are_read_or_refused_in_bounded_time_and_memory(profile: Profile) -> None:
    numbers = b'{"at": 1, "client": "evil", "input": [' + b"0," * (MAX_BYTES // 2 - 30) + b"0]}"
    rows = b'{"at": 1, "client": "evil", "inputs": [' + b"[0]," * (MAX_BYTES // 4 - 20) + b"[0]]}"
    quoted = b'{"at": 1, "client": "evil", "input": "' + b"a" * (MAX_BYTES - 60) + b'"}'
    beyond = b'{"client": "evil", "x": "' + b"a" * MAX_BYTES + b'"}'
    for payload, reason in ((numbers, "width"), (rows, "size"), (quoted, "text"), (beyond, "size")):
        bound = people.END_US
        model = pipeline(profile)
        model._model = "default"
        found = drive(model, [chunk([payload], [bound])])
        assert [(letter.reason, letter.client) for letter in found.letters] == [(reason, "evil")]


def decoded(payload: bytes) -> tuple[Decoded, int]:
    tracemalloc.start()
    try:
        return decode_many([payload]), tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


def test_a_refusal_keeps_nothing_of_what_it_refused() -> None:
    (_, _, refused), _ = decoded(b'{"at": 1, "client": "evil", "input": "' + b"\xff" * 100_000 + b'"}')
    ((_, error),) = refused
    assert isinstance(error, DecodeError)
    assert len(str(error)) < 500


def flood(names: int, start: int) -> list[bytes]:
    asked = next(q.input.tolist() for q in HONEST if q.client != "thief")
    return [people.line(f"flood-{i}", people.START_US + i * 3_600, asked) for i in range(start, start + names)]


def test_a_flood_of_names_costs_a_row_each_and_changes_nobody(profile: Profile, undisturbed: tuple[Any, ...]) -> None:
    """An hour of a million names, scaled down: 6,000 names, one query each."""
    made = watching(profile)
    names, part = 6_000, 1_000
    drive(made, [chunk(flood(part, 0), [people.END_US] * part)])
    tracemalloc.start()
    try:
        for start in range(part, names, part):
            made.advance(chunk(flood(part, start), [people.END_US] * part))
            made.tick([people.STREAM])
        grown = tracemalloc.get_traced_memory()[0]
    finally:
        tracemalloc.stop()
    assert len(made.clients) == names
    # Tables double, so up to two rows a name; and what a name, a key and a slot take.
    assert grown < names * (2 * CLIENT_ROW.itemsize + 1_000)
    assert not made.cases
    found = drive(watching(profile), [chunk(*among([("fresh name", i % len(LOG)) for i in range(500)]))])
    assert of_the_honest(found) == undisturbed


def test_who_makes_a_storm_holds_no_critical_alert_of_another(profile: Profile) -> None:
    """Fifty accounts that ask noise to hide one: the storm is told, and so is the one when it is critical."""
    crowd = [q for i in range(50) for q in people.noise(f"crowd-{i}", seed=i, n=2)]
    main = people.noise("main", seed=99, n=40, at=people.START_US + 10 * people.MINUTE_US)
    found = drive(watching(profile), people.chunks(people.log_of(people.in_order([*crowd, *main]))))
    assert any(a.kind == "population" for a in found.alerts)
    assert any(a.entity.id == "main" and a.severity == "critical" for a in found.alerts)


@pytest.mark.slow
def test_a_hundred_thousand_names_in_six_minutes(profile: Profile) -> None:
    """A million an hour. Rows take 3 GB of a million names; here a tenth."""
    made = watching(profile)
    for start in range(0, 100_000, 10_000):
        made.advance(chunk(flood(10_000, start), [people.END_US] * 10_000))
        made.tick([people.STREAM])
    assert len(made.clients) == 100_000
    assert made.clients.rows.nbytes <= 2 * 100_000 * CLIENT_ROW.itemsize
    assert not made.cases


def test_budgets_count_what_is_not_weighed_and_not_what_is_retried(profile: Profile) -> None:
    """One id for everything is no way around a budget, unless it is always the same query."""
    policy = profile.summary.policy.__class__("b", {}, budget=Budget(soft=64))
    others = [hostile("reused id", i, NOW).replace(b"[0", b"[%d" % i, 1) for i in range(100)]
    found = drive(pipeline(profile, [Dated(0, policy)]), [chunk(others, [NOW] * 100)])
    assert [a.kind for a in found.alerts] == ["budget"]
