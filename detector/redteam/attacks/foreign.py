"""Foreign images: natural pictures of another world, free to ask, and their answers teach all the same."""

from __future__ import annotations

import math
from collections.abc import Iterator

import numpy as np
from sklearn.datasets import load_sample_images

from detector.errors import MissingExtra
from detector.query import F64
from detector.redteam.attacks.contract import Ask, Block, asked


def photographs(ask: Ask, seeds: F64, rng: np.random.Generator, budget: int) -> Iterator[Block]:
    """Grey patches of two photographs (scikit-learn's china.jpg and flower.jpg), scaled to the victim's shape.

    Orekondy et al. 2019, "Knockoff Nets", with random selection; Correia-Silva et al. 2018, "Copycat CNN".
    """
    yield asked(ask, photo_patches(budget, seeds.shape[1], rng))


def textures(ask: Ask, seeds: F64, rng: np.random.Generator, budget: int) -> Iterator[Block]:
    """Dead leaves: overlapping discs of random grey whose radii follow r**-3, as in pictures of the world.

    Lee, Mumford & Huang 2001, "Occlusion Models for Natural Images". They stand in for photographs where no picture can
    be read, and are a family of their own: edges and areas, no objects.
    """
    yield asked(ask, dead_leaves(budget, seeds.shape[1], rng))


def photo_patches(n: int, d: int, rng: np.random.Generator) -> F64:
    """(n, d) square patches between a 10th and a third of the picture's height, averaged down to d pixels."""
    side = math.isqrt(d)
    pictures = _grey_pictures()
    out = np.empty((n, d))
    for i in range(n):
        picture = pictures[int(rng.integers(len(pictures)))]
        cell = max(1, int(rng.integers(len(picture) // 10, len(picture) // 3)) // side)
        top, left = (int(rng.integers(extent - cell * side + 1)) for extent in picture.shape)
        patch = picture[top : top + cell * side, left : left + cell * side]
        out[i] = patch.reshape(side, cell, side, cell).mean(axis=(1, 3)).ravel()
    return out


def dead_leaves(n: int, d: int, rng: np.random.Generator, *, leaves: int = 40) -> F64:
    """(n, d) images of `leaves` discs each, radii from 1/14 to 1/2 of the side."""
    side = math.isqrt(d)
    y, x = np.divmod(np.arange(d), side)
    least, most = side / 14, side / 2
    radius = (least**-2 - rng.random((leaves, n)) * (least**-2 - most**-2)) ** -0.5  # inverse of the r**-3 law
    centre = rng.uniform(0, side, (leaves, n, 2))
    grey = rng.random((leaves, n))
    out = np.repeat(rng.random((n, 1)), d, axis=1)
    for r, c, g in zip(radius, centre, grey, strict=True):
        inside = (x - c[:, :1]) ** 2 + (y - c[:, 1:]) ** 2 <= r[:, None] ** 2
        out = np.where(inside, g[:, None], out)
    return out


def _grey_pictures() -> list[F64]:
    try:
        pictures = load_sample_images().images
    except ImportError as error:  # scikit-learn reads its pictures by Pillow
        raise MissingExtra("the attack 'foreign' (photographs)", "plot") from error
    return [np.asarray(p, dtype=np.float64).mean(axis=2) / 255.0 for p in pictures]
