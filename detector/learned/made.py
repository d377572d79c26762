"""Queries that nobody asked, made of honest ones: they teach and try models, in place of recorded attacks.

Blends teach. The other kinds are only tried: whoever sees blends need not see them, and the profile says what it does.
Sources: Zhang et al. 2018, "mixup" (blends); Papernot et al. 2017 (children: a step from a natural parent).
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

LEAST_STEP, MOST_STEP = 0.03, 0.3  # of a child, in standard deviations of a typical column times STEP_UNIT
STEP_UNIT = 3.0
BLEND = "blends"

Inputs = NDArray[np.float64]


def of_honest(inputs: Inputs, owner: NDArray[np.int64], n: int, seed: int) -> Iterator[tuple[str, Inputs]]:
    """From inputs (m, d) of honest clients, owner (m,), so many made inputs (n, d) of each kind, with its name.

    blends    a + u (b - a) of two inputs of one client: what the client's own hand shares stays
    children  a step of random signs or Gaussian noise from an input, its length log-uniform
    foreign   inputs mirrored, negated, patched of two, or with their columns in another order
    columns   each column from another input: as a table that was made up column by column
    """
    rng = np.random.default_rng(seed)
    yield BLEND, _blends(inputs, owner, n, rng)
    yield "children", _children(inputs, n, rng)
    yield "foreign", _foreign(inputs, n, rng)
    yield "columns", inputs[rng.integers(len(inputs), size=(n, inputs.shape[1])), np.arange(inputs.shape[1])]


def same_owner(
    owner: NDArray[np.int64], n: int, rng: np.random.Generator
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """(n,) twice: two places of one owner each, owners drawn by what they have, owner (m,)."""
    order = np.argsort(owner, kind="stable")
    _, starts, counts = np.unique(owner[order], return_index=True, return_counts=True)
    which = np.searchsorted(starts, rng.integers(len(order), size=n), side="right") - 1
    ends = starts[which, None] + (rng.random((n, 2)) * counts[which, None]).astype(np.int64)
    return order[ends[:, 0]], order[ends[:, 1]]


def _blends(inputs: Inputs, owner: NDArray[np.int64], n: int, rng: np.random.Generator) -> Inputs:
    one, other = same_owner(owner, n, rng)
    a, b = inputs[one], inputs[other]
    return np.asarray(a + rng.random((n, 1)) * (b - a))


def unit_of(inputs: Inputs) -> Inputs:
    """(d,): a step of length 1 in each column; 0 where it does not vary."""
    return np.asarray(STEP_UNIT * np.where(inputs.std(0) > 0, inputs.std(0).mean(), 0.0), np.float64)


def _children(inputs: Inputs, n: int, rng: np.random.Generator) -> Inputs:
    parents = inputs[rng.integers(len(inputs), size=n)]
    unit = unit_of(inputs)
    noise = rng.standard_normal(parents.shape)
    directions = np.where(rng.random((n, 1)) < 0.5, np.sign(noise), noise)
    lengths = np.exp(rng.uniform(np.log(LEAST_STEP), np.log(MOST_STEP), (n, 1)))
    return np.asarray(np.clip(parents + lengths * directions * unit, inputs.min(0), inputs.max(0)))


def _foreign(inputs: Inputs, n: int, rng: np.random.Generator) -> Inputs:
    a, b = inputs[rng.integers(len(inputs), size=(2, n))]
    half = np.arange(inputs.shape[1]) < inputs.shape[1] // 2
    ways = [
        a[:, ::-1],
        inputs.min(0) + inputs.max(0) - a,
        np.where(half, a, b),
        a[:, rng.permutation(inputs.shape[1])],
    ]
    return np.asarray(np.choose(rng.integers(len(ways), size=(n, 1)), ways))
