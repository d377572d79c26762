from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from features import NUMBERS
from features.contract import Reference


@pytest.fixture(scope="session")
def learned() -> dict[str, NDArray[Any]]:
    """What every family learned of a small training distribution."""
    rng = np.random.default_rng(3)
    reference = Reference(rng.integers(-4000, 4000, (200, 16)).astype(np.int16), np.zeros(200, np.int32), 0)
    return dict(NUMBERS.learn(reference))
