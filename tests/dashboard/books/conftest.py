"""A store that a detector left behind, shared by all tests that only read it, and its tape where it may be kept."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from detector.dashboard.keeping.history import History
from detector.dashboard.keeping.opening import opened
from detector.dashboard.reading.books import StoreBooks
from detector.dashboard.reading.tapes import Tape
from detector.profile.artefact import Profile
from detector.run import database
from detector.run.local import LocalRunner
from detector.settings import Settings, settings_of
from tests.run.hour import hour
from tests.run.scene import document
from tests.servers.postgres import Databases

Make = Callable[..., StoreBooks]
Keep = Callable[[Path, Profile], Tape | None]
DAYS = 400


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


@pytest.fixture(scope="session", params=["store", pytest.param("postgres", marks=pytest.mark.server)])
def keep(request: pytest.FixtureRequest) -> Iterator[Keep]:
    """Where the tape of a store in a folder is read: in the store, or in a PostgreSQL that keeps a copy of it."""
    if request.param == "store":
        yield lambda folder, profile: None
        return
    databases: Databases = request.getfixturevalue("databases")
    with ExitStack() as stack:

        def kept(folder: Path, profile: Profile) -> Tape:
            history = History(opened(databases.new()), folder, profile, DAYS)
            stack.callback(history.close)
            return history

        yield kept


@pytest.fixture(scope="session")
def books(left: Path, saved: Path, profile: Profile, keep: Keep) -> StoreBooks:
    """Nobody changes them."""
    return StoreBooks(settings_in(left, saved), profile, keep(left / "store", profile), check_s=0.0)


@pytest.fixture
def mine(left: Path, saved: Path, profile: Profile, tmp_path: Path, keep: Keep) -> Make:
    """Books of a copy of the store, and the folder it lies in."""
    shutil.copytree(left, tmp_path, dirs_exist_ok=True)

    def make(check_s: float = 0.0, **sections: Any) -> StoreBooks:
        tape = keep(tmp_path / "store", profile)
        return StoreBooks(settings_in(tmp_path, saved, **sections), profile, tape, check_s=check_s)

    return make
