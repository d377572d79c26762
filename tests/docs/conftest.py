"""A small copy of what `make demo` leaves behind, for the commands that the documents show."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from detector.redteam.world import digits_world, simulate


@pytest.fixture(scope="session")
def demo(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The demo's world and seeds with fewer clients, just enough to promise 1%."""
    folder = tmp_path_factory.mktemp("demo")
    world = digits_world(1)
    simulate(world, seed=1001, honest=160, span_days=10.0).write(folder / "honest.jsonl")
    today = simulate(world, seed=2001, honest=5, attackers={"jacobian": 5}, span_days=10.0, budget=500)
    today.write(folder / "today.jsonl")
    np.savez_compressed(folder / "training.npz", inputs=world.train.pixels, labels=world.train.classes)
    return folder
