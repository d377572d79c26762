"""The thresholds page against a real server: what it says before a change is what a detector then does."""

from __future__ import annotations

import re

import msgspec
import pytest
from playwright.sync_api import Page, expect

from detector.alert import Alert
from detector.logs import DECODERS
from detector.policy import Policy, Threshold
from detector.profile import artefact
from detector.run.replay import read_logs, replay
from tests import people
from tests.dashboard.browser.conftest import Sit
from tests.dashboard.browser.stage import SCREENS, Seat, Stage

pytestmark = pytest.mark.server


def re_run(stage: Stage, policy: Policy) -> list[Alert]:
    """What a detector says that reads the same log anew under `policy`, whether it was held in a storm or not."""
    logs = read_logs([str(stage.folder / "log.jsonl")])
    done = replay(artefact.load(stage.profile), policy, logs, DECODERS["native"])
    said = [one for one in (*done.alerts, *done.held) if one.kind != "population"]
    return [one for one in said if one.action in ("open", "escalate")]


def in_force(seat: Seat) -> dict[str, list[dict[str, object]]]:
    _, policies = seat.api("GET", "/policy")
    return next(policy["thresholds"] for policy in policies if policy["in_force"])


def number(page: Page, figure: str) -> int:
    return int(page.locator(f"[data-figure={figure}]").inner_text().replace(",", ""))


def settled(page: Page) -> None:
    expect(page.locator(".consequences")).to_have_attribute("aria-busy", "false")


def typed(page: Page, severity: str, score: str) -> None:
    field = page.get_by_label(f"Score from which {severity} is alerted")
    field.fill(score)
    field.press("Enter")


def draft(page: Page, title: str, why: str = "a test") -> int:
    """Saves what is on the page as a draft; its number."""
    form = page.get_by_role("form", name="Draft")
    form.get_by_label("Title").fill(title)
    form.get_by_label("Why").fill(why)
    form.get_by_role("button", name="Save as a draft").click()
    entry = page.locator("[data-draft]", has_text=title)
    entry.wait_for()
    return int(entry.get_attribute("data-draft") or 0)


def step(page: Page, number: int, verb: str) -> None:
    page.locator(f"[data-draft='{number}']").get_by_role("button", name=verb, exact=True).click()
    dialog = page.get_by_role("dialog")
    dialog.get_by_label("Why").fill("looked at it")
    dialog.get_by_role("button", name=verb, exact=True).click()
    dialog.wait_for(state="detached")


def test_what_a_dragged_threshold_would_do_is_what_a_re_run_does(sit: Sit, stage: Stage) -> None:
    seat = sit("viewer")
    page = seat.go("/thresholds")
    handle = page.get_by_role("slider", name="Threshold of medium")
    settled(page)
    before, was = number(page, "would"), float(handle.get_attribute("aria-valuenow") or 0)
    box = handle.bounding_box()
    assert box is not None
    x, y = box["x"] + box["width"] / 2, box["y"] + box["height"] / 2
    page.mouse.move(x, y)
    page.mouse.down()
    page.mouse.move(x - 70, y, steps=25)
    page.mouse.up()
    score = float(handle.get_attribute("aria-valuenow") or 0)
    assert score < was
    settled(page)
    page.screenshot(path=SCREENS / "dragged.png")
    thresholds = {
        level: tuple(msgspec.convert(listed, tuple[Threshold, ...])) for level, listed in in_force(seat).items()
    }
    lower = tuple(
        msgspec.structs.replace(one, score=score) if one.severity == "medium" else one for one in thresholds["client"]
    )
    wanted = re_run(stage, Policy("tried", {**thresholds, "client": lower}))
    assert number(page, "would") == len(wanted) > before
    shown = page.locator("details.flips[data-side=in] summary .tally").inner_text()
    known = {alert.entity.id for alert in re_run(stage, Policy("now", thresholds))}
    assert int(shown) == len({alert.entity.id for alert in wanted} - known) > 0


def test_keys_move_a_threshold_by_the_steps_of_the_tape(sit: Sit) -> None:
    page = sit("viewer").go("/thresholds")
    handle = page.get_by_role("slider", name="Threshold of medium")
    before = float(handle.get_attribute("aria-valuenow") or 0)
    handle.focus()
    for key in ("ArrowLeft", "ArrowLeft", "ArrowRight", "ArrowDown"):
        handle.press(key)
    assert float(handle.get_attribute("aria-valuenow") or 0) == before - 2 / 32
    settled(page)


def test_a_threshold_may_be_typed_as_a_promise(sit: Sit) -> None:
    seat = sit("viewer")
    page = seat.go("/thresholds")
    field = page.get_by_label("Share of honest entities that may pass medium")
    field.fill("1 in 10")
    field.press("Enter")
    _, promised = seat.api("POST", "/promise", {"level": "client", "share": 0.1})
    handle = page.get_by_role("slider", name="Threshold of medium")
    expect(handle).to_have_attribute("aria-valuenow", re.compile(f"^{promised['score']:.4f}".rstrip("0")))
    field.fill("half of them")
    field.press("Enter")
    expect(page.get_by_text("Say it as")).to_be_visible()


def test_what_is_applied_holds_for_the_running_detector_until_it_is_rolled_back(sit: Sit, stage: Stage) -> None:
    engineer, admin = sit("engineer", "eva"), sit("admin", "ada")
    page = engineer.go("/thresholds")
    settled(page)
    for severity in ("critical", "high", "medium"):
        typed(page, severity, "200")
    number = draft(page, "Nobody is named")
    typed(page, "medium", "1")
    overtaken = page.locator(f"[data-draft='{draft(page, 'Overtaken')}']")
    theirs = admin.go("/thresholds")
    first = theirs.locator("section[aria-labelledby=journal] tbody tr .mono").first.inner_text()
    step(theirs, number, "Approve")
    step(theirs, number, "Apply")
    expect(theirs.locator(f"[data-draft='{number}'] .state")).to_have_text("applied")
    expect(page.locator(f"[data-draft='{number}'] .state")).to_have_text("applied")  # without a reload
    expect(overtaken).to_contain_text("Another policy came into force since it was drafted")
    overtaken.get_by_role("button", name="Draft anew over what is in force").click()
    expect(page.get_by_role("form", name="Draft").get_by_label("Title")).to_have_value("Overtaken")
    expect(page.get_by_label("Score from which medium is alerted")).to_have_value("1.00")
    stage.log(people.noise("while-applied", seed=70, n=40, at=stage.later()))
    back = theirs.locator("section[aria-labelledby=journal] tbody tr", has_text=first).last
    back.get_by_role("button", name="Roll back to it").click()
    dialog = theirs.get_by_role("dialog")
    dialog.get_by_label("Why").fill("it named nobody")
    dialog.get_by_role("button", name="Roll back").click()
    dialog.wait_for(state="detached")
    expect(theirs.locator("section[aria-labelledby=journal] tbody tr").first).to_contain_text(first)
    stage.log(people.noise("rolled-back", seed=71, n=40, at=stage.later()))
    stage.runner.until(lambda: "rolled-back" in {alert.entity.id for alert in stage.alerts()}, "an alert")
    assert "while-applied" not in {alert.entity.id for alert in stage.alerts()}
    theirs.goto(stage.address + "/audit")
    expect(theirs.locator(".audit")).to_contain_text("it named nobody")
    expect(theirs.get_by_text("The chain holds")).to_be_visible()


def test_a_viewer_who_tries_to_apply_is_refused_and_nothing_changes(sit: Sit) -> None:
    engineer, viewer = sit("engineer", "eva"), sit("viewer", "vera")
    page = engineer.go("/thresholds")
    typed(page, "medium", "1")
    number = draft(page, "A viewer wants this")
    _, before = viewer.go("/thresholds") and viewer.api("GET", "/policy")
    entry = viewer.page.locator(f"[data-draft='{number}']")
    expect(entry.get_by_role("button", name="Apply")).to_be_disabled()
    _, drafts = viewer.api("GET", "/drafts")
    mine = next(one for one in drafts["items"] if one["id"] == number)
    status, problem = viewer.api("POST", f"/drafts/{number}/apply", {"why": "I may not"}, **{"If-Match": mine["etag"]})
    assert status == 403
    assert problem["status"] == 403
    assert viewer.api("GET", "/policy")[1] == before
    assert viewer.api("GET", "/drafts")[1] == drafts
    viewer.said.clear()  # the console names the answer 403
    step(page, number, "Withdraw")


def test_of_two_who_edit_one_draft_the_second_sees_both_and_loses_nothing(sit: Sit) -> None:
    one, two = sit("engineer", "eva"), sit("engineer", "emil")
    page = one.go("/thresholds")
    typed(page, "medium", "1")
    number = draft(page, "Edited by two")
    other = two.go("/thresholds")
    for each in (page, other):
        each.locator(f"[data-draft='{number}']").get_by_role("button", name="Edit").click()
    typed(other, "medium", "0.875")
    form = other.get_by_role("form", name="Draft")
    form.get_by_label("Why").fill("what emil has found")
    typed(page, "medium", "1.125")
    page.get_by_role("form", name="Draft").get_by_role("button", name="Save the draft").click()
    conflict = other.locator(".conflict")
    expect(conflict).to_contain_text("Somebody else saved this draft")
    expect(conflict.locator("tbody tr", has_text="client, medium")).to_contain_text("0.88")
    expect(conflict.locator("tbody tr", has_text="client, medium")).to_contain_text("1.13")
    expect(form.get_by_label("Why")).to_have_value("what emil has found")
    conflict.get_by_role("button", name="Save mine over theirs").click()
    expect(other.locator(f"[data-draft='{number}']")).to_contain_text("what emil has found")
    _, drafts = two.api("GET", "/drafts")
    kept = next(one for one in drafts["items"] if one["id"] == number)
    assert kept["by"] == "emil"
    assert kept["change"]["thresholds"]["client"][0]["score"] == 0.875
    step(other, number, "Withdraw")


def test_frames_go_on_while_a_threshold_is_dragged(sit: Sit) -> None:
    """Spans between animation frames of the page itself, while the hand moves and previews arrive."""
    seat = sit("viewer")
    page = seat.go("/thresholds")
    settled(page)
    handle = page.get_by_role("slider", name="Threshold of medium")
    box = handle.bounding_box()
    assert box is not None
    x, y = box["x"] + box["width"] / 2, box["y"] + box["height"] / 2
    page.evaluate("""() => {
        window.spans = [];
        let last = performance.now();
        const each = (now) => {
            window.spans.push(now - last);
            last = now;
            window.going = requestAnimationFrame(each);
        };
        window.going = requestAnimationFrame(each);
    }""")
    page.mouse.move(x, y)
    page.mouse.down()
    for n in range(120):
        page.mouse.move(x - 80 + abs(60 - n) * 2, y)
    page.mouse.up()
    spans = sorted(page.evaluate("() => { cancelAnimationFrame(window.going); return window.spans.slice(2); }"))
    median, late = spans[len(spans) // 2], spans[len(spans) * 95 // 100]
    said = f"{len(spans)} frames while dragging: median {median:.1f} ms, 95th percentile {late:.1f} ms"
    (SCREENS / "frames.txt").write_text(said + "\n")
    assert median < 20, said
