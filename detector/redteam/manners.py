"""What a thief does who knows how such detectors work: the same attack, asked in a less conspicuous manner.

A manner stands between the attack and the victim. It sees what the attack wants to ask, and decides what is asked, and
in which order; what it keeps back is answered by a copy that the thief has trained so far. So an adapted attack pays:
`querywarden range` puts the copy that it ends with beside that of the plain one.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from detector.errors import SettingsError, nearest_name
from detector.query import F64, I64
from detector.redteam.attacks.contract import Ask, Block, Run
from detector.redteam.substitute import Substitute

SLOW = "slow"
TRIES = 3  # an attack is let go on until it has thought of so many times the budget
USUAL = 0.95  # share of natural images that the filter would let pass
REFERENCES = 500  # own natural images that a query is compared with
LEARN_AGAIN = 1.1  # the copy learns anew once so many times more was answered
NARROW = 0.3  # share of his own images that a thief of a narrow mix uses
ANCHORS = 3  # kinds of images that they are about


class Order(Protocol):
    """Which of the queries that wait may go out, in which order. `natural` (1, d): an own image, to begin with."""

    natural: F64

    def rows(self, inputs: F64, most: int) -> I64:
        """(n, d) queries that wait -> at most `most` of their rows."""
        ...


@dataclass(frozen=True)
class Manner:
    """`title` is for people; `adapt` makes an attack into one of this manner."""

    name: str
    title: str
    adapt: Callable[[Run], Run]


def filtered(run: Run) -> Run:
    """Rejects its own odd queries: those farther from all own natural images than 95% of these are from each other."""
    return _through(run, _Filter)


def spaced(run: Run) -> Run:
    """Imitates honest spacing: of what waits it asks what lies as far from its earlier queries as natural images do."""
    return _through(run, _Spacing)


def sorted_(run: Run) -> Run:
    """Like follows like: always the nearest of what waits, as people's questions follow from each other."""
    return _through(run, _Chain)


def narrow(run: Run) -> Run:
    """Uses only the own images that are most like three of them: a narrow mix, as many honest clients have."""

    def narrowed(ask: Ask, seeds: F64, rng: np.random.Generator, budget: int) -> Iterator[Block]:
        anchors = seeds[rng.choice(len(seeds), min(ANCHORS, len(seeds)), replace=False)]
        order = np.argsort(_gaps(seeds, anchors).min(axis=1), kind="stable")
        return run(ask, seeds[np.sort(order[: max(int(NARROW * len(seeds)), 1)])], rng, budget)

    return narrowed


def slow(run: Run) -> Run:
    """The same queries, one at a time over the whole span: the pace is the campaign's, not the attack's."""
    return run


MANNERS: tuple[Manner, ...] = (
    Manner("filtered", "odd queries held back", filtered),
    Manner("spaced", "with honest spacing", spaced),
    Manner("sorted", "sorted by similarity", sorted_),
    Manner("narrow", "of a narrow mix", narrow),
    Manner(SLOW, "slowly", slow),
)


def manner_named(name: str) -> Manner:
    """The manner of that name; `SettingsError` with the nearest right name otherwise."""
    for manner in MANNERS:
        if manner.name == name:
            return manner
    raise SettingsError(f"no manner is called {name!r}; {nearest_name(name, [m.name for m in MANNERS])}")


def _through(run: Run, kind: Callable[[F64, np.random.Generator], Order]) -> Run:
    def adapted(ask: Ask, seeds: F64, rng: np.random.Generator, budget: int) -> Iterator[Block]:
        gate = _Gate(ask, kind(seeds, rng), rng, budget)
        for _ in run(gate.ask, seeds, rng, TRIES * budget):
            if gate.left <= 0:
                break
        gate.fill(seeds)
        yield np.concatenate(gate.inputs), np.concatenate(gate.answers)

    return adapted


class _Gate:
    """What the attack takes for the victim. `inputs`, `answers`: what really was asked, in order."""

    def __init__(self, ask: Ask, order: Order, rng: np.random.Generator, budget: int) -> None:
        self._ask, self._order, self._rng = ask, order, rng
        self._copy: Substitute | None = None
        self._learned = 0
        self.inputs: list[F64] = []
        self.answers: list[F64] = []
        self.left = budget

    def ask(self, inputs: F64) -> F64:
        """The victim's answers for the rows that go out, the copy's for the others."""
        rows = self._order.rows(inputs, self.left)
        told = self._send(inputs[rows]) if len(rows) else None
        if len(rows) == len(inputs):
            assert told is not None
            out = np.empty_like(told)
        else:
            out = self._guessed(inputs)
        out[rows] = told if told is not None else out[rows]
        return out

    def fill(self, seeds: F64) -> None:
        """What is left of the budget goes to natural images: a thief does not leave answers unasked."""
        while self.left > 0:
            self._send(seeds[self._rng.permutation(len(seeds))[: self.left]])

    def _send(self, inputs: F64) -> F64:
        told = self._ask(inputs)
        self.inputs.append(inputs)
        self.answers.append(told)
        self.left -= len(inputs)
        return told

    def _guessed(self, inputs: F64) -> F64:
        """By a copy of all that was answered; before anything was, one natural image is asked to learn the classes."""
        if not self.answers:
            self._send(self._order.natural)
        x, told = np.concatenate(self.inputs), np.concatenate(self.answers)
        self._copy = self._copy or Substitute(x.shape[1], told.shape[1], self._rng)
        if len(x) > LEARN_AGAIN * self._learned:
            self._copy.fit(x, told)
            self._learned = len(x)
        return self._copy.predict(inputs)


class _Filter:
    """The nearest-reference filter."""

    def __init__(self, seeds: F64, rng: np.random.Generator) -> None:
        self._own = seeds[rng.permutation(len(seeds))[:REFERENCES]]
        apart = _gaps(self._own, self._own)
        np.fill_diagonal(apart, np.inf)
        self._bound = float(np.quantile(apart.min(axis=1), USUAL)) if len(seeds) > 1 else 0.0
        self.natural = self._own[:1]

    def rows(self, inputs: F64, most: int) -> I64:
        return np.flatnonzero(_gaps(inputs, self._own).min(axis=1) <= self._bound)[:most]


class _Spacing:
    """Draws the distance at which a natural image would lie from the earlier queries, and takes what is nearest it."""

    def __init__(self, seeds: F64, rng: np.random.Generator) -> None:
        self._rng = rng
        own = seeds[rng.permutation(len(seeds))[:REFERENCES]]
        apart = np.tril(_gaps(own, own), -1) + np.triu(np.full((len(own), len(own)), np.inf))
        self._usual = apart.min(axis=1)[1:] if len(own) > 1 else np.zeros(1)  # the n-th's distance to those before it
        self._asked: list[F64] = []
        self.natural = own[:1]

    def rows(self, inputs: F64, most: int) -> I64:
        """What lies at a wrong distance is asked last, or never."""
        near = np.full(len(inputs), np.inf)
        if self._asked:
            near = _gaps(inputs, np.stack(self._asked)).min(axis=1)
        waiting, order = np.ones(len(inputs), dtype=np.bool_), np.empty(min(most, len(inputs)), dtype=np.int64)
        for place in range(len(order)):
            stage = min(len(self._asked), len(self._usual)) * self._rng.random() ** 0.25  # of about as many queries
            wanted = self._usual[min(int(stage), len(self._usual) - 1)]
            row = int(np.where(waiting, np.abs(np.minimum(near, 1e9) - wanted), np.inf).argmin())
            order[place], waiting[row] = row, False
            self._asked.append(inputs[row])
            near = np.minimum(near, _gaps(inputs, inputs[row][None])[:, 0])
        return order


class _Chain:
    """Greedy: the nearest that waits follows the latest that was asked. It orders, and chooses nothing."""

    def __init__(self, seeds: F64, rng: np.random.Generator) -> None:
        self._last: F64 | None = None
        self.natural = seeds[rng.integers(len(seeds), size=1)]

    def rows(self, inputs: F64, most: int) -> I64:
        inputs = inputs[:most]
        waiting, order = np.ones(len(inputs), dtype=np.bool_), np.empty(len(inputs), dtype=np.int64)
        last = inputs[0] if self._last is None else self._last
        for place in range(len(order)):
            row = int(np.where(waiting, _gaps(inputs, last[None])[:, 0], np.inf).argmin())
            order[place], waiting[row], last = row, False, inputs[row]
        self._last = last
        return order


def _gaps(a: F64, b: F64) -> F64:
    """(n, d), (m, d) -> (n, m) Euclidean distances."""
    squares = (a * a).sum(axis=1)[:, None] - 2 * a @ b.T + (b * b).sum(axis=1)
    gaps: F64 = np.sqrt(np.maximum(squares, 0.0))
    return gaps
