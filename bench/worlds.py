"""The MNIST world of the benchmarks, with a development half and a report half that share the victim and nothing else.

Look at `development` as often as you like; `report` is for the numbers that are printed. The halves have disjoint
images for clients and for thieves. Seeds are the caller's: use different ones too, so that pens and mixes differ.
"""

from __future__ import annotations

from pathlib import Path
from typing import Literal

import numpy as np

from bench.datasets import CACHE, mnist
from detector.redteam.honest import Images, written_by_many
from detector.redteam.victim import Victim, train_victim
from detector.redteam.world import World

Split = Literal["development", "report"]

WRITERS = 400  # pens among the training images
_SHARES = {"train": 12, "development pool": 24, "development thief": 5, "report pool": 24, "report thief": 5}


def mnist_world(split: Split, cache: Path = CACHE) -> World:
    """MNIST at 14x14: 12,000 images teach the victim; each half has 24,000 for clients and 5,000 for thieves.

    With the 5,000 images of the fallback, the same shares of those. The victim's weights are cached beside the data.

    >>> world = mnist_world("development")
    >>> traffic = simulate(world, seed=1, honest=500, attackers={"jacobian": 10})
    """
    images = mnist(cache)
    parts = _parts(len(images.classes))
    train = written_by_many(images.part(parts["train"]), WRITERS, np.random.default_rng(20260106))
    return World(
        victim=_victim(train, cache),
        train=train,
        pool=images.part(parts[f"{split} pool"]),
        thief=images.part(parts[f"{split} thief"]),
    )


def _parts(n: int) -> dict[str, np.ndarray]:
    """Disjoint rows by part, the same ones every time."""
    ends = np.cumsum(list(_SHARES.values())) * n // sum(_SHARES.values())
    rows = np.split(np.random.default_rng(20260105).permutation(n), ends[:-1])
    return dict(zip(_SHARES, rows, strict=True))


def _victim(train: Images, cache: Path) -> Victim:
    file = cache / f"mnist-victim-{len(train.classes)}.npz"
    if not file.exists():
        victim = train_victim("mnist", train, hidden=128, epochs=40)
        np.savez(file, *victim.weights, *victim.biases)
    with np.load(file) as stored:
        arrays = [stored[f"arr_{i}"] for i in range(len(stored.files))]
    half = len(arrays) // 2
    return Victim("mnist", tuple(arrays[:half]), tuple(arrays[half:]))
