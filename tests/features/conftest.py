from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from features import NUMBERS
from features.contract import Reference
from tests.asked import asked


@pytest.fixture(scope="session")
def learned() -> dict[str, NDArray[Any]]:
    """What every family learned of a small training distribution."""
    rng = np.random.default_rng(3)
    x = rng.integers(-4000, 4000, (200, 16)).astype(np.int16)
    top = np.sort(rng.random((200, 2)))[:, ::-1]
    lessons = asked(200, x=x, top=top), asked(200, x=x // 4, top=top)
    reference = Reference(x, np.zeros(200, np.int32), 0, lessons)
    return dict(NUMBERS.learn(reference))
