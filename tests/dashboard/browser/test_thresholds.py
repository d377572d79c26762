"""The thresholds page against a real server: what it says before a change is what a detector then does."""

from __future__ import annotations

import pytest

from tests.dashboard.browser.conftest import Sit
from tests.dashboard.browser.stage import Stage

pytestmark = pytest.mark.server


def test_probe(sit: Sit, stage: Stage) -> None:
    seat = sit("viewer")
    page = seat.go("/thresholds")
    page.screenshot(path="build/screens/probe.png", full_page=True)
    print(seat.api("GET", "/overview"), seat.api("GET", "/policy"), len(stage.alerts()))
