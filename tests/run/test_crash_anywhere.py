"""The runner stopped dead at any moment of any course of events: what it told and what it keeps are as without."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from detector.profile import artefact
from detector.settings import PolicySettings
from tests.run.hour import LEVELS, STREAMS, hour
from tests.run.kept import Kept, kept, retold
from tests.run.scene import Scene, Turn, crashed

CHANGES: tuple[dict[str, Any], ...] = (
    {},
    {"thresholds": {level: {"medium": 0.75, "high": 5.0, "critical": 15.0} for level in LEVELS}},
    {"thresholds": {level: {"medium": 4.0, "high": 6.0, "critical": 20.0} for level in LEVELS}, "cool_down_s": 60.0},
    {"budget": {"soft": 64, "hard": 128}},
)
# A storm's own alert does not follow from the tape, and what it holds is not told: tests/run/test_held.py has those.
POLICIES = tuple({"storm": {"at_least": 0}} | change for change in CHANGES)
REST = [Turn(stream, 10_000, 1.0) for stream in STREAMS]
FUSES = st.lists(st.integers(0, 60), max_size=5)


def turns(*seconds: float) -> st.SearchStrategy[list[Turn]]:
    turn = st.builds(Turn, st.sampled_from(STREAMS), st.integers(0, 90), st.sampled_from(seconds), st.none())
    return st.lists(turn, max_size=25)


@pytest.fixture(scope="module")
def undisturbed(saved: Path, tmp_path_factory: pytest.TempPathFactory) -> Kept:
    folder = tmp_path_factory.mktemp("undisturbed")
    Scene(folder, saved, hour().streams, REST).run()
    return kept(folder)


def test_the_log_has_what_these_tests_are_about(undisturbed: Kept) -> None:
    assert {kind for kind, _ in undisturbed.told} == {"client", "organisation"}
    assert ("organisation", "ring") in undisturbed.told
    assert undisturbed.letters
    assert len({point.at // 10_000_000 for point in undisturbed.tape}) > 20


@settings(max_examples=30)
@given(turns=turns(0.0, 0.4, 1.5), fuses=FUSES, size=st.sampled_from([7, 50, 400]), joins=st.booleans())
def test_after_any_crashes_all_is_as_without_them(
    saved: Path, undisturbed: Kept, turns: list[Turn], fuses: list[int], size: int, joins: bool
) -> None:
    with tempfile.TemporaryDirectory() as folder:
        Scene(Path(folder), saved, hour().streams, [*turns, *REST]).run(*fuses, size=size, joins=joins)
        assert kept(Path(folder)) == undisturbed


@settings(max_examples=30)
@given(
    turns=turns(0.0, 1.5, 20.0, 65.0),
    fuses=FUSES,
    policies=st.lists(st.integers(0, 3), min_size=6, max_size=6),
    requests=st.lists(st.tuples(st.integers(0, 24), st.integers(0, 3)), max_size=3),
)
@example(turns=[Turn(STREAMS[0], 8, 65.0)], fuses=[9], policies=[2] + 5 * [0], requests=[])
def test_what_was_told_follows_from_what_is_kept_also_with_idle_streams_and_new_policies(
    saved: Path, turns: list[Turn], fuses: list[int], policies: list[int], requests: list[tuple[int, int]]
) -> None:
    """Streams that fall silent and come back with old records: when a tick closes then depends on the wall clock."""
    promised = artefact.load(saved).summary.policy.thresholds
    for place, number in requests:
        policy = msgspec.convert(POLICIES[number], PolicySettings).over(promised)
        turns.insert(place, Turn(STREAMS[0], 0, 1.5, policy))
    with tempfile.TemporaryDirectory() as folder:
        scene = Scene(Path(folder), saved, hour().streams, [*turns, *REST])
        for moments, number in zip([*fuses, 10**9], policies, strict=False):
            if not crashed(scene.runner(policy=POLICIES[number]), moments):
                break
        assert kept(Path(folder)).told == retold(Path(folder))
