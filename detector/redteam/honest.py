"""What honest clients ask: their own mix of classes, written by their own pen, in their own volume, now and then again.

They draw from images that the victim was never trained on. Clients differ from each other on purpose: a detector that
mistakes a narrow, noisy or heavy client for a thief must fail here.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from detector.query import F64, I64
from detector.redteam.pens import Hand, new_hand


@dataclass(frozen=True)
class Images:
    """Clean images (n, d) in [0, 1], side x side pixels, with their true classes (n,) from 0 on.

    `picture` False: rows of d numbers that are no image, and have no side.
    """

    pixels: F64
    classes: I64
    picture: bool = True

    @property
    def side(self) -> int | None:
        return math.isqrt(self.pixels.shape[1]) if self.picture else None

    @property
    def kinds(self) -> int:
        """k, the number of classes."""
        return int(self.classes.max()) + 1

    def part(self, rows: I64) -> Images:
        return Images(self.pixels[rows], self.classes[rows], self.picture)


def written_by_many(images: Images, writers: int, rng: np.random.Generator) -> Images:
    """The same images, dealt out to so many fresh pens: what a model is taught on that serves many writers."""
    pixels = np.empty_like(images.pixels)
    for w in range(writers):
        pixels[w::writers] = new_hand(images.pixels, images.side, rng).draw(images.pixels[w::writers], rng)
    return Images(pixels, images.classes, images.picture)


@dataclass(frozen=True)
class Habits:
    """One client: `mix` (k,) shares of the classes, a pen, how many queries, and the share that it asks again."""

    mix: F64
    pen: Hand
    volume: int
    again: float


def new_habits(pool: Images, rng: np.random.Generator) -> Habits:
    """Volume: log-normal with a median of 110, within 20 to 800; one client in fifty asks up to four times as much."""
    volume = float(np.clip(np.exp(rng.normal(np.log(110.0), 0.85)), 20, 800))
    heavy = float(rng.uniform(1.0, 4.0)) if rng.random() < 0.02 else 1.0
    return Habits(
        mix=rng.dirichlet(np.ones(pool.kinds)),
        pen=new_hand(pool.pixels, pool.side, rng),
        volume=round(volume * heavy),
        again=float(rng.beta(1.0, 20.0)),
    )


def ask_honestly(habits: Habits, pool: Images, rng: np.random.Generator, n: int | None = None) -> F64:
    """The client's inputs (n, d), in order; n is its volume unless given."""
    rows = _repeat_some(_draw_rows(habits.mix, pool, habits.volume if n is None else n, rng), habits.again, rng)
    return habits.pen.draw(pool.pixels[rows], rng)


def _draw_rows(mix: F64, pool: Images, n: int, rng: np.random.Generator) -> I64:
    """n rows of the pool with classes by `mix`; the same image twice only when the class has too few."""
    picked = []
    for c, count in enumerate(rng.multinomial(n, mix)):
        members = np.flatnonzero(pool.classes == c)
        if count and len(members):
            picked.append(rng.choice(members, count, replace=count > len(members)))
    return rng.permutation(np.concatenate(picked)) if picked else rng.integers(len(pool.pixels), size=n)


def _repeat_some(rows: I64, share: float, rng: np.random.Generator) -> I64:
    """Some positions show the same paper again, one to three queries later: a near duplicate, since the pen shakes."""
    rows = rows.copy()
    for i in np.flatnonzero(rng.random(len(rows)) < share):
        rows[i] = rows[max(0, int(i) - int(rng.integers(1, 4)))]
    return rows
