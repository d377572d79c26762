"""The runner stopped dead at any moment of any course of events: what it told and what it keeps are as without."""

from __future__ import annotations

import tempfile
import zlib
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from detector.profile import artefact
from detector.profile.artefact import Profile
from detector.run.local import LocalRunner
from detector.settings import PolicySettings
from tests import people
from tests.run.runs import STREAMS, Kept, Scene, Turn, kept, retold

HOUR_US = 3_600_000_000
POLICIES: tuple[dict[str, Any], ...] = (
    {},
    {"thresholds": {"client": {"medium": 1.0}, "organisation": {"medium": 0.75}}},
    {"thresholds": {"client": {"medium": 4.0}, "organisation": {"medium": 3.0}}, "cool_down_s": 60.0},
    {"budget": {"soft": 64, "hard": 128}},
)
REST = [Turn(stream, 10_000, 1.0) for stream in STREAMS]


class Crash(BaseException):
    """kill -9, as far as the files can tell: no snapshot, nothing told."""


class Fuse:
    """Burns down with every moment at which something becomes durable, before and after."""

    def __init__(self, moments: int) -> None:
        self.left = moments

    def burn(self) -> None:
        self.left -= 1
        if self.left < 0:
            raise Crash

    def put_into(self, runner: LocalRunner) -> None:
        runner._outbox.put = self._around(runner._outbox.put)  # type: ignore[method-assign]
        for name in ("save", "dead_letter", "prune_tape", "journal_policy"):
            setattr(runner._store, name, self._around(getattr(runner._store, name)))

    def _around(self, call: Callable[..., Any]) -> Callable[..., Any]:
        def burning(*args: Any, **named: Any) -> Any:
            self.burn()
            done = call(*args, **named)
            self.burn()
            return done

        return burning


@pytest.fixture(scope="module")
def saved(profile: Profile, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("profile")
    artefact.save(profile, folder)
    return folder


class Streams(dict[str, list[bytes]]):
    def __repr__(self) -> str:
        return "the streams"


@pytest.fixture(scope="module")
def streams() -> Streams:
    """An hour and more of honest clients, two copiers, an organisation that copies with four accounts, and rubbish."""
    start = people.START_US
    asked = people.honest(5, 8, days=0.05, volume=30)
    asked += people.noise("n1", seed=1, n=50, group="o1") + people.children("k1", seed=2, n=80, at=start + HOUR_US // 9)
    for account in range(4):
        asked += people.noise(f"r{account}", seed=3 + account, n=25, at=start + account * 7_000_000, group="ring")
    asked = people.in_order(asked)
    found = Streams({stream: [] for stream in STREAMS})
    for one, line in zip(asked, people.log_of(asked), strict=True):
        mine = found[STREAMS[zlib.crc32(one.client.encode()) % len(STREAMS)]]
        mine.append(line)
        if len(mine) % 40 == 0:
            mine.append(b"rubbish")
    return found


def turns(*seconds: float) -> st.SearchStrategy[list[Turn]]:
    turn = st.builds(Turn, st.sampled_from(STREAMS), st.integers(0, 90), st.sampled_from(seconds), st.none())
    return st.lists(turn, max_size=25)


def whole_run(scene: Scene, fuses: Sequence[int], policies: Sequence[int] = (), size: int = 50) -> Kept:
    """Runs to the end of the log, through a crash for each fuse; each start comes with its own policy of the settings."""
    chosen = [*policies, *[0] * (len(fuses) + 1)]
    for burns, policy in zip(fuses, chosen, strict=False):
        runner = scene.runner(size, policy=POLICIES[policy])
        Fuse(burns).put_into(runner)
        try:
            runner.run()
        except Crash:
            continue
        return kept(scene.folder)
    scene.runner(size, policy=POLICIES[chosen[len(fuses)]]).run()
    return kept(scene.folder)


@pytest.fixture(scope="module")
def undisturbed(saved: Path, streams: Streams, tmp_path_factory: pytest.TempPathFactory) -> Kept:
    return whole_run(Scene(tmp_path_factory.mktemp("undisturbed"), saved, streams, REST), ())


def test_the_log_has_what_these_tests_are_about(undisturbed: Kept) -> None:
    kinds = {kind for kind, _ in undisturbed.told}
    assert kinds == {"client", "organisation"}
    assert ("organisation", "ring") in undisturbed.told
    assert undisturbed.letters
    assert len({point.at // 10_000_000 for point in undisturbed.tape}) > 20


@settings(max_examples=400)
@given(turns=turns(0.0, 0.4, 1.5), fuses=st.lists(st.integers(0, 60), max_size=5), size=st.sampled_from([7, 50, 400]))
def test_after_any_crashes_all_is_as_without_them(
    saved: Path, streams: Streams, undisturbed: Kept, turns: list[Turn], fuses: list[int], size: int
) -> None:
    with tempfile.TemporaryDirectory() as folder:
        found = whole_run(Scene(Path(folder), saved, streams, [*turns, *REST]), fuses, size=size)
    assert found == undisturbed


@settings(max_examples=400)
@given(
    turns=turns(0.0, 1.5, 20.0, 65.0),
    fuses=st.lists(st.integers(0, 40), max_size=5),
    policies=st.lists(st.integers(0, 3), min_size=6, max_size=6),
    requests=st.lists(st.tuples(st.integers(0, 24), st.integers(0, 3)), max_size=3),
)
def test_what_was_told_follows_from_the_log_also_with_idle_streams_and_new_policies(
    saved: Path,
    streams: Streams,
    turns: list[Turn],
    fuses: list[int],
    policies: list[int],
    requests: list[tuple[int, int]],
) -> None:
    """Streams that fall silent and come back with old records: when a tick closes then depends on the wall clock."""
    promised = artefact.load(saved).summary.policy.thresholds
    for place, number in requests:
        policy = msgspec.convert(POLICIES[number], PolicySettings).over(promised)
        turns.insert(place, Turn(STREAMS[0], 0, 1.5, policy))
    with tempfile.TemporaryDirectory() as folder:
        found = whole_run(Scene(Path(folder), saved, streams, [*turns, *REST]), fuses, policies)
        assert found.told == retold(Path(folder))
