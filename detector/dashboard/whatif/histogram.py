"""Entities of a level by the highest score of the tape that is kept."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from detector.dashboard.shapes import Histogram
from detector.dashboard.whatif.columns import Columns
from detector.dashboard.whatif.standing import SCORES
from detector.learned.triage import Answer
from detector.tape import FLOOR, TOP_LEVEL, level_of

GROUND = level_of(FLOOR)
MOST_BINS = 64
NARROWEST = 2  # grid levels
SHOWN = level_of(4.0)  # the axis reaches at least so far


def histogram(columns: Columns, level: str, total: int, said: Mapping[bytes, Answer]) -> Histogram:
    """total: of the level's entities, with points or without. said: by entity, the verdict that counts."""
    mine = columns.of_group(level)
    peaks = columns.peak[mine]
    high = mine[peaks >= GROUND]
    top = max(int(peaks.max(initial=0)), SHOWN)
    width = max(NARROWEST, -(-(top + 1 - GROUND) // MOST_BINS))
    bins = -(-(top + 1 - GROUND) // width)
    where = (columns.peak[high] - GROUND) // width
    judged = {answer: np.zeros(bins, np.int64) for answer in ("attack", "honest", "automation")}
    for key, answer in said.items():
        place = columns.place_of.get(key)
        at = np.flatnonzero(high == place) if place is not None else high[:0]
        if len(at) and answer in judged:
            judged[answer][where[at[0]]] += 1
    counts = np.bincount(where, minlength=bins)
    edges = SCORES[np.minimum(GROUND + width * np.arange(bins + 1), TOP_LEVEL)]
    return Histogram(
        level=level,
        edges=tuple(edges.tolist()),
        counts=tuple(counts.tolist()),
        attacks=tuple(judged["attack"].tolist()),
        honest=tuple((judged["honest"] + judged["automation"]).tolist()),
        below=max(total - len(high), 0),
        total=max(total, len(high)),
        since=columns.since,
        until=columns.until,
    )
