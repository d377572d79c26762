"""How good a copy becomes with the queries that it cost: agreement of a clone with the victim on honest inputs.

The clone is a multinomial logistic regression (scikit-learn) on what an account asked and was answered. With so few
queries it copies the MNIST victim as well as a network does.
"""

from __future__ import annotations

import warnings
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import LogisticRegression

from detector.redteam.traffic import Traffic

COUNTS = (16, 20, 25, 32, 40, 50, 64, 80, 100, 128, 160, 200, 256, 320, 400, 500, 640, 800, 1000)
ENOUGH = 0.8  # of the final fidelity
HELD_OUT = 2_000  # honest queries


class Fidelity(NamedTuple):
    """final: agreement of the clone of all queries; enough: queries after which it had ENOUGH of that."""

    final: float
    enough: int


def fidelities(today: Traffic, kind: str, seed: int) -> dict[str, Fidelity]:
    """Client -> how its clone grew, for each account of a kind. Judged on honest queries of the same log."""
    truth = np.array([account.truth for account in today.accounts])
    honest = np.flatnonzero(truth[today.account] == "honest")
    held_out = np.random.default_rng(seed).choice(honest, min(HELD_OUT, len(honest)), replace=False)
    rows, labels = today.rows(), today.labels
    found = {}
    for client in (account.client for account in today.accounts if account.truth == kind):
        mine = rows[client]
        grown = [
            _agreement(today.inputs[mine[:n]], labels[mine[:n]], today.inputs[held_out], labels[held_out])
            for n in COUNTS
            if n <= len(mine)
        ]
        enough = next(n for n, agreed in zip(COUNTS, grown, strict=False) if agreed >= ENOUGH * grown[-1])
        found[client] = Fidelity(grown[-1], enough)
    return found


def _agreement(
    inputs: NDArray[np.float32], labels: NDArray[np.int32], others: NDArray[np.float32], answers: NDArray[np.int32]
) -> float:
    if len(np.unique(labels)) < 2:
        return float((answers == labels[0]).mean())
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        clone = LogisticRegression(max_iter=200).fit(inputs, labels)
    return float((clone.predict(others) == answers).mean())
