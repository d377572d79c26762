"""Storms in a preview over a whole store, and a PostgreSQL that the settings name."""

from __future__ import annotations

import shutil
from contextlib import closing
from pathlib import Path

import pytest

from detector.dashboard.reading.books import StoreBooks, make_books
from detector.dashboard.serving import check, history
from detector.dashboard.shapes import Ask, Change
from detector.errors import SettingsError
from detector.profile.artefact import Profile
from detector.run.local import LocalRunner
from detector.run.outbox import Outbox
from tests.dashboard.books.conftest import Keep, settings_in
from tests.dashboard.books.test_books import LOOSE, raised
from tests.servers.postgres import Databases


def test_a_preview_tells_what_was_told_from_what_a_storm_held(
    left: Path, tmp_path: Path, saved: Path, profile: Profile, keep: Keep
) -> None:
    storm = {"storm": {"at_least": 2, "window_s": 3_600.0}}
    shutil.copy(left / "log.jsonl", tmp_path / "log.jsonl")
    LocalRunner(settings_in(tmp_path, saved, policy=storm)).run()
    settings = settings_in(tmp_path, saved, policy=storm)
    preview = StoreBooks(settings, profile, keep(tmp_path / "store", profile), check_s=0.0).preview(Ask(Change()))
    with closing(Outbox(tmp_path / "store" / "outbox.sqlite")) as outbox:
        held, told = outbox.held(), [*outbox.kept()]
    assert preview.held_was == preview.held_would == sum(raised(held).values()) > 0
    assert preview.was == raised(one for one in told if one.kind not in ("population", "health"))
    storms = sum(one.kind == "population" and one.action == "open" for one in told)
    assert preview.storms_was == preview.storms_would == storms > 0
    assert sum(day.held_would for day in preview.days) == preview.held_would


@pytest.mark.server
def test_a_postgresql_in_the_settings_keeps_the_tape(
    left: Path, saved: Path, books: StoreBooks, databases: Databases, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TEST_DATABASE", databases.new())
    shown = {"database": {"env": "TEST_DATABASE"}, "history_days": 500}
    settings = settings_in(left, saved, dashboard=shown)
    made = make_books(settings, history(settings))
    assert isinstance(made, StoreBooks)
    assert made._tape.days == 500
    assert made.overview().points == books.overview().points
    assert made.preview(Ask(LOOSE)).would == books.preview(Ask(LOOSE)).would
    made.close()
    assert history(settings_in(left, saved)) is None
    with pytest.raises(SettingsError, match="takes a PostgreSQL"):
        check(settings_in(left, saved, dashboard={"history_days": 500}).dashboard)
