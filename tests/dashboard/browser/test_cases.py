"""The queue against a real server: verdicts by keyboard, in bulk, and what others see of them meanwhile."""

from __future__ import annotations

import pytest
from playwright.sync_api import expect

from tests import people
from tests.dashboard.browser.conftest import Sit
from tests.dashboard.browser.stage import Stage

pytestmark = pytest.mark.server


def test_a_verdict_is_given_by_keys_alone_and_others_are_told(sit: Sit) -> None:
    seat, other = sit("analyst", "anna"), sit("viewer", "vera")
    page = seat.go("/alerts")
    watching = other.go("/alerts")
    first = page.locator("[data-case]").first
    name = first.get_attribute("data-case")
    page.get_by_label("Search by id").focus()
    for _ in range(12):  # from the search field through the buttons into the list
        page.keyboard.press("Tab")
        if page.evaluate("document.activeElement.dataset.case !== undefined"):
            break
    page.keyboard.press("j")
    page.keyboard.press("k")
    expect(first).to_be_focused()
    page.keyboard.press("Enter")
    expect(page.get_by_role("region", name="Case", exact=True)).to_be_visible()
    first.focus()
    page.keyboard.press("a")
    dialog = page.get_by_role("dialog")
    expect(dialog.get_by_role("radio", name="Attack")).to_be_checked()
    dialog.get_by_label("Note").fill("uniform noise, nothing else")
    page.keyboard.press("Enter")
    dialog.wait_for(state="detached")
    _, kept = seat.api("GET", f"/cases/{name}")
    assert [(one["answer"], one["by"], one["note"]) for one in kept["verdicts"]] == [
        ("attack", "anna [oidc:anna]", "uniform noise, nothing else")
    ]
    expect(page.get_by_role("region", name="Case", exact=True)).to_contain_text("uniform noise, nothing else")
    expect(watching.get_by_text("There is news")).to_be_visible()
    assert watching.locator("[data-case]").first.get_attribute("data-case") == name  # nothing moves by itself


def test_many_are_judged_at_once_until_a_time(sit: Sit) -> None:
    seat = sit("analyst", "anna")
    page = seat.go("/alerts")
    picks = page.get_by_role("checkbox")
    names = [page.locator("[data-case]").nth(n).get_attribute("data-case") for n in (2, 3)]
    for n in (2, 3):
        picks.nth(n).check()
    page.get_by_role("button", name="Judge them").click()
    dialog = page.get_by_role("dialog")
    dialog.locator("label", has_text="Honest automation").click()
    dialog.get_by_label("It holds").select_option("7")
    dialog.get_by_role("button", name="Save the verdict").click()
    dialog.wait_for(state="detached")
    for name in names:
        _, kept = seat.api("GET", f"/cases/{name}")
        assert kept["verdicts"][-1]["answer"] == "automation"
        assert kept["verdicts"][-1]["expires_at"] is not None


def test_a_group_is_judged_together_with_its_accounts(sit: Sit) -> None:
    seat = sit("analyst", "anna")
    page = seat.go("/alerts")
    page.locator("[data-case]", has_text="acme").click()
    case = page.get_by_role("region", name="Case", exact=True)
    case.get_by_role("button", name="Judge it and the open cases of its accounts").click()
    dialog = page.get_by_role("dialog")
    expect(dialog.get_by_role("heading")).to_have_text("Your verdict on 4 cases")
    dialog.get_by_label("Note").fill("one hand")
    page.keyboard.press("Enter")
    dialog.wait_for(state="detached")
    _, kept = seat.api("GET", "/cases?state=all&search=split")
    assert {one["id"] for one in kept["items"] if one["said"]["note"] == "one hand"} == {
        "split-0",
        "split-1",
        "split-2",
    }


def test_a_viewer_may_look_and_not_judge(sit: Sit) -> None:
    seat = sit("viewer", "vera")
    page = seat.go("/alerts")
    page.locator("[data-case]").first.click()
    case = page.get_by_role("region", name="Case", exact=True)
    expect(case.get_by_role("button", name="Attack", exact=True)).to_be_disabled()
    name = page.locator("[data-case]").first.get_attribute("data-case")
    assert seat.api("POST", "/verdicts", {"cases": [name], "answer": "honest"})[0] == 403
    seat.said.clear()  # the console names the answer 403


def test_nothing_shifts_when_news_arrive(sit: Sit, stage: Stage) -> None:
    """Layout shifts, as the browser counts them, while the log goes on and somebody is named."""
    seats = [sit("viewer", "vera"), sit("viewer", "vera"), sit("viewer", "vera")]
    pages = [seat.go(path) for seat, path in zip(seats, ("/", "/alerts", "/health"), strict=True)]
    for seat in seats:
        seat.settled()
        seat.page.evaluate("""() => {
            window.shifted = [];
            new PerformanceObserver((list) => {
                for (const {sources} of list.getEntries())
                    for (const {node} of sources) window.shifted.push((node?.outerHTML ?? node?.data).slice(0, 99));
            }).observe({type: 'layout-shift'});
        }""")
    tally = pages[0].locator(".place .tally")
    before = tally.inner_text()
    stage.log(people.noise("news", seed=72, n=40, at=stage.later()))
    expect(tally).not_to_have_text(before, timeout=20_000)
    expect(pages[1].get_by_text("There is news")).to_be_visible()
    assert [page.evaluate("window.shifted") for page in pages] == [[], [], []]
