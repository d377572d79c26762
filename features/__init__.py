"""The signal families, in the order in which their signals stand in every profile and row."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from detector.query import UNREAD, Batch
from features import boundary, conduct, coverage, distance, entropy, spacing, timing
from features.contract import Feature, Learned, Rows, Signal

FEATURES: tuple[Feature, ...] = (
    distance.FEATURE,
    spacing.FEATURE,
    boundary.FEATURE,
    entropy.FEATURE,
    coverage.FEATURE,
    timing.FEATURE,
    conduct.FEATURE,
)
SIGNALS: tuple[Signal, ...] = tuple(signal for feature in FEATURES for signal in feature.signals)


def measure(batch: Batch, rows: Rows, learned: Learned) -> tuple[NDArray[np.float64], NDArray[np.int8]]:
    """All signals of a batch: values (n, F) float64 and stages (n, F) int8. Updates the rows of its entities."""
    values = np.full((len(batch), len(SIGNALS)), np.nan)
    stages = np.zeros((len(batch), len(SIGNALS)), np.int8)
    read = np.flatnonzero(batch.odd != UNREAD)
    start = 0
    for feature in FEATURES:
        of = slice(start, start + len(feature.signals))
        if feature.unread or len(read) == len(batch):
            feature.measure(batch, rows, learned, values[:, of], stages[:, of])
        else:
            values[read, of], stages[read, of] = _measured(feature, batch.taken(read), rows, learned)
        start = of.stop
    return values, stages


def _measured(
    feature: Feature, batch: Batch, rows: Rows, learned: Learned
) -> tuple[NDArray[np.float64], NDArray[np.int8]]:
    values = np.empty((len(batch), len(feature.signals)))
    stages = np.zeros((len(batch), len(feature.signals)), np.int8)
    feature.measure(batch, rows, learned, values, stages)
    return values, stages
