"""What the books say of a level when a successor is in force, and when the promise is void; and the map of text."""

from __future__ import annotations

from contextlib import closing
from pathlib import Path

import msgspec
import numpy as np
import pytest

from detector.dashboard.reading.books import StoreBooks
from detector.dashboard.reading.mapping import NO_MAP, map_of
from detector.dashboard.shapes import AskPromise
from detector.logs.native import decode_many
from detector.profile import fit
from detector.profile.artefact import Profile
from detector.profile.succession import name_of, population_of
from detector.run.judge import POPULATION
from detector.run.store import Reader
from detector.run.successors import PREFIX, kept_in
from features.follow import MEMORY
from tests import people
from tests.dashboard.books.conftest import Make, settings_in
from tests.driving import drive, pipeline
from tests.run.scene import Scene, Turn
from tests.test_text import OPTIONS, chunk, person

STREAM = "kafka:t/0"
LATER_US = 13 * people.DAY_US


def test_levels_are_those_of_the_successor_in_force(tmp_path: Path, saved: Path, profile: Profile) -> None:
    """Twelve days of new honest clients, after the log that the profile was learned from."""
    fresh = people.log_of([one._replace(at=one.at + LATER_US) for one in people.honest(23, 260)])
    turns = [Turn(STREAM, 1_000, 2.0)] * (len(fresh) // 1_000 + 4)
    Scene(tmp_path, saved, {STREAM: fresh}, turns).run(size=1_000, learning={"successor": "auto"})
    books = StoreBooks(settings_in(tmp_path, saved), profile, check_s=0.0)
    (newest, *_) = books.policies()
    assert newest.version.startswith(PREFIX)
    with closing(Reader(tmp_path / "store" / "state.sqlite")) as reader:
        (mine,) = [one for one in kept_in(reader) if PREFIX + name_of(one) == newest.version]
    (client,) = [one for one in books.overview().levels if one.level == "client"]
    assert (client.threshold, client.low, client.high) == (
        mine.threshold.score,
        mine.threshold.low,
        mine.threshold.high,
    )
    assert client.calibrated == len(mine.suprema) != len(profile.suprema["client"])
    assert newest.thresholds["client"][0].score == client.threshold
    said = books.promise(AskPromise("client", score=client.threshold))
    assert any("presumed honest" in word for word in said.words)  # whom it came to know nobody vouched for
    assert not any("looking at the data" in word for word in said.words)


def test_a_void_promise_is_said_beside_every_threshold(mine: Make, tmp_path: Path, profile: Profile) -> None:
    assert all("void" not in word for word in words(mine()))
    population = population_of(profile)
    assert population is not None
    population.settled.watch.void_since = people.START_US + 3 * people.DAY_US
    with closing(Reader(tmp_path / "store" / "state.sqlite")) as reader, reader.db.transaction("made") as db:
        db.execute(
            "INSERT OR REPLACE INTO extras VALUES (?, ?)", (POPULATION, msgspec.msgpack.encode(population.settled))
        )
    assert any(word.startswith("The promise is void since 2026-01-04") for word in words(mine()))


def words(books: StoreBooks) -> tuple[str, ...]:
    return books.promise(AskPromise("client", score=1.0)).words


@pytest.fixture(scope="module")
def of_text() -> Profile:
    log = chunk(*(person(i) for i in range(100)))
    return fit.fit(lambda: iter([log]), decode_many, None, OPTIONS, lambda text: None)


@pytest.mark.slow
def test_the_map_of_text_shows_what_a_row_remembers(of_text: Profile) -> None:
    """Directions of prompts, among those of honest ones: of the latest ones, and of a sample of the others."""
    found = drive(pipeline(of_text), [chunk(person(7), person(8)[:3])])
    long, short = (map_of(of_text, found.rows["client", f"person-{i}"]) for i in (7, 8))
    assert len(long.queries) == min(len(person(7)), MEMORY)
    assert len(short.queries) == 3
    assert long.training == short.training
    assert len(long.training) == of_text.learned["matter"].shape[1] > 50
    assert 0 < long.explained <= 1
    spread = np.array(long.training).std(axis=0)
    assert spread[0] >= spread[1] > 0
    assert map_of(of_text, b"") == NO_MAP
