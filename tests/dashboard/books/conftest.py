"""A store that a detector left behind, shared by all tests that only read it."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from detector.dashboard.reading.books import StoreBooks
from detector.profile.artefact import Profile
from detector.run import database
from detector.run.local import LocalRunner
from detector.settings import Settings, settings_of
from tests.run.hour import hour
from tests.run.scene import document

Make = Callable[..., StoreBooks]


@pytest.fixture(scope="session", autouse=True)
def lazy_disk() -> Iterator[None]:
    """No fsync in this process: nothing here cuts the power."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(database, "SYNCHRONOUS", "OFF")
        yield


def settings_in(folder: Path, saved: Path, **sections: Any) -> Settings:
    return settings_of(document(folder, saved, **({"policy": {"storm": {"at_least": 0}}} | sections)))


@pytest.fixture(scope="session")
def left(tmp_path_factory: pytest.TempPathFactory, saved: Path) -> Path:
    """The folder of a log of an hour in which some copy, and of the store of who read it."""
    folder = tmp_path_factory.mktemp("left")
    (folder / "log.jsonl").write_bytes(b"".join(line + b"\n" for line in hour().lines))
    LocalRunner(settings_in(folder, saved)).run()
    return folder


@pytest.fixture(scope="session")
def books(left: Path, saved: Path, profile: Profile) -> StoreBooks:
    """Nobody changes them."""
    return StoreBooks(settings_in(left, saved), profile, check_s=0.0)


@pytest.fixture
def mine(left: Path, saved: Path, profile: Profile, tmp_path: Path) -> Make:
    """Books of a copy of the store, and the folder it lies in."""
    shutil.copytree(left, tmp_path, dirs_exist_ok=True)

    def make(**sections: Any) -> StoreBooks:
        return StoreBooks(settings_in(tmp_path, saved, **sections), profile, check_s=0.0)

    return make
