from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from detector.profile import artefact
from detector.profile.artefact import Profile
from detector.run import database


@pytest.fixture(autouse=True)
def lazy_disk() -> Iterator[None]:
    """No fsync in this process: nothing here cuts the power. The child that is killed runs with the real setting."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(database, "SYNCHRONOUS", "OFF")
        yield


@pytest.fixture(scope="session")
def known() -> Iterator[dict[tuple[Path, int], Profile]]:
    """Profiles by their folder and when it was written. None was changed by who was given it."""
    found: dict[tuple[Path, int], Profile] = {}
    yield found
    for profile in found.values():
        assert artefact.identify(profile).summary.id == profile.summary.id


@pytest.fixture(autouse=True)
def read_once(known: dict[tuple[Path, int], Profile]) -> Iterator[None]:
    """A profile is a value: the runners of this process, who crash and come back by the hundred, are given the same.
    Reading it takes longer than the hour of log that most of them see. The child that is killed reads it each time.
    """
    load = artefact.load

    def load_once(directory: Path) -> Profile:
        written = max((path.stat().st_mtime_ns for path in directory.glob("*")), default=0)
        if (directory, written) not in known:
            known[directory, written] = load(directory)
        return known[directory, written]

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(artefact, "load", load_once)
        yield
