"""The attacks of the Adversarial Robustness Toolbox, as they are published there, with our copy as its stolen model.

The extra `redteam`. They draw from NumPy's global stream, which is seeded for them and put back afterwards.
"""

from __future__ import annotations

import logging
import warnings
from collections.abc import Iterator
from typing import Any

import numpy as np

from detector.errors import MissingExtra
from detector.query import F64
from detector.redteam.attacks.contract import Ask, Block
from detector.redteam.attacks.knockoff import KINDS
from detector.redteam.substitute import Substitute

POOL = 2  # pictures to choose from, for each query


def art_knockoff(ask: Ask, seeds: F64, rng: np.random.Generator, budget: int) -> Iterator[Block]:
    """`KnockoffNets` with its adaptive strategy and all rewards, over kinds of foreign pictures.

    Orekondy et al. 2019, in the implementation of Nicolae et al. 2018, "Adversarial Robustness Toolbox".
    """
    return _extracted("KnockoffNets", {"sampling_strategy": "adaptive", "verbose": False}, ask, seeds, rng, budget)


def art_copycat(ask: Ask, seeds: F64, rng: np.random.Generator, budget: int) -> Iterator[Block]:
    """`CopycatCNN`: foreign pictures at random.

    Correia-Silva et al. 2018, in the implementation of Nicolae et al. 2018.
    """
    return _extracted("CopycatCNN", {}, ask, seeds, rng, budget)


def _extracted(
    name: str, settings: dict[str, Any], ask: Ask, seeds: F64, rng: np.random.Generator, budget: int
) -> Iterator[Block]:
    first = ask(seeds[:1])  # how many classes there are
    yield seeds[:1], first
    if budget < 2:
        return
    asked: list[Block] = []

    def recorded(inputs: Any) -> F64:
        block = np.asarray(inputs, dtype=np.float64)
        asked.append((block, ask(block)))
        return asked[-1][1]

    extraction, victim, copy = _toolbox(recorded, seeds.shape[1], first.shape[1], rng)
    each = -(-POOL * budget // len(KINDS))
    pool = np.concatenate([kind(each, seeds.shape[1], rng) for kind in KINDS])
    kinds = np.repeat(np.arange(len(KINDS)), each)
    state = np.random.get_state()
    np.random.seed(int(rng.integers(2**32)))
    try:
        attack = getattr(extraction, name)(victim, nb_stolen=budget - 1, batch_size_query=budget, **settings)
        attack.extract(pool, kinds if "sampling_strategy" in settings else None, thieved_classifier=copy)
    finally:
        np.random.set_state(state)
    yield from asked


def _toolbox(ask: Ask, d: int, k: int, rng: np.random.Generator) -> tuple[Any, Any, Any]:
    """The module of its attacks, its view of the victim, and our copy under its names."""
    level = logging.root.level
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", UserWarning)  # what it could do besides, were other packages there
            from art.attacks import extraction
            from art.estimators.classification import BlackBoxClassifier
    except ImportError as error:
        raise MissingExtra("the Adversarial Robustness Toolbox", "redteam") from error
    finally:
        logging.root.setLevel(level)
    student = Substitute(d, k, rng)

    class Copy(BlackBoxClassifier):  # type: ignore[misc]  # untyped
        def fit(self, x: Any, y: Any, nb_epochs: int = 10, **_: Any) -> None:
            student.fit(np.asarray(x, dtype=np.float64), np.asarray(y, dtype=np.float64), epochs=nb_epochs)

    return (
        extraction,
        BlackBoxClassifier(ask, (d,), k),
        Copy(lambda x: student.predict(np.asarray(x, dtype=np.float64)), (d,), k),
    )
