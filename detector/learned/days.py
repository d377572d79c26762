"""What a sample of entities asked on each day of log time: what drift is looked for in.

An entity is in the day's sample by its key, a hash, so who came first is of no account, and all of its queries of that
day count or none. Sums of integers: their order is of no account either.
"""

from __future__ import annotations

from collections.abc import Sequence

import msgspec
import numba
import numpy as np
from numpy.typing import NDArray

from detector.evidence.kernels import NO_BIN

SAMPLE = 2_000  # entities a day
PPM = 1_000_000  # sums of integers do not depend on their order


class Sampled(msgspec.Struct, frozen=True):
    """A day in a snapshot. keys: of the entities; sums, counts: (entities, F) int64 of places in millionths."""

    keys: list[bytes]
    sums: bytes
    counts: bytes


def middles(shares: NDArray[np.float64]) -> NDArray[np.float64]:
    """Where each bin lies among honest queries, 0 to 1: the middle of its share. shares (..., BINS)."""
    return np.asarray(np.cumsum(shares, axis=-1) - shares / 2, np.float64)


def places_of(shares: NDArray[np.float64]) -> NDArray[np.int64]:
    """Where each bin lies among honest queries (F, BINS), in millionths: see middles."""
    return np.asarray(np.rint(middles(shares) * PPM), np.int64)


class Day:
    """One day's sample. `places` as places_of gives them."""

    def __init__(self, places: NDArray[np.int64]) -> None:
        self._places = places
        self._row: dict[bytes, int] = {}
        self._largest = b""  # of the keys, once there is no more room
        self._sums = np.zeros((SAMPLE, len(places)), np.int64)
        self._counts = np.zeros((SAMPLE, len(places)), np.int64)

    def asked(self, keys: Sequence[bytes], bins: NDArray[np.uint8]) -> None:
        """keys: of the entity of each query; bins (n, F), NO_BIN where absent."""
        known = self._row.get
        rows = np.array([self._of(key) if (row := known(key)) is None else row for key in keys], np.int64)
        _add(rows, bins, self._places, self._sums, self._counts)

    def places(self, suspects: set[bytes]) -> list[NDArray[np.float64]]:
        """Of each entity that is not under suspicion its mean place (F,), NaN where it asked nothing."""
        rows = [row for key, row in sorted(self._row.items()) if key not in suspects]
        with np.errstate(invalid="ignore"):
            return list(self._sums[rows] / self._counts[rows] / PPM)

    def state(self) -> Sampled:
        keys = sorted(self._row)
        rows = [self._row[key] for key in keys]
        return Sampled(keys, self._sums[rows].tobytes(), self._counts[rows].tobytes())

    def restore(self, state: Sampled) -> None:
        shape = len(state.keys), len(self._places)
        self._row = {key: row for row, key in enumerate(state.keys)}
        self._sums[: shape[0]] = np.frombuffer(state.sums, np.int64).reshape(shape)
        self._counts[: shape[0]] = np.frombuffer(state.counts, np.int64).reshape(shape)

    def _of(self, key: bytes) -> int:
        """The entity's row; -1 when others have the smaller keys, which are hashes."""
        found = self._row.get(key)
        if found is not None:
            return found
        if len(self._row) < SAMPLE:
            self._row[key] = len(self._row)
            return self._row[key]
        self._largest = self._largest or max(self._row)
        if key >= self._largest:
            return -1
        row = self._row[key] = self._row.pop(self._largest)
        self._sums[row], self._counts[row] = 0, 0
        self._largest = max(self._row)
        return row


@numba.njit(cache=True)
def _add(rows, bins, places, sums, counts):  # type: ignore[no-untyped-def]
    for i in range(rows.size):
        if rows[i] >= 0:
            for f in range(bins.shape[1]):
                if bins[i, f] != NO_BIN:
                    sums[rows[i], f] += places[f, bins[i, f]]
                    counts[rows[i], f] += 1
