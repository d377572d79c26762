"""From raw inputs to the 16 integers that everything later sees: the raw input stops here."""

from __future__ import annotations

from typing import NamedTuple

import numba
import numpy as np
from numpy.typing import NDArray
from sklearn.decomposition import PCA

from detector.errors import ProfileError
from features.contract import DIMS

LIMIT = 8191  # 14 bits and sign: 16 squared differences fit an unsigned 32-bit sum
FILL = 6000.0  # where the 99.9th percentile of the widest direction comes to lie
FAR = 1e100  # inputs beyond it are as far as can be: their squares stay finite
HOMOGENEOUS = 20.0  # columns whose ranges differ less than this share one unit (pixels, embeddings)


class Projection(NamedTuple):
    """x = rint(unit * directions @ ((input - mean) / scale)), clipped to +-LIMIT.

    mean, scale (d,); directions (DIMS, d), rows orthonormal, zero where the data have fewer; unit: steps per length.
    """

    mean: NDArray[np.float64]
    scale: NDArray[np.float64]
    directions: NDArray[np.float64]
    unit: float

    @property
    def width(self) -> int:
        return len(self.mean)

    def apply(self, inputs: NDArray[np.float64]) -> tuple[NDArray[np.int16], NDArray[np.float64]]:
        """inputs (n, d) -> x (n, DIMS) int16, residual (n,): length of what x leaves out, in the units of x."""
        x = np.empty((len(inputs), DIMS), np.int16)
        residual = np.empty(len(inputs))
        _project(inputs, self.mean, 1.0 / self.scale, self.directions.T.copy(), self.unit, x, residual)
        return x, residual


@numba.njit(cache=True)
def _project(inputs, mean, shrink, columns, unit, x, residual):  # type: ignore[no-untyped-def]
    # A matrix product of a BLAS depends on how many rows it is given; this sum has one order.
    sums = np.empty(DIMS)
    for i in range(inputs.shape[0]):
        sums[:] = 0.0
        length = 0.0
        for j in range(inputs.shape[1]):
            value = min(max((inputs[i, j] - mean[j]) * shrink[j], -FAR), FAR)
            length += value * value
            for d in range(DIMS):
                sums[d] += value * columns[j, d]
        kept = 0.0
        for d in range(DIMS):
            kept += sums[d] * sums[d]
            x[i, d] = np.int16(min(max(np.rint(sums[d] * unit), -LIMIT), LIMIT))
        residual[i] = np.float32(unit * np.sqrt(max(length - kept, 0.0)))


def learn(inputs: NDArray[np.float64], seed: int) -> Projection:
    """The principal directions of inputs (n, d), each column in its own unit unless all share one.

    Raises ProfileError when nothing varies.
    """
    inputs = np.clip(inputs, -FAR, FAR)
    varies = np.ptp(inputs, axis=0) > 0
    if not varies.any():
        raise ProfileError(f"all {len(inputs)} inputs are the same: there is nothing to learn from")
    mean = np.where(varies, inputs.mean(0), inputs[0])  # the mean of equal numbers may differ from them in the last bit
    scale = _scale(inputs - mean)
    centred = (inputs - mean) / scale
    rank = min(DIMS, *centred.shape)
    directions = np.zeros((DIMS, inputs.shape[1]))
    directions[:rank] = PCA(rank, svd_solver="covariance_eigh", random_state=seed).fit(centred).components_
    coordinates = centred @ directions.T
    unit = FILL / float(np.quantile(np.abs(coordinates), 0.999, axis=0).max())
    return Projection(mean, scale, directions, unit)


def _scale(centred: NDArray[np.float64]) -> NDArray[np.float64]:
    reach = np.abs(centred).max(0)
    moving = reach > 0
    if not moving.any() or reach.max() <= HOMOGENEOUS * np.median(reach[moving]):
        return np.ones(centred.shape[1])
    spread = centred.std(0)
    return np.asarray(np.where(moving, spread, np.median(spread[moving])), np.float64)
