"""Every kind of attack of the range is called by its name in the end, in a replay as in another, on digits."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import msgspec
import numpy as np
import pytest

from detector.alert import Alert
from detector.logs import DECODERS
from detector.policy import Storm
from detector.profile import fit
from detector.profile.artefact import Profile
from detector.profile.training import Training
from detector.query import Chunk
from detector.redteam import World, simulate
from detector.run.replay import read_logs, replay

NAMES = {
    "member-once": "membership", "member-noise": "membership", "invert-evolve": "inversion",
    "invert-climb": "inversion", "evade-squares": "evasion", "uniform": "extraction",
    "jacobian": "extraction", "line-search": "extraction",
}  # fmt: skip
DECODE = DECODERS["native"]


@pytest.fixture(scope="module")
def profile(world: World, tmp_path_factory: pytest.TempPathFactory) -> Profile:
    log = tmp_path_factory.mktemp("kinds") / "honest.jsonl"
    simulate(world, seed=31, honest=300).write(log)
    training = Training(world.train.pixels, world.train.classes.astype(np.int32))
    options = fit.Options(promise=0.02, horizon_us=None, watch=None)
    return fit.fit(lambda: read_logs([str(log)]), DECODE, training, options, lambda text: None)


@pytest.fixture(scope="module")
def today(world: World, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, str]]:
    path = tmp_path_factory.mktemp("kinds") / "today.jsonl"
    traffic = simulate(world, seed=32, honest=0, attackers=dict.fromkeys(NAMES, 1), budget=700)
    traffic.write(path)
    return path, traffic.truth


def told(profile: Profile, path: Path, size: int | None = None) -> list[Alert]:
    policy = msgspec.structs.replace(profile.summary.policy, storm=Storm(at_least=0))
    chunks: Iterator[Chunk] = read_logs([str(path)])
    if size is not None:
        chunks = (chunk.part(at, at + size) for chunk in chunks for at in range(0, len(chunk.payloads), size))
    return [a for a in replay(profile, policy, chunks, DECODE).alerts if a.entity.kind == "client"]


@pytest.fixture(scope="module")
def alerts(profile: Profile, today: tuple[Path, dict[str, str]]) -> dict[str, list[Alert]]:
    """By attack."""
    path, truth = today
    found: dict[str, list[Alert]] = {kind: [] for kind in NAMES}
    for alert in told(profile, path):
        found[truth[alert.entity.id]].append(alert)
    return found


@pytest.mark.parametrize("attack", NAMES)
def test_an_attack_is_called_by_its_name_in_the_end(attack: str, alerts: dict[str, list[Alert]]) -> None:
    assert alerts[attack][-1].kind == NAMES[attack]


@pytest.mark.parametrize("attack", NAMES)
def test_a_case_keeps_its_id_and_its_promise_under_another_name(attack: str, alerts: dict[str, list[Alert]]) -> None:
    for before, after in zip(alerts[attack], alerts[attack][1:], strict=False):
        if after.action == "rename":
            assert (after.case_id, after.promise.share) == (before.case_id, 0.02)
            assert after.id != before.id
            assert after.reasons[0].signal.startswith("pursuit.")


def test_a_replay_in_other_pieces_gives_the_same_names(profile: Profile, today: tuple[Path, dict[str, str]]) -> None:
    path, _ = today
    assert told(profile, path) == told(profile, path, 97)
