"""The families that read one kind of input, as one value: their signals, fields of a row, and how they measure."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from detector.query import UNREAD, Batch
from features.contract import Feature, Field, Learned, Reference, Rows, Signal


class Kit:
    """features, signals: in the order in which they stand in every profile and row; additive: the places of the signals
    that groups are judged by.
    """

    def __init__(self, name: str, *features: Feature) -> None:
        self.name = name
        self.features = features
        self.signals: tuple[Signal, ...] = tuple(signal for feature in features for signal in feature.signals)
        self.names = tuple(signal.name for signal in self.signals)
        self.fields: tuple[Field, ...] = tuple(field for feature in features for field in feature.fields)
        self.additive = np.flatnonzero([signal.additive for signal in self.signals])

    def learn(self, reference: Reference) -> Mapping[str, NDArray[Any]]:
        """What the families must know of the training distribution."""
        return {name: array for feature in self.features for name, array in feature.learn(reference).items()}

    def measure(self, batch: Batch, rows: Rows, learned: Learned) -> tuple[NDArray[np.float64], NDArray[np.int8]]:
        """All signals of a batch: values (n, F) float64 and stages (n, F) int8. Updates the rows of its entities."""
        values = np.full((len(batch), len(self.signals)), np.nan)
        stages = np.zeros((len(batch), len(self.signals)), np.int8)
        read = np.flatnonzero(batch.odd != UNREAD)
        start = 0
        for feature in self.features:
            of = slice(start, start + len(feature.signals))
            if feature.unread or len(read) == len(batch):
                values[:, of], stages[:, of] = _measured(feature, batch, rows, learned)
            else:
                values[read, of], stages[read, of] = _measured(feature, batch.taken(read), rows, learned)
            start = of.stop
        return values, stages


def _measured(
    feature: Feature, batch: Batch, rows: Rows, learned: Learned
) -> tuple[NDArray[np.float64], NDArray[np.int8]]:
    """Into arrays of its own: columns of larger ones are laid out in another way, but for batches of one query, and
    every layout that a kernel meets is compiled for seconds.
    """
    values = np.empty((len(batch), len(feature.signals)))
    stages = np.zeros((len(batch), len(feature.signals)), np.int8)
    feature.measure(batch, rows, learned, values, stages)
    return values, stages
