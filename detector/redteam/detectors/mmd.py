"""MMD, the other detector to compare with: does a window of a client's queries look drawn from what honest clients ask?

Gretton, Borgwardt, Rasch, Schölkopf & Smola 2012, "A Kernel Two-Sample Test"; as a detector of extraction in windows of
100 or 1,500 prompts by Liu, Guo & Dong 2026 (LabRAI/mmd-llm-mea-detection), who embed sentences first. Here the kernel
reads the inputs as they are logged, or embeddings where those are the inputs. Who asks fewer queries than a window
holds is never judged.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from detector.query import F64, I64
from detector.redteam.detectors import conformal
from detector.redteam.detectors.contract import Asked

REFERENCE = 500  # honest queries that a window is compared with
LOOKS = 4  # a window moves on by this part of its length
POOLED = 200  # windows drawn over clients, for lengths that few clients reach
SEED = 20121201


class Mmd:
    """RBF kernel with the median distance as its width; MMD² of each window of `window` queries."""

    def __init__(self, window: int = 100) -> None:
        self._window = window
        self._reference = np.empty((0, 0))
        self._scale = self._among = 0.0
        self._threshold = math.inf

    def fit(self, honest: Sequence[Asked], share: float) -> int:
        """Half of the clients are the reference; the other half sets the threshold, by each one's highest MMD².

        Where fewer of those than the share reach a window's length, that one was never judged. Then the threshold is
        what `share` of windows pass that are drawn over all of that half, or the highest of those who were judged.
        """
        rng = np.random.default_rng(SEED)
        order = rng.permutation(len(honest))
        teachers, others = ([honest[i] for i in part] for part in (order[: len(order) // 2], order[len(order) // 2 :]))
        self._reference = _one_each(teachers, REFERENCE, rng)
        squares = _squares(self._reference, self._reference)
        self._scale = float(np.median(squares[squares > 0])) if (squares > 0).any() else 1.0
        self._among = float(self._kernel(self._reference, self._reference).mean())
        highest = [max((value for _, value in self._looks(one.inputs)), default=-math.inf) for one in others]
        limit = conformal.threshold(highest, share)
        if math.isinf(limit) and limit < 0:
            limit = max(conformal.threshold(self._pooled(others, rng), share), *highest)
        self._threshold = limit
        return len(others)

    def first_alarm(self, client: Asked) -> int | None:
        return next((at for at, value in self._looks(client.inputs) if value > self._threshold), None)

    def _looks(self, inputs: F64) -> list[tuple[int, float]]:
        """Queries asked, and MMD² of the window that ended there."""
        ends = range(self._window, len(inputs) + 1, max(self._window // LOOKS, 1))
        return [(end, self._mmd(inputs[end - self._window : end])) for end in ends]

    def _pooled(self, clients: Sequence[Asked], rng: np.random.Generator) -> list[float]:
        """MMD² of windows that are drawn over clients: each is half of one large draw."""
        drawn = _one_each(clients, 2 * self._window, rng)
        among, across = self._kernel(drawn, drawn), self._kernel(drawn, self._reference).mean(axis=1)
        weights = np.zeros((POOLED, len(drawn)))
        for window in weights:
            window[rng.permutation(len(drawn))[: self._window]] = 1.0 / self._window
        own = np.einsum("ij,ij->i", weights @ among, weights)
        found: list[float] = (own - 2 * weights @ across + self._among).tolist()
        return found

    def _mmd(self, window: F64) -> float:
        """The biased estimate (equation 5 of Gretton et al.)."""
        own, across = self._kernel(window, window).mean(), self._kernel(window, self._reference).mean()
        return float(own - 2 * across + self._among)

    def _kernel(self, a: F64, b: F64) -> F64:
        k: F64 = np.exp(-_squares(a, b) / self._scale)
        return k


def _one_each(clients: Sequence[Asked], n: int, rng: np.random.Generator) -> F64:
    """(n, d) queries, each of a client drawn anew: all clients weigh alike."""
    drawn: I64 = rng.integers(len(clients), size=n)
    return np.stack([clients[i].inputs[rng.integers(len(clients[i].inputs))] for i in drawn])


def _squares(a: F64, b: F64) -> F64:
    squares: F64 = (a * a).sum(axis=1)[:, None] - 2 * a @ b.T + (b * b).sum(axis=1)
    return np.maximum(squares, 0.0)
