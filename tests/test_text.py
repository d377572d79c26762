"""Text, from the log to alerts: who asks like a person is left alone, who sweeps is named; embeddings of the log do."""

from __future__ import annotations

import json

import numpy as np
import pytest

from detector.errors import ProfileError
from detector.logs.native import decode_many
from detector.profile import fit
from detector.profile.artefact import Profile
from detector.query import Chunk
from features import NUMBERS, TEXT
from tests import people
from tests.driving import drive, pipeline

TOPICS, WIDTH = 40, 12
OPTIONS = fit.Options(promise=0.05, horizon_us=None, embedder="log", watch=None)
_rng = np.random.default_rng(4)
_CENTRES = _rng.normal(size=(TOPICS, WIDTH))
_WORDS = [[f"w{t}x{k}" for k in range(9)] for t in range(TOPICS)]


def prompt(rng: np.random.Generator, topic: int) -> dict[str, object]:
    words = " ".join(rng.choice(_WORDS[topic], rng.integers(3, 12)))
    vector = _CENTRES[topic] + rng.normal(0, 0.4, WIDTH)
    return {"input": f"What of {words}?", "embedding": vector.tolist(), "output": {"text": words * 3}}


def asked(client: str, topics: list[int], seed: int) -> list[bytes]:
    rng = np.random.default_rng(seed)
    at = people.START_US / 1e6 + rng.uniform(0, 3_600)
    found = []
    for i, topic in enumerate(topics):
        at += rng.exponential(60)
        record = {"at": at, "client": client, "id": f"{client}/{i}", "model": people.MODEL, **prompt(rng, topic)}
        found.append(json.dumps(record).encode())
    return found


def person(i: int) -> list[bytes]:
    """Stays with a matter for some prompts, then goes on to another."""
    rng = np.random.default_rng([1, i])
    return asked(f"person-{i}", np.repeat(rng.integers(TOPICS, size=12), rng.integers(2, 8, 12)).tolist(), 1_000 + i)


def sweep(i: int) -> list[bytes]:
    topics = np.random.default_rng([2, i]).integers(TOPICS, size=60).tolist()
    return asked(f"sweep-{i}", topics, 2_000 + i)


def chunk(*clients: list[bytes]) -> Chunk:
    lines = sorted((line for one in clients for line in one), key=lambda line: float(json.loads(line)["at"]))
    return Chunk(people.STREAM, lines, list(range(len(lines))), len(lines), [people.END_US * 2] * len(lines))


@pytest.fixture(scope="module")
def reading() -> Profile:
    log = chunk(*(person(i) for i in range(100)))
    return fit.fit(lambda: iter([log]), decode_many, None, OPTIONS, lambda text: None)


def test_a_log_of_text_is_read_by_the_families_of_text(reading: Profile) -> None:
    assert (reading.kit, reading.summary.embedder, reading.projection.width) == (TEXT, "log", WIDTH)
    assert "follow.order" not in {off.signal for off in reading.summary.off}


def test_who_sweeps_is_named_and_people_are_not(reading: Profile) -> None:
    found = drive(pipeline(reading), [chunk(*(person(i) for i in range(200, 215)), *(sweep(i) for i in range(8)))])
    named = {alert.entity.id: alert.queries for alert in (*found.alerts, *found.held) if alert.kind == "extraction"}
    assert {f"sweep-{i}" for i in range(8)} <= set(named)
    assert len([client for client in named if client.startswith("person")]) <= 3
    assert np.median([named[f"sweep-{i}"] for i in range(8)]) <= 40


def test_cutting_the_log_changes_nothing(reading: Profile) -> None:
    whole = chunk(*(person(i) for i in range(200, 203)), sweep(1))
    at_once = drive(pipeline(reading), [whole])
    parts = drive(pipeline(reading), [whole.part(i, i + 7) for i in range(0, len(whole.payloads), 7)])
    assert at_once.rows == parts.rows
    assert at_once.points == parts.points


@pytest.mark.parametrize(
    ("what", "reason"), [({"input": [1.0]}, "numbers"), ({"input": {"a": 1}}, "numbers"), ({"embedding": [1]}, "width")]
)
def test_what_is_no_text_is_a_dead_letter(reading: Profile, what: dict[str, object], reason: str) -> None:
    record = {
        "at": people.START_US / 1e6,
        "client": "odd",
        "model": people.MODEL,
        "input": "hi",
        "embedding": [0.5] * 12,
    }
    line = json.dumps(record | what).encode()
    letters = drive(pipeline(reading), [Chunk(people.STREAM, [line], [0], 1, [people.END_US])]).letters
    assert [letter.reason for letter in letters] == [reason]


def test_a_log_of_numbers_is_read_by_theirs(profile: Profile) -> None:
    assert (profile.kit, profile.summary.embedder) == (NUMBERS, None)


def test_the_logs_own_embeddings_must_be_there() -> None:
    bare = [json.dumps(json.loads(line) | {"embedding": None}).encode() for line in person(0)]
    log = Chunk(people.STREAM, bare, list(range(len(bare))), len(bare), [people.END_US * 2] * len(bare))
    with pytest.raises(ProfileError, match="carry an `embedding`"):
        fit.fit(
            lambda: iter([log]), decode_many, None, fit.Options(horizon_us=None, embedder="log", promise=0.5), print
        )
