"""One stage for all tests of the page: a fitted profile, a log that was replayed, a detector that goes on reading."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from argon2 import PasswordHasher
from playwright.sync_api import Browser, sync_playwright

from detector.dashboard.api.page import STATIC
from detector.dashboard_settings import Role
from tests import people
from tests.dashboard.browser.stage import ARGS, PASSWORD, SCREENS, Seat, Stage, seated

CHROMIUM = "/usr/bin/chromium"
Sit = Callable[..., Seat]


def the_log() -> list[people.Asked]:
    """Honest clients and copiers of two kinds; one of them over the accounts of an organisation."""
    asked = people.honest(3, 150, days=12.0)
    for n in range(4):
        asked += people.noise(f"noise-{n}", seed=n, n=60, at=people.START_US + n * people.DAY_US)
        asked += people.children(f"children-{n}", seed=n, n=160, at=people.START_US + (5 + n) * people.DAY_US)
    for n in range(3):
        asked += people.noise(f"split-{n}", seed=40 + n, n=12, at=people.START_US + 9 * people.DAY_US, group="acme")
    return people.in_order(asked)


@pytest.fixture(scope="package")
def stage(saved: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stage]:
    if not (STATIC / "index.html").exists():
        pytest.fail("the page was not built: `make page` (Node 20)", pytrace=False)
    cheap = PasswordHasher(time_cost=1, memory_cost=8, parallelism=1).hash(PASSWORD)
    made = Stage(tmp_path_factory.mktemp("stage"), saved, cheap, review=True)
    try:
        made.open(the_log())
        yield made
    finally:
        made.close()


@pytest.fixture(scope="package")  # while it is there an event loop runs in this thread, and others could have none
def chromium() -> Iterator[Browser]:
    if not Path(CHROMIUM).exists():
        pytest.fail(f"these tests need Debian's chromium ({CHROMIUM})", pytrace=False)
    SCREENS.mkdir(parents=True, exist_ok=True)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=list(ARGS))
        yield browser
        browser.close()


@pytest.fixture
def sit(chromium: Browser, stage: Stage) -> Iterator[Sit]:
    """sit(role): somebody with that role at a browser of his own. Nothing may have been said in anybody's console."""
    seats: list[Seat] = []

    def sitting(role: Role | None, name: str = "", **how: Any) -> Seat:
        seats.append(seated(chromium, stage, role, name, **how))
        return seats[-1]

    yield sitting
    for seat in seats:
        seat.context.close()
    assert [said for seat in seats for said in seat.said] == []
