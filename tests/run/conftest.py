from __future__ import annotations

from collections.abc import Iterator

import pytest

from detector.run import database


@pytest.fixture(autouse=True)
def lazy_disk() -> Iterator[None]:
    """No fsync in this process: nothing here cuts the power. The child that is killed runs with the real setting."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(database, "SYNCHRONOUS", "OFF")
        yield
