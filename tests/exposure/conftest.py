from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from detector.exposure.exposed import taught
from detector.exposure.known import Known
from detector.profile import exposing
from detector.query import Batch
from tests.asked import asked
from tests.exposure.population import CLIENTS, population
from tests.layouts import CLIENT_ROW


@pytest.fixture(scope="session")
def honest() -> Batch:
    return population(CLIENTS, seed=1)


@pytest.fixture(scope="session")
def cells() -> dict[str, NDArray[Any]]:
    rng = np.random.default_rng(2)
    return {"cells": rng.integers(-4000, 4000, (16, 24)).astype(np.int16)}


@pytest.fixture(scope="session")
def known(honest: Batch, cells: dict[str, NDArray[Any]]) -> Known:
    """What 90 clients taught; another 90 set the scale."""
    teachers = np.arange(CLIENTS) < CLIENTS // 2
    return exposing.scaled(*scalers_of(exposing.learn(honest, teachers, cells["cells"], seed=3), honest, ~teachers))


def scalers_of(known: Known, honest: Batch, chosen: NDArray[np.bool_]) -> Any:
    found = taught(honest, known, np.zeros(CLIENTS, CLIENT_ROW))
    mine = chosen[honest.slots]
    return known, honest.slots[mine], found[mine]


@pytest.fixture(scope="session")
def silent(honest: Batch, cells: dict[str, NDArray[Any]]) -> Known:
    """The same log without labels."""
    columns = {name: getattr(honest, name) for name in Batch.__slots__}
    bare = asked(len(honest), **columns | {"labels": np.full(len(honest), -1)})
    teachers = np.arange(CLIENTS) < CLIENTS // 2
    return exposing.scaled(*scalers_of(exposing.learn(bare, teachers, cells["cells"], seed=3), bare, ~teachers))
