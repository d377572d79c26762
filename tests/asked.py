"""Batches made up for tests: the columns that a test is about, the rest plain."""

from __future__ import annotations

from typing import Any

import numpy as np

from detector.query import ABSENT, Batch


def asked(n: int, **columns: Any) -> Batch:
    """n queries of one entity, a microsecond apart, without answers or ids; `columns` replace what they name."""
    plain: dict[str, Any] = {
        "slots": np.zeros(n, np.int64),
        "at": np.arange(n),
        "x": np.zeros((n, 16), np.int16),
        "residual": np.zeros(n),
        "roughness": np.full(n, ABSENT),
        "labels": np.zeros(n, np.int32),
        "top": np.full((n, 2), ABSENT),
        "ids": np.zeros(n, np.uint64),
        "odd": np.zeros(n, np.uint8),
        "form": np.zeros((n, 0)),
    }
    return Batch(**{name: np.asarray(columns.get(name, column), column.dtype) for name, column in plain.items()})
