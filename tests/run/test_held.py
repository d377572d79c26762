"""Alerts of a population that moved: held through any crash, and kept where they can be listed."""

from __future__ import annotations

import tempfile
import zlib
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from detector.alert import Alert
from detector.run.outbox import Outbox
from tests import people
from tests.run.kept import Kept, kept
from tests.run.made import alert
from tests.run.scene import Scene, Turn
from tests.test_storm import moved

STREAMS = ("made:0", "made:1")
REST = [Turn(stream, 10_000, 1.0) for stream in STREAMS]
STORM = {"thresholds": {level: {"critical": 1e6} for level in ("client", "organisation")}, "storm": {"at_least": 8}}


def streams() -> dict[str, list[bytes]]:
    asked = people.in_order(moved(20, 4))
    found: dict[str, list[bytes]] = {stream: [] for stream in STREAMS}
    for one, line in zip(asked, people.log_of(asked), strict=True):
        found[STREAMS[zlib.crc32(one.client.encode()) % 2]].append(line)
    return found


def held(folder: Path) -> set[str]:
    outbox = Outbox(folder / "store" / "outbox.sqlite")
    found = {one.id for one in outbox.held(1_000)}
    outbox.close()
    return found


@pytest.fixture(scope="module")
def undisturbed(saved: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Kept, set[str]]:
    folder = tmp_path_factory.mktemp("undisturbed")
    Scene(folder, saved, streams(), REST).run(policy=STORM)
    return kept(folder), held(folder)


def test_one_is_told_and_the_others_are_held(undisturbed: tuple[Kept, set[str]]) -> None:
    found, listed = undisturbed
    assert [kind for kind, _ in found.told].count("population") == 1
    assert len(listed) >= 10
    assert not listed & {id_ for ids in found.told.values() for id_ in ids}


@settings(max_examples=20)
@given(
    turns=st.lists(
        st.builds(Turn, st.sampled_from(STREAMS), st.integers(0, 30), st.sampled_from((0.0, 1.5)), st.none()),
        max_size=15,
    ),
    fuses=st.lists(st.integers(0, 40), max_size=4),
)
def test_whatever_crashes_between(
    saved: Path, undisturbed: tuple[Kept, set[str]], turns: list[Turn], fuses: list[int]
) -> None:
    with tempfile.TemporaryDirectory() as folder:
        Scene(Path(folder), saved, streams(), [*turns, *REST]).run(*fuses, size=7, policy=STORM)
        assert (kept(Path(folder)), held(Path(folder))) == undisturbed


def test_no_sink_is_given_what_is_held_and_the_newest_are_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("detector.run.outbox.MOST_HELD", 3)
    outbox = Outbox(tmp_path / "outbox.sqlite")
    outbox.join("file", "oldest")
    alerts: list[Alert] = [alert(number) for number in range(5)]
    outbox.hold(alerts[:4])
    outbox.hold(alerts[3:])
    assert [one.id for one in outbox.held()] == ["alert-0004", "alert-0003", "alert-0002"]
    assert outbox.undelivered("file") == ()
    assert outbox.backlog("file") == 0
    outbox.close()
