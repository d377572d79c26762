"""Sweeps of a model of numbers that nobody made, of honest people's inputs: what `sweeps` does for text.

Each kind is one way to come by many inputs that lie on the natural ones or close to them: what lies far from them is
seen query by query. A query that was never asked gets the answer that a copy of the model imagines.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from detector.learned.made import LEAST_STEP, MOST_STEP, unit_of
from detector.learned.sweeps import Places, Rng, of_kinds

LENGTH = 384  # queries of a sweep: one hidden at a tenth needs many to be seen
HANDS = 5  # people at most whose inputs a sweep is made of, or everybody's
PICKED = 2.0, 8.0  # inputs that one of the unsure was picked from
SEEDS = 0.1, 0.6  # of a sweep of children: natural inputs
MOVED = 0.05, 0.5  # share of the columns that a step moves, where it does not move all
STEPS = 4, 12  # of a walk

Inputs = NDArray[np.float64]
Rows = NDArray[np.int64]
Answers = Callable[[Inputs, Rows], tuple[NDArray[np.int32], NDArray[np.float64]]]
"""inputs (n, d), and the natural ones (n,) that they were made of, to labels (n,) and the two largest probabilities."""


class Asked(NamedTuple):
    """inputs (n, d); labels (n,) and top (n, 2) of their answers, see Batch."""

    inputs: Inputs
    labels: NDArray[np.int32]
    top: NDArray[np.float64]


def of_numbers(asked: Asked, owner: Rows, answers: Answers, each: int, seed: int) -> tuple[Places, Asked]:
    """`each` sweeps of every kind, and half as many of each hidden, of natural inputs, owner (n,) of each in the order
    in which each client asked; and what they ask: the natural inputs first, then what was made.

    unsure    natural inputs that were answered with the least margins
    blends    a + u (b - a) of two natural inputs
    children  natural inputs, and small steps from them: random signs or Gaussian noise, in all columns or in some
    walks     from one natural input to another in even steps, or by halving towards where the answer changes
    """
    rng = np.random.default_rng(seed)
    maker = _Maker(asked, owner, answers, rng)
    kinds: dict[str, Callable[[], Rows]] = {
        "unsure": maker.unsure,
        "blends": maker.blends,
        "children": maker.children,
        "walks": maker.walks,
    }
    places = of_kinds(kinds, tuple(kinds), owner, each, rng, LENGTH)
    return places, Asked(*(np.concatenate(columns) for columns in zip(*maker.parts, strict=True)))


class _Maker:
    """Sweeps as places among `parts`: the natural inputs, and behind them what is made."""

    def __init__(self, asked: Asked, owner: Rows, answers: Answers, rng: Rng) -> None:
        self._natural, self._answers, self._rng = asked, answers, rng
        self.parts = [asked]
        self._told = len(asked.inputs)
        order = np.argsort(owner, kind="stable")
        self._hands = np.split(order, np.flatnonzero(np.diff(owner[order])) + 1)
        self._unit = unit_of(asked.inputs)
        self._ends = asked.inputs.min(0), asked.inputs.max(0)

    def unsure(self) -> Rows:
        own = len(self._natural.inputs)
        some = self._rng.permutation(own)[: int(LENGTH * self._rng.uniform(*PICKED))]
        with np.errstate(invalid="ignore", divide="ignore"):
            margin = np.nan_to_num(self._natural.top[some, 1] / self._natural.top[some, 0], posinf=0.0)
        picked = some[np.argsort(-margin, kind="stable")]
        return self._rng.permutation(np.resize(picked, LENGTH))

    def blends(self) -> Rows:
        a, b = self._some(LENGTH), self._some(LENGTH)
        one, other = self._natural.inputs[a], self._natural.inputs[b]
        return self._made(one + self._rng.random((LENGTH, 1)) * (other - one), a)

    def children(self) -> Rows:
        seeds = self._some(int(LENGTH * self._rng.uniform(*SEEDS)))
        parents = self._rng.choice(seeds, LENGTH - len(seeds))
        steps = self._rng.standard_normal((len(parents), len(self._unit)))
        if self._rng.random() < 0.5:
            steps = np.sign(steps)
        if self._rng.random() < 0.3:
            steps *= self._rng.random(steps.shape) < self._rng.uniform(*MOVED)
        length = np.exp(self._rng.uniform(np.log(LEAST_STEP), np.log(MOST_STEP)))
        moved = np.clip(self._natural.inputs[parents] + length * steps * self._unit, *self._ends)
        found = np.concatenate([seeds, self._made(moved, parents)])
        return found if self._rng.random() < 0.5 else self._rng.permutation(found)

    def walks(self) -> Rows:
        steps, halving = int(self._rng.integers(*STEPS)), self._rng.random() < 0.5
        starts, ends = self._some(LENGTH // (steps + 1) + 1), self._some(LENGTH // (steps + 1) + 1)
        a, b = self._natural.inputs[starts], self._natural.inputs[ends]
        found = [starts]
        for step in range(1, steps + 1):
            middle = (a + b) / 2 if halving else a + step / (steps + 1) * (b - a)
            found.append(self._made(middle, starts))
            if halving:
                same = (self.parts[-1].labels == self._natural.labels[starts])[:, None]
                a, b = np.where(same, middle, a), np.where(same, b, middle)
        return np.stack(found, axis=1).reshape(-1)[:LENGTH]

    def _some(self, n: int) -> Rows:
        """n natural inputs: of everybody, or of a few hands."""
        rows = np.arange(len(self._natural.inputs))
        if self._rng.random() < 0.5:
            hands = self._rng.permutation(len(self._hands))[: int(self._rng.integers(1, HANDS + 1))]
            rows = np.concatenate([self._hands[hand] for hand in hands])
        return self._rng.choice(rows, n, replace=len(rows) < n)

    def _made(self, inputs: Inputs, of: Rows) -> Rows:
        self.parts.append(Asked(inputs, *self._answers(inputs, of)))
        self._told += len(inputs)
        return np.arange(self._told - len(inputs), self._told)
