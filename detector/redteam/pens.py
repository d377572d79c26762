"""How one writer's images differ from another's: stroke, slant, place, contrast, blur and the noise of the sensor.

The spread is mild: on MNIST at 14x14 a victim that is right on 96% of the clean images is right on 93% of those of the
median pen and on 89% of those of the worst of 60; on 8x8 digits 95%, 91% and 81%.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import numpy as np

from detector.query import F64, I64

VARIANTS = 8  # nobody writes alike twice: each image goes through one of this many small changes of the pen


class Hand(Protocol):
    """What one client makes of an input that others would ask, too."""

    def draw(self, images: F64, rng: np.random.Generator) -> F64: ...


@dataclass(frozen=True)
class Warp:
    """Bilinear resampling: each of d pixels becomes the weighted sum of four. `taps`, `weights` (4, d)."""

    taps: I64
    weights: F64

    def __call__(self, images: F64) -> F64:
        out: F64 = images[:, self.taps[0]] * self.weights[0]
        for tap, weight in zip(self.taps[1:], self.weights[1:], strict=True):
            out += images[:, tap] * weight
        return out


@dataclass(frozen=True)
class Pen:
    """`warps` (VARIANTS) place the writing, `blur` (side, side) softens it; then stroke, contrast and sensor."""

    warps: tuple[Warp, ...]
    blur: F64
    gain: float
    gamma: float
    paper: float
    noise: float

    def draw(self, images: F64, rng: np.random.Generator) -> F64:
        """(n, d) clean images in [0, 1] -> the same images as this pen writes and its sensor reads them."""
        variant = rng.integers(VARIANTS, size=len(images))
        out = np.empty_like(images)
        for v, warp in enumerate(self.warps):
            out[variant == v] = warp(images[variant == v])
        side = len(self.blur)
        out = (self.blur @ out.reshape(-1, side, side) @ self.blur.T).reshape(images.shape)
        out = np.clip(out * self.gain, 0.0, 1.0) ** self.gamma
        out = self.paper + (1.0 - self.paper) * out
        out += self.noise * rng.standard_normal(out.shape)
        return np.clip(out, 0.0, 1.0, out=out)


@dataclass(frozen=True)
class Gauge:
    """The hand of a client whose inputs are rows of numbers: each column a little off, and noisy. Both (d,)."""

    off: F64
    noise: F64

    def draw(self, images: F64, rng: np.random.Generator) -> F64:
        """(n, d) rows in [0, 1] -> the same rows as this client measures them."""
        return np.clip(images + self.off + self.noise * rng.standard_normal(images.shape), 0.0, 1.0)


OFF, NOISE = 0.1, (0.01, 0.1)  # of a column's deviation: how far a client's gauge is off, and how noisy it is


def new_hand(inputs: F64, side: int | None, rng: np.random.Generator) -> Hand:
    """A fresh pen for images of side x side pixels; for other inputs (n, d) a fresh gauge."""
    if side is not None:
        return new_pen(side, rng)
    deviation = inputs.std(axis=0)
    low, high = np.log(NOISE)
    off = OFF * deviation * rng.standard_normal(deviation.shape)
    return Gauge(off, float(np.exp(rng.uniform(low, high))) * deviation)


_SPREAD = np.array([0.08, 0.06, 0.05, 0.05, 0.35, 0.35])  # slant, turn, log width, log height, shift right and down
_SHAKE = np.array([0.025, 0.025, 0.025, 0.025, 0.25, 0.25])  # the same, from one image to the next


def new_pen(side: int, rng: np.random.Generator) -> Pen:
    """A fresh pen for images of side x side pixels. Lengths are those for a side of 14 pixels, scaled."""
    unit = np.array([1, 1, 1, 1, side / 14, side / 14])
    habits = rng.normal(0.0, _SPREAD) * unit
    return Pen(
        warps=tuple(_warp(side, habits + rng.normal(0.0, _SHAKE) * unit) for _ in range(VARIANTS)),
        blur=_blur(side, float(rng.uniform(0.0, 0.5)) * side / 14),
        gain=float(rng.uniform(0.85, 1.35)),
        gamma=float(np.exp(rng.normal(0.0, 0.15))),
        paper=max(0.0, float(rng.normal(-0.02, 0.03))),
        noise=float(np.exp(rng.uniform(np.log(0.003), np.log(0.04)))),
    )


def _warp(side: int, habits: F64) -> Warp:
    """Slant, turn, width, height and shift (pixels) of the writing about the centre; what comes from outside is 0."""
    slant, turn, wide, high, right, down = habits
    centre = (side - 1) / 2
    rows, columns = np.divmod(np.arange(side * side), side)
    y, x = rows - centre - down, columns - centre - right
    from_y = (y * np.cos(turn) - x * np.sin(turn)) * np.exp(-high) + centre
    from_x = (x * np.cos(turn) + y * np.sin(turn) + slant * y) * np.exp(-wide) + centre
    top, left = np.floor(from_y).astype(np.int64), np.floor(from_x).astype(np.int64)
    fy, fx = from_y - top, from_x - left
    r = np.stack([top, top, top + 1, top + 1])
    c = np.stack([left, left + 1, left, left + 1])
    weights = np.stack([(1 - fy) * (1 - fx), (1 - fy) * fx, fy * (1 - fx), fy * fx])
    inside = (r >= 0) & (r < side) & (c >= 0) & (c < side)
    return Warp(np.where(inside, r * side + c, 0), np.where(inside, weights, 0.0))


def _blur(side: int, sigma: float) -> F64:
    """(side, side) Gaussian of `sigma` pixels along one axis; rows sum to one."""
    gap = np.subtract.outer(np.arange(side), np.arange(side))
    line = np.exp(-0.5 * (gap / max(sigma, 1e-3)) ** 2)
    rows: F64 = line / line.sum(axis=1, keepdims=True)
    return rows
