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
def saved(profile: Profile, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The small profile, on disk."""
    folder = tmp_path_factory.mktemp("profile")
    artefact.save(profile, folder)
    return folder
