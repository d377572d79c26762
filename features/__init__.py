"""The signal families, in the order in which their signals stand in every profile and row."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from detector.query import Batch
from features import boundary, distance, spacing
from features.contract import Feature, Learned, Rows, Signal

FEATURES: tuple[Feature, ...] = (distance.FEATURE, spacing.FEATURE, boundary.FEATURE)
SIGNALS: tuple[Signal, ...] = tuple(signal for feature in FEATURES for signal in feature.signals)


def measure(batch: Batch, rows: Rows, learned: Learned) -> tuple[NDArray[np.float64], NDArray[np.int8]]:
    """All signals of a batch: values (n, F) float64 and stages (n, F) int8. Updates the rows of its entities."""
    values = np.empty((len(batch), len(SIGNALS)))
    stages = np.zeros((len(batch), len(SIGNALS)), np.int8)
    start = 0
    for feature in FEATURES:
        stop = start + len(feature.signals)
        feature.measure(batch, rows, learned, values[:, start:stop], stages[:, start:stop])
        start = stop
    return values, stages
