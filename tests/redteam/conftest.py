"""The small world on which the range is tested."""

from __future__ import annotations

import pytest

from detector.redteam import World, digits_world


@pytest.fixture(scope="session")
def world() -> World:
    return digits_world()
