"""Active learning: of a pool that he owns, the thief asks what his copy is least sure of."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from detector.query import F64, I64
from detector.redteam.attacks.contract import Ask, Block, asked
from detector.redteam.attacks.foreign import photo_patches
from detector.redteam.substitute import Substitute

ROUNDS = 10
CANDIDATES = 4  # the pool is this many times the budget


def active_foreign(ask: Ask, seeds: F64, rng: np.random.Generator, budget: int) -> Iterator[Block]:
    """The pool is photographs.

    Pal et al. 2020, "ActiveThief: Model Extraction Using Active Learning and Unannotated Public Data" (uncertainty).
    """
    return _pick_uncertain(ask, photo_patches(CANDIDATES * budget, seeds.shape[1], rng), rng, budget)


def active_natural(ask: Ask, seeds: F64, rng: np.random.Generator, budget: int) -> Iterator[Block]:
    """The pool is the thief's own natural images: every query is honest by itself, only the choice is not.

    Pal et al. 2020, with a pool from the victim's own world.
    """
    return _pick_uncertain(ask, seeds, rng, budget)


def active_centres(ask: Ask, seeds: F64, rng: np.random.Generator, budget: int) -> Iterator[Block]:
    """Of his own natural images, those whose answers the copy thinks farthest from all that it was told.

    Pal et al. 2020 (k-centre: greedy, in the space of the copy's answers).
    """
    size, left = max(1, -(-budget // ROUNDS)), budget
    fresh, rows = np.ones(len(seeds), dtype=np.bool_), rng.permutation(len(seeds))[: min(size, budget)]
    student: Substitute | None = None
    x, answers = seeds[:0], np.empty((0, 0))
    while left > 0:
        block = asked(ask, seeds[rows])
        yield block
        fresh[rows] = False
        left -= len(rows)
        x = np.concatenate([x, block[0]])
        answers = np.concatenate([answers, block[1]]) if len(answers) else block[1]
        student = student or Substitute(x.shape[1], answers.shape[1], rng)
        student.fit(x, answers)
        if not fresh.any():
            fresh[:] = True
        rows = _far_apart(student.predict(seeds), answers, fresh, min(size, left, int(fresh.sum())))


def _far_apart(points: F64, centres: F64, fresh: NDArray[np.bool_], n: int) -> I64:
    """n of the fresh points (m, k), each the farthest from the centres (c, k) and those taken before it."""
    squares = (points * points).sum(axis=1)[:, None] - 2 * points @ centres.T + (centres * centres).sum(axis=1)
    near = np.where(fresh, squares.min(axis=1), -np.inf)
    rows = np.empty(n, dtype=np.int64)
    for i in range(n):
        rows[i] = near.argmax()
        near = np.minimum(near, ((points - points[rows[i]]) ** 2).sum(axis=1))
        near[rows[i]] = -np.inf
    return rows


def _pick_uncertain(ask: Ask, pool: F64, rng: np.random.Generator, budget: int) -> Iterator[Block]:
    """A tenth at random, then rounds of a tenth each with the greatest entropy; a pool too small is asked again."""
    size = max(1, -(-budget // ROUNDS))
    fresh = np.ones(len(pool), dtype=np.bool_)
    rows, left = rng.permutation(len(pool))[: min(size, budget)], budget
    block = asked(ask, pool[rows])
    x, answers = block
    student = Substitute(x.shape[1], answers.shape[1], rng)
    while True:
        yield block
        fresh[rows] = False
        left -= len(rows)
        if left <= 0:
            return
        student.fit(x, answers)
        if not fresh.any():
            fresh[:] = True
        p = student.predict(pool)
        entropy = np.where(fresh, -(p * np.log(p + 1e-12)).sum(axis=1), -1.0)
        rows = np.argsort(-entropy, kind="stable")[: min(size, left, int(fresh.sum()))]
        block = asked(ask, pool[rows])
        x, answers = np.concatenate([x, block[0]]), np.concatenate([answers, block[1]])
