"""Every page, light and dark, wide and narrow: what axe-core finds, what the console says, and a picture to look at."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Page, expect

from tests.dashboard.browser.conftest import Sit
from tests.dashboard.browser.stage import NAME, NARROW, PASSWORD, SCREENS, WIDE, Seat

pytestmark = pytest.mark.server

ROOT = Path(__file__).parents[3]
AXE = ROOT / "detector" / "dashboard" / "page" / "node_modules" / "axe-core" / "axe.min.js"
PAGES = {
    "overview": "/",
    "alerts": "/alerts",
    "clients": "/clients",
    "thresholds": "/thresholds",
    "allowed": "/allowed",
    "health": "/health",
    "audit": "/audit",
    "tokens": "/tokens",
    "nowhere": "/nowhere",
}
LOOKS = [("light", WIDE), ("dark", WIDE), ("light", NARROW), ("dark", NARROW)]


def found_by_axe(page: Page) -> list[str]:
    """Serious and critical violations. axe-core is put there by the browser's debugger, past the page's own policy."""
    result: dict[str, Any] = page.evaluate("() => axe.run(document, {resultTypes: ['violations']})")
    grave = [one for one in result["violations"] if one["impact"] in ("serious", "critical")]
    return [f"{one['id']}: {one['help']}: {node['html'][:200]}" for one in grave for node in one["nodes"]]


def look(seat: Seat, name: str, scheme: str) -> list[str]:
    page = seat.page
    width = page.viewport_size["width"] if page.viewport_size else 0
    known = (scheme, width) == ("dark", NARROW[0])  # the colours of the wide one, the layout of the light one
    found = [] if known else found_by_axe(page)
    page.screenshot(path=SCREENS / f"{name}-{scheme}-{width}.png", full_page=True)
    wide = page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth")
    return [f"{name}: {said}" for said in found] + ([f"{name}: {wide} px too wide"] if wide > 0 else [])


@pytest.mark.parametrize(("scheme", "size"), LOOKS, ids=[f"{scheme}-{size[0]}" for scheme, size in LOOKS])
def test_every_page_is_readable_for_everybody(sit: Sit, scheme: str, size: tuple[int, int]) -> None:
    seat = sit("admin", "ada", scheme=scheme, size=size)
    seat.page.add_init_script(path=AXE)
    found: list[str] = []
    for name, path in PAGES.items():
        seat.page.goto(seat.address + path)
        seat.page.locator("main h1, main .nothing").first.wait_for()
        seat.settled()
        found += look(seat, name, scheme)
    seat.go("/clients")
    seat.page.locator("td .entity a").first.click()
    seat.page.locator(".map").wait_for()
    seat.settled()
    found += look(seat, "client", scheme)
    seat.go("/alerts")
    seat.page.locator("[data-case]").first.click()
    seat.page.locator(".detail h3").first.wait_for()
    found += look(seat, "case", scheme)
    nobody = sit(None, scheme=scheme, size=size)
    nobody.page.add_init_script(path=AXE)
    nobody.page.goto(nobody.address)
    nobody.page.get_by_label("Password").wait_for()
    found += look(nobody, "login", scheme)
    nobody.said[:] = [said for said in nobody.said if "401" not in said]  # nobody yet
    assert found == []


def test_one_logs_in_by_the_local_account_and_out(sit: Sit) -> None:
    seat = sit(None)
    page = seat.page
    page.add_init_script(path=AXE)
    page.goto(seat.address)
    page.get_by_label("Name").fill(NAME)
    page.get_by_label("Password").fill("wrong")
    page.keyboard.press("Enter")
    expect(page.get_by_role("alert")).to_be_visible()
    assert look(seat, "login-failed", "light") == []
    page.get_by_label("Password").fill(PASSWORD)
    page.keyboard.press("Enter")
    expect(page.get_by_role("heading", name="Overview")).to_be_visible()
    page.get_by_role("button", name="Log out").click()
    expect(page.get_by_role("heading", name="Log in")).to_be_visible()
    expected = "the server responded with a status of 401"
    seat.said[:] = [said for said in seat.said if expected not in said]  # nobody yet, and a wrong password


def test_a_session_that_ends_takes_nothing_that_was_typed(sit: Sit) -> None:
    seat = sit("engineer", "eva")
    page = seat.go("/thresholds")
    field = page.get_by_label("Score from which medium is alerted")
    field.fill("1")
    field.press("Enter")
    form = page.get_by_role("form", name="Draft")
    form.get_by_label("Title").fill("Half written")
    form.get_by_label("Why").fill("because")
    seat.context.clear_cookies()
    form.get_by_role("button", name="Save as a draft").click()
    again = page.get_by_role("dialog", name="Log in again")
    again.get_by_label("Name").fill(NAME)
    again.get_by_label("Password").fill(PASSWORD)
    page.keyboard.press("Enter")
    again.wait_for(state="detached")
    expect(form.get_by_label("Title")).to_have_value("Half written")
    form.get_by_role("button", name="Save as a draft").click()
    entry = page.locator("[data-draft]", has_text="Half written")
    expect(entry).to_contain_text(NAME)
    seat.said[:] = [said for said in seat.said if "401" not in said]


def test_the_colours_are_the_systems_until_one_chooses(sit: Sit) -> None:
    page = sit("viewer", scheme="dark").go("/")
    ground = "() => getComputedStyle(document.body.parentElement).backgroundColor"
    dark = page.evaluate(ground)
    page.get_by_label("Colours").select_option("light")
    light = page.evaluate(ground)
    page.reload()
    page.locator("h1").wait_for()
    assert page.evaluate(ground) == light != dark
    page.get_by_label("Colours").select_option("system")
    assert page.evaluate(ground) == dark
    page.emulate_media(color_scheme="light")
    expect(page.locator("html")).to_have_attribute("data-theme", "light")  # it is told, and follows
    assert page.evaluate(ground) == light


def test_the_skip_link_leads_past_the_menu(sit: Sit) -> None:
    page = sit("viewer").go("/")
    page.keyboard.press("Tab")
    expect(page.get_by_role("link", name="Skip to the page")).to_be_focused()
    page.keyboard.press("Enter")
    expect(page.locator("main")).to_be_focused()


def test_times_are_the_viewers_and_utc_stands_behind_them(sit: Sit) -> None:
    page = sit("viewer").go("/clients")
    time = page.locator("td time").first
    at = time.get_attribute("datetime") or ""
    assert (time.get_attribute("title") or "") == at[:19].replace("T", " ") + " UTC"
    assert at[11:16] not in time.inner_text()  # the browser of these tests is in Vienna
