"""Random bits that an entity and an index decide alone: the same after any crash, and for whoever replays the log."""

from __future__ import annotations

import numba
import numpy as np


@numba.njit(cache=True)
def draw(salt, index):  # type: ignore[no-untyped-def]
    """64 random bits (splitmix64, Steele et al. 2014)."""
    z = salt + np.uint64(index + 1) * np.uint64(0x9E3779B97F4A7C15)
    z = (z ^ (z >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return z ^ (z >> np.uint64(31))


@numba.njit(cache=True)
def share(salt, index):  # type: ignore[no-untyped-def]
    """A number in [0, 1)."""
    return (draw(salt, index) >> np.uint64(11)) * 2.0**-53
