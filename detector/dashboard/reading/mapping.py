"""An entity's queries over the training data: the two directions in which the profile's reference points spread most.

A row remembers queries coarsely and in fewer dimensions than the projection has (features/spacing.py, follow.py), so
the directions are found in those that it remembers.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from detector.dashboard.shapes import Map
from detector.profile.artefact import Profile

NO_MAP = Map((), (), 0.0)
# What remembers, by the name of its fields: where its references are learned, how the last ones are counted.
RING = {"spacing": 32, "follow": 12}
REFERENCES = {"spacing": "references", "follow": "matter"}
COARSE = 64.0  # steps of the projection to a step of the memory of spacing
UNIT = 127.0  # length of a direction that follow remembers


def map_of(profile: Profile, row: bytes) -> Map:
    """row: the entity's record, as it was saved."""
    dtype = profile.entities("client").dtype
    memory = next((name for name in RING if f"{name}_x" in (dtype.names or ())), None)
    if memory is None or REFERENCES[memory] not in profile.learned or len(row) != dtype.itemsize:
        return NO_MAP
    record = np.frombuffer(row, dtype)[0]
    references = profile.learned[REFERENCES[memory]].T.astype(np.float64)
    kept = _remembered(record, memory)
    whole = float(references.var(0).sum())
    if memory == "follow":
        lengths = np.linalg.norm(references, axis=1, keepdims=True)
        references = references / np.where(lengths > 0, lengths, 1.0)
        whole = float(references.var(0).sum())
    references = references[:, : kept.shape[1]]
    if len(references) < 3 or whole == 0.0:
        return NO_MAP
    mean = references.mean(0)
    _, spread, axes = np.linalg.svd(references - mean, full_matrices=False)
    plane = axes[:2].T
    explained = float((spread[:2] ** 2).sum() / len(references)) / whole
    return Map(_pairs((references - mean) @ plane), _pairs((kept - mean) @ plane), min(explained, 1.0))


def _remembered(record: Any, memory: str) -> NDArray[np.float64]:
    """(m, dimensions): the sample of the older ones, then the latest in their order."""
    seen, ring = int(record[f"{memory}_seen"]), RING[memory]
    points = record[f"{memory}_x"].astype(np.float64)
    points = points.T * COARSE if memory == "spacing" else points / UNIT
    sample = points[ring : ring + max(min(seen, len(points)) - ring, 0)]
    latest = [points[place % ring] for place in range(max(seen - ring, 0), seen)]
    return np.concatenate([sample, np.array(latest).reshape(len(latest), points.shape[1])])


def _pairs(of: NDArray[np.float64]) -> tuple[tuple[float, float], ...]:
    return tuple((float(x), float(y)) for x, y in np.round(of, 1).tolist())
