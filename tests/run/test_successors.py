"""Successors of the one-class model in a run: kept, approved or by themselves, in force again after a restart."""

from __future__ import annotations

from pathlib import Path

import pytest

from detector.errors import StoreError
from detector.profile.artefact import Profile
from detector.run.store import Reader
from detector.run.successors import PREFIX, approve, shown
from tests import people
from tests.run.scene import Scene, Turn

LATER_US = 13 * people.DAY_US
STREAM = "kafka:t/0"


@pytest.fixture(scope="module")
def fresh() -> list[bytes]:
    """Twelve days of new honest clients, after the log that the profile was learned from."""
    return people.log_of([one._replace(at=one.at + LATER_US) for one in people.honest(23, 260)])


def scene(folder: Path, saved: Path, records: list[bytes]) -> Scene:
    turns = [Turn(STREAM, 1_000, 2.0)] * (len(records) // 1_000 + 4)
    return Scene(folder, saved, {STREAM: records}, turns)


def versions(folder: Path) -> list[str]:
    reader = Reader(folder / "store" / "state.sqlite")
    found = [dated.policy.version for dated in reader.policies()]
    reader.close()
    return found


def test_by_itself_where_the_settings_allow_it(tmp_path: Path, saved: Path, fresh: list[bytes]) -> None:
    played = scene(tmp_path, saved, fresh)
    played.run(size=1_000, learning={"successor": "auto"})
    taken = [version for version in versions(tmp_path) if version.startswith(PREFIX)]
    assert len(taken) == 1  # the next may come a horizon later
    again = played.runner(learning={"successor": "auto"})
    again.run()  # takes the successor from the store, and goes on
    assert versions(tmp_path)[-1] == taken[0]


def test_a_person_is_asked_by_default(tmp_path: Path, saved: Path, profile: Profile, fresh: list[bytes]) -> None:
    played = scene(tmp_path, saved, fresh)
    played.run(size=1_000)
    assert not any(version.startswith(PREFIX) for version in versions(tmp_path))
    store = tmp_path / "store" / "state.sqlite"
    lines = shown(store)
    names = [line.split()[1].rstrip(",") for line in lines if line.startswith("Successor ")]
    assert names
    assert any("before: threshold" in line for line in lines)
    with pytest.raises(StoreError, match="there is no successor beef"):
        approve(store, profile, "beef", profile.summary.policy)
    approve(store, profile, names[-1], profile.summary.policy)
    played.runner().run()
    assert versions(tmp_path)[-1] == PREFIX + names[-1]


def test_they_can_be_switched_off(tmp_path: Path, saved: Path, fresh: list[bytes]) -> None:
    scene(tmp_path, saved, fresh).run(size=1_000, learning={"successor": "off"})
    assert shown(tmp_path / "store" / "state.sqlite") == ["No epoch has closed with a successor yet."]
