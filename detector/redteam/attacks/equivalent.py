"""Functionally equivalent extraction: where along a line does a piecewise linear victim bend? There a unit opens.

For victims of rectified units, whose log-odds are linear between bends. It asks lines through the input space, a few
thousandths apart at each end, then around each bend: a shape that no honest client has.
"""

from __future__ import annotations

from collections.abc import Generator, Iterator

import numpy as np

from detector.query import F64
from detector.redteam.attacks.contract import Ask, Block, asked

STEP = 2e-3  # along the line, for a slope; a log with four decimals still shows it
SAME = 0.02  # slopes, and values, that differ by less than this share are one
DEEPEST = 8  # halvings of a segment
AROUND = 8  # directions in which the gradients beside a bend are taken
APART = 0.02  # of the line: from a bend to the points beside it

Probe = Generator[Block, None, F64]


def equivalent(ask: Ask, seeds: F64, rng: np.random.Generator, budget: int) -> Iterator[Block]:
    """Lines between two natural images; on each, bends where tangents meet, then gradients on both sides of a bend.

    Jagielski et al. 2020, "High Accuracy and High Fidelity Extraction of Neural Networks"; Carlini et al. 2020,
    "Cryptanalytic Extraction of Neural Network Models" (search for critical points). With answers that are rounded and
    a victim that is not ReLU it finds bends that are none, and asks on all the same.
    """
    left = budget

    def within(inputs: F64) -> F64:
        """Nothing is asked beyond the budget; the answers that are missing then are never looked at for long."""
        told = ask(inputs[:left])
        return np.concatenate([told, np.repeat(told[-1:], len(inputs) - len(told), axis=0)])

    for block in _search(within, seeds, rng):
        x, answers = block[0][:left], block[1][:left]
        yield x, answers
        left -= len(x)
        if left <= 0:
            return


def _search(ask: Ask, seeds: F64, rng: np.random.Generator) -> Iterator[Block]:
    while True:
        a, b = seeds[rng.integers(len(seeds), size=2)]
        for bend in (yield from _bends(ask, a, b - a)):
            for side in (-APART, APART):
                yield asked(ask, _around(a + np.clip(bend + side, 0.0, 1.0) * (b - a), rng))


def _bends(ask: Ask, a: F64, along: F64) -> Generator[Block, None, list[float]]:
    """Places in [0, 1] on the line where the log-odds bend; a segment whose ends have one slope has none."""
    found, waiting = [], [(0.0, 1.0, 0)]
    while waiting:
        low, high, depth = waiting.pop()
        f = yield from _odds(ask, a, along, np.array([low, low + STEP, high - STEP, high]))
        left, right = (f[1] - f[0]) / STEP, (f[3] - f[2]) / STEP
        scale = max(abs(left), abs(right), 1e-9)
        if abs(left - right) < SAME * scale:
            continue
        meets = (f[3] - f[0] + left * low - right * high) / (left - right)
        if low < meets < high:
            there = yield from _odds(ask, a, along, np.array([meets]))
            expected = f[0] + left * (meets - low)
            if abs(there[0] - expected) < SAME * max(abs(expected), 1.0):
                found.append(float(meets))
                continue
        if depth < DEEPEST:
            middle = (low + high) / 2
            waiting += [(middle, high, depth + 1), (low, middle, depth + 1)]
    return found


def _odds(ask: Ask, a: F64, along: F64, places: F64) -> Probe:
    """Asks the points of the line; their log-odds of the first class against the last, linear between two bends."""
    block = asked(ask, a + places[:, None] * along)
    yield block
    p = np.log(np.clip(block[1], 1e-12, None))
    odds: F64 = p[:, 0] - p[:, -1]
    return odds


def _around(x: F64, rng: np.random.Generator) -> F64:
    """(1 + AROUND, d): a point, and a step from it along random axes."""
    steps = np.zeros((1 + AROUND, len(x)))
    axes = rng.choice(len(x), AROUND, replace=len(x) < AROUND)
    steps[np.arange(1, 1 + AROUND), axes] = STEP
    moved = x + steps
    return np.where(moved > 1.0, x - steps, moved)
