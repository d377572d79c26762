"""Line search: bisects the segment between two points of different labels until it stands on the decision boundary."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from detector.query import F64
from detector.redteam.attacks.contract import Ask, Block, asked

ENDS = 20  # points from which the first segments are drawn
STEPS = 10  # halvings of a segment: the boundary is known to a thousandth of its length


def line_search(ask: Ask, seeds: F64, rng: np.random.Generator, budget: int) -> Iterator[Block]:
    """Each search costs one fresh natural point and STEPS midpoints, asked one at a time.

    Tramèr et al. 2016, "Stealing Machine Learning Models via Prediction APIs" (line-search retraining). The ends are
    natural images rather than uniform ones: uniform images of this size nearly all get the same few labels.
    """
    ends = seeds[rng.integers(len(seeds), size=min(ENDS, budget))]
    block = asked(ask, ends)
    yield block
    labels, left = block[1].argmax(axis=1), budget - len(ends)
    while left > 0:
        x = seeds[rng.integers(len(seeds), size=1)]
        block = asked(ask, x)
        yield block
        left -= 1
        label = int(block[1].argmax())
        others = np.flatnonzero(labels != label)
        ends, labels = np.concatenate([ends, x]), np.append(labels, label)
        if len(others) and left > 0:
            b = ends[[int(rng.choice(others))]]
            yield from _bisect(ask, x, b, label, min(STEPS, left))
            left -= min(STEPS, left)


def _bisect(ask: Ask, a: F64, b: F64, label: int, steps: int) -> Iterator[Block]:
    for _ in range(steps):
        middle = (a + b) / 2
        block = asked(ask, middle)
        yield block
        if int(block[1].argmax()) == label:
            a = middle
        else:
            b = middle
