"""From raw inputs to the 16 integers that everything later sees: the raw input stops here."""

from __future__ import annotations

from typing import NamedTuple

import numba
import numpy as np
from numpy.typing import NDArray
from sklearn.decomposition import PCA

from detector.errors import ProfileError
from detector.query import Batch
from features.contract import DIMS

LIMIT = 8191  # 14 bits and sign: 16 squared differences fit an unsigned 32-bit sum
FILL = 6000.0  # where the 99.9th percentile of the widest direction comes to lie
FAR = 1e100  # inputs beyond it are as far as can be: their squares stay finite
SIDE = 4  # pixels, of the smallest image
SMOOTH = 0.5
HOMOGENEOUS = 20.0  # columns whose ranges differ less than this share one unit (pixels, embeddings)


class Projection(NamedTuple):
    """x = rint(unit * directions @ ((input - mean) / scale)), clipped to +-LIMIT.

    mean, scale (d,); directions (DIMS, d), rows orthonormal, zero where the data have fewer; unit: steps per length.
    lags (2,): how many places apart neighbours in a row and in a column of an image lie; zeros where inputs are none.
    """

    mean: NDArray[np.float64]
    scale: NDArray[np.float64]
    directions: NDArray[np.float64]
    unit: float
    lags: NDArray[np.int64]

    @property
    def width(self) -> int:
        return len(self.mean)

    def apply(self, inputs: NDArray[np.float64]) -> Projected:
        """inputs (n, d), finite."""
        x = np.empty((len(inputs), DIMS), np.int16)
        residual, roughness = np.empty(len(inputs)), np.full(len(inputs), np.nan)
        _project(inputs, self.mean, 1.0 / self.scale, self.directions.T.copy(), self.unit, x, residual)
        if self.lags[0]:
            _roughness(inputs, self.lags[0], self.lags[1], roughness)
        return Projected(x, residual, roughness)

    def of_nobody(
        self,
        inputs: NDArray[np.float64],
        form: NDArray[np.float64],
        labels: NDArray[np.int32],
        top: NDArray[np.float64],
    ) -> Batch:
        """Queries of which neither client nor time counts: inputs (n, d), with the answers given to them."""
        n, (x, residual, roughness) = len(inputs), self.apply(inputs)
        return Batch(
            slots=np.zeros(n, np.int64),
            at=np.zeros(n, np.int64),
            x=x,
            residual=residual,
            roughness=roughness,
            labels=labels,
            top=top,
            ids=np.zeros(n, np.uint64),
            odd=np.zeros(n, np.uint8),
            form=form,
        )


class Projected(NamedTuple):
    """x (n, DIMS) int16; residual (n,): length of what x leaves out, in the units of x; roughness (n,): of images, the
    mean squared difference of neighbours against that of white noise with the same variance; else NaN.
    """

    x: NDArray[np.int16]
    residual: NDArray[np.float64]
    roughness: NDArray[np.float64]


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


@numba.njit(cache=True)
def _roughness(inputs, along, across, roughness):  # type: ignore[no-untyped-def]
    """along, across: places between neighbours in a row, in a column; `across` is the length of a row."""
    for i in range(inputs.shape[0]):
        total, square = 0.0, 0.0
        for j in range(inputs.shape[1]):
            value = min(max(inputs[i, j], -FAR), FAR)
            total += value
            square += value * value
        mean = total / inputs.shape[1]
        variance = square / inputs.shape[1] - mean * mean
        differ, pairs = 0.0, 0
        for j in range(inputs.shape[1]):
            value = min(max(inputs[i, j], -FAR), FAR)
            if j % across + along < across:
                step = min(max(inputs[i, j + along], -FAR), FAR) - value
                differ += step * step
                pairs += 1
            if j + across < inputs.shape[1]:
                step = min(max(inputs[i, j + across], -FAR), FAR) - value
                differ += step * step
                pairs += 1
        roughness[i] = np.float32(differ / (2.0 * pairs * variance)) if variance > 0.0 else 0.0


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
    return Projection(mean, scale, directions, unit, image_lags(inputs))


def image_lags(inputs: NDArray[np.float64]) -> NDArray[np.int64]:
    """The lags of `Projection` where inputs (n, d) are images of one or three channels, channel last; else zeros.

    Images are smooth both ways: neighbours in a row differ less than half as much as pixels anywhere, and so do those
    one row apart. The length of a row is the divisor of d at which they differ least.
    """
    width = inputs.shape[1]
    typical = 2 * inputs.var(1).mean()
    rows = [length for length in range(SIDE, width // SIDE + 1) if width % length == 0]
    if not rows or not typical > 0:
        return np.zeros(2, np.int64)
    across = min(rows, key=lambda lag: _differ(inputs, lag))
    along = min((lag for lag in (1, 3) if across % lag == 0 and lag < across), key=lambda lag: _differ(inputs, lag))
    smooth = max(_differ(inputs, along), _differ(inputs, across)) < SMOOTH * typical
    return np.array([along, across] if smooth else [0, 0], np.int64)


def _differ(inputs: NDArray[np.float64], lag: int) -> float:
    return float(((inputs[:, lag:] - inputs[:, :-lag]) ** 2).mean())


def _scale(centred: NDArray[np.float64]) -> NDArray[np.float64]:
    reach = np.abs(centred).max(0)
    moving = reach > 0
    if not moving.any() or reach.max() <= HOMOGENEOUS * np.median(reach[moving]):
        return np.ones(centred.shape[1])
    spread = centred.std(0)
    return np.asarray(np.where(moving, spread, np.median(spread[moving])), np.float64)
