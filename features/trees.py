"""A sum of small decision trees as plain arrays: taught once, the same bits on every machine that scores with them.

All trees are written as full ones of DEPTH levels, node i before its children 2i + 1 and 2i + 2, so that scoring takes
the same few steps for every query. Leaves are whole numbers of GRAIN: their sum has no order.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numba
import numpy as np
from numpy.typing import NDArray
from sklearn.ensemble import HistGradientBoostingClassifier
from threadpoolctl import threadpool_limits

DEPTH = 5
TREES = 100
RATE = 0.1
GRAIN = 2.0**-20
NODES, LEAVES = 2**DEPTH - 1, 2**DEPTH


class Trees(NamedTuple):
    """T trees: at a node, a query whose `feature` is above `threshold` goes right. feature (T, NODES) uint8; threshold
    (T, NODES) float64; leaf (T, LEAVES) int64.
    """

    feature: NDArray[np.uint8]
    threshold: NDArray[np.float64]
    leaf: NDArray[np.int64]


def teach(usual: NDArray[np.float64], odd: NDArray[np.float64], seed: int) -> Trees:
    """Trees that tell odd queries (m, d) from usual ones (n, d); both weigh alike. A number that is absent (NaN) in all
    of them is not looked at.

    Gradient boosting on histograms (Friedman 2001; Ke et al. 2017, "LightGBM").
    """
    vectors = np.concatenate([usual, odd])
    vectors[:, np.isnan(vectors).all(0)] = 0.0  # nothing splits what does not vary
    is_odd = np.arange(len(vectors)) >= len(usual)
    weights = np.where(is_odd, 1.0 / len(odd), 1.0 / len(usual)) * len(usual)
    boosted = HistGradientBoostingClassifier(
        max_iter=TREES, max_depth=DEPTH, learning_rate=RATE, early_stopping=False, random_state=seed
    )
    with threadpool_limits(1):
        boosted.fit(vectors, is_odd, sample_weight=weights)
    found = Trees(
        np.zeros((TREES, NODES), np.uint8),
        np.full((TREES, NODES), np.inf),
        np.zeros((TREES, LEAVES), np.int64),
    )
    for t, (predictor,) in enumerate(boosted._predictors):
        _write(predictor.nodes, 0, found, t, 0, 0)
    found.leaf[0] += round(float(boosted._baseline_prediction.ravel()[0]) / GRAIN)
    return found


def _write(nodes: NDArray[Any], i: int, found: Trees, t: int, place: int, level: int) -> None:
    """Node i of a taught tree, and all below it, at `place` of the full tree t. A leaf that comes early is the leftmost
    one below its place, to which all go: nothing is above an infinite threshold.
    """
    node = nodes[i]
    if node["is_leaf"]:
        found.leaf[t, place * 2 ** (DEPTH - level) + 2 ** (DEPTH - level) - 1 - NODES] = round(node["value"] / GRAIN)
        return
    found.feature[t, place] = node["feature_idx"]
    found.threshold[t, place] = node["num_threshold"]
    _write(nodes, int(node["left"]), found, t, 2 * place + 1, level + 1)
    _write(nodes, int(node["right"]), found, t, 2 * place + 2, level + 1)


@numba.njit(cache=True)
def log_odds(vectors, feature, threshold, leaf, found):  # type: ignore[no-untyped-def]
    """vectors (n, d) -> found (n,): log of how much likelier a query is odd than usual, to the trees.

    Level by level for all queries: a tree stays in the cache, and no step waits for the one before.
    """
    n = vectors.shape[0]
    place, total = np.empty(n, np.int64), np.zeros(n, np.int64)
    for t in range(feature.shape[0]):
        place[:] = 0
        for _ in range(DEPTH):
            for i in range(n):
                node = place[i]
                place[i] = 2 * node + 1 + np.int64(vectors[i, feature[t, node]] > threshold[t, node])
        for i in range(n):
            total[i] += leaf[t, place[i] - NODES]
    for i in range(n):
        found[i] = total[i] * GRAIN
