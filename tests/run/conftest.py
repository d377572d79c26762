from __future__ import annotations

from collections.abc import Iterator

import pytest

from detector.run import database


@pytest.fixture
def lazy_disk() -> Iterator[None]:
    """No fsync, for tests with many examples that kill nothing."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(database, "SYNCHRONOUS", "OFF")
        yield
