"""The life of a draft over the API: two editors, a second person, the detector's answer, and the way back."""

from __future__ import annotations

from typing import Any

import pytest

from detector.dashboard.drafting import ANSWER_S, NEVER_ASKED_S
from detector.dashboard.shapes import Change
from detector.errors import StoreError
from tests.dashboard.conftest import Browser, Make, Scene

WHY = {"why": "since"}
CALM = {"cool_down_s": 3_600.0}


def draft(scene: Scene, browser: Browser, change: dict[str, Any] = CALM) -> dict[str, Any]:
    base = scene.books.journal[-1].version
    answer = browser.change("POST", "/drafts", json={"title": "calmer", "why": "noise", "base": base, "change": change})
    assert answer.status_code == 201, answer.text
    made: dict[str, Any] = answer.json()
    return made


def step(browser: Browser, made: dict[str, Any], what: str, etag: str | None = None) -> Any:
    headers = {"If-Match": f'"{etag or made["etag"]}"'}
    return browser.change("POST", f"/drafts/{made['id']}/{what}", json=WHY, headers=headers)


def edit(browser: Browser, made: dict[str, Any], headers: dict[str, str], **changed: Any) -> Any:
    body = {name: made[name] for name in ("title", "why", "base", "change")} | changed
    return browser.change("PUT", f"/drafts/{made['id']}", json=body, headers=headers)


def impatient(scene: Scene) -> None:
    """Lets the clock pass while a draft waits for a detector that is silent."""
    scene.books.silent = True
    scene.house.drafting._wait = lambda seconds: setattr(scene.clock, "at", scene.clock.at + ANSWER_S)


def test_of_two_editors_the_second_sees_the_conflict_and_nothing_is_lost(scene: Scene) -> None:
    one, two = scene.browser("engineer", "one"), scene.browser("engineer", "two")
    made = draft(scene, one)
    match = {"If-Match": f'"{made["etag"]}"'}
    assert edit(one, made, match, title="of one").status_code == 200
    assert edit(two, made, match, title="of two").status_code == 412
    kept = two.look("/drafts").json()["items"][0]
    assert (kept["title"], kept["etag"] == made["etag"]) == ("of one", False)
    assert edit(two, made, {"If-Match": kept["etag"]}, title="of two").status_code == 200


def test_without_if_match_nothing_is_changed(scene: Scene) -> None:
    engineer = scene.browser("engineer")
    made = draft(scene, engineer)
    assert edit(engineer, made, {}).status_code == 428
    answer = engineer.change("POST", f"/drafts/{made['id']}/withdraw", json=WHY)
    assert answer.status_code == 428


def test_the_etag_is_a_header_too(scene: Scene) -> None:
    engineer = scene.browser("engineer")
    made = draft(scene, engineer)
    answer = edit(engineer, made, {"If-Match": made["etag"]})
    assert answer.headers["ETag"] == f'"{answer.json()["etag"]}"'


def test_an_admin_applies_and_the_detector_takes_it(scene: Scene) -> None:
    admin = scene.browser("admin")
    applied = step(admin, draft(scene, admin), "apply")
    assert applied.status_code == 202
    told = applied.json()
    assert (told["state"], told["version"], told["since"], told["applied_by"]) == ("applied", "p-1", 1, "admin")
    assert scene.books.asked == [Change(cool_down_s=3_600.0)]
    assert scene.audited()[-3:] == ["draft.made", "policy.asked", "policy.applied"]


def test_the_audit_says_who_why_before_and_after(scene: Scene) -> None:
    admin = scene.browser("admin")
    step(admin, draft(scene, admin), "apply")
    asked = next(one for one in admin.look("/audit").json()["items"] if one["what"] == "policy.asked")
    assert [asked[name] for name in ("who", "role", "subject", "why")] == [
        "admin [oidc:admin]",
        "admin",
        "draft 1",
        "since",
    ]
    assert '"version":"p-0"' in asked["before"]
    assert asked["after"] == '{"cool_down_s":3600.0}'


def test_a_refusal_is_final_and_said(scene: Scene) -> None:
    scene.books.answers = [("refused", "the profile judges no level x")]
    admin = scene.browser("admin")
    refused = step(admin, draft(scene, admin), "apply").json()
    assert (refused["state"], refused["outcome"]) == ("refused", "the profile judges no level x")
    assert step(admin, refused, "apply").status_code == 409
    assert scene.audited()[-1] == "policy.refused"


def test_a_draft_over_a_policy_that_is_no_longer_in_force_is_not_applied(scene: Scene) -> None:
    admin = scene.browser("admin")
    old, new = draft(scene, admin), draft(scene, admin, {"cool_down_s": 60.0})
    assert step(admin, new, "apply").status_code == 202
    conflict = step(admin, old, "apply")
    assert conflict.status_code == 409
    assert "p-0" in conflict.json()["detail"]
    assert len(scene.books.asked) == 1


def test_a_draft_that_changes_nothing_is_not_applied(scene: Scene) -> None:
    admin = scene.browser("admin")
    assert step(admin, draft(scene, admin, {"cool_down_s": 86_400.0}), "apply").status_code == 409


def test_a_detector_that_is_silent_is_awaited_and_settled_later(scene: Scene) -> None:
    impatient(scene)
    admin = scene.browser("admin")
    waiting = step(admin, draft(scene, admin), "apply").json()
    assert (waiting["state"], waiting["outcome"]) == ("draft", "waiting for the detector")
    for what in ("apply", "withdraw", "approve"):
        assert step(admin, waiting, what).status_code == 409
    assert step(admin, draft(scene, admin, {"cool_down_s": 1.0}), "apply").status_code == 409
    scene.books.silent = False
    scene.house.drafting.settle()
    assert admin.look("/drafts").json()["items"][1]["state"] == "applied"
    assert scene.audited().count("policy.applied") == 1


def test_a_detector_that_cannot_be_asked_leaves_the_draft_as_it_was(scene: Scene) -> None:
    scene.books.broken = StoreError("there is no store")
    admin = scene.browser("admin")
    made = draft(scene, admin)
    assert step(admin, made, "apply").status_code == 503
    kept = admin.look("/drafts").json()["items"][0]
    assert (kept["state"], kept["outcome"]) == ("draft", "the detector could not be asked: there is no store")
    scene.books.broken = None
    assert step(admin, kept, "apply").json()["state"] == "applied"


def test_a_claim_of_a_dashboard_that_ended_is_released(scene: Scene, monkeypatch: pytest.MonkeyPatch) -> None:
    admin = scene.browser("admin")
    monkeypatch.setattr(scene.house.drafting, "_ask", lambda kept: None)  # killed between the claim and the request
    scene.house.drafting._wait = lambda seconds: setattr(scene.clock, "at", scene.clock.at + ANSWER_S)
    step(admin, draft(scene, admin), "apply")
    monkeypatch.undo()
    scene.clock.at += NEVER_ASKED_S
    scene.house.drafting.settle()
    kept = admin.look("/drafts").json()["items"][0]
    assert (kept["state"], scene.books.asked) == ("draft", [])
    assert step(admin, kept, "apply").json()["state"] == "applied"


# -- a second person


def test_with_review_nothing_is_applied_without_a_second_person(make: Make) -> None:
    scene = make(review=True)
    admin = scene.browser("admin", "anna")
    made = draft(scene, admin)
    assert made["needs_review"]
    assert step(admin, made, "apply").status_code == 409
    assert step(admin, made, "approve").status_code == 403
    approved = step(scene.browser("engineer", "bob"), made, "approve").json()
    assert (approved["state"], approved["approved_by"]) == ("approved", "bob")
    assert step(admin, approved, "apply").json()["state"] == "applied"


def test_an_edit_voids_the_approval_and_makes_its_editor_the_author(make: Make) -> None:
    scene = make(review=True)
    anna, bob = scene.browser("admin", "anna"), scene.browser("admin", "bob")
    made = draft(scene, anna)
    approved = step(bob, made, "approve").json()
    edited = edit(bob, approved, {"If-Match": approved["etag"]}, title="of bob").json()
    assert (edited["state"], edited["approved_by"], edited["by"]) == ("draft", None, "bob")
    assert step(bob, edited, "approve").status_code == 403
    assert step(anna, edited, "approve").status_code == 200


def test_a_token_is_no_second_person_for_whom_it_was_made_by(make: Make) -> None:
    scene = make(review=True)
    anna = scene.browser("admin", "anna")
    secret = anna.change("POST", "/tokens", json={"name": "ci", "role": "admin"}).json()["secret"]
    assert step(scene.new(token=secret), draft(scene, anna), "approve").status_code == 403


def test_an_approval_is_of_what_was_read(make: Make) -> None:
    scene = make(review=True)
    anna, bob = scene.browser("engineer", "anna"), scene.browser("engineer", "bob")
    made = draft(scene, anna)
    edit(anna, made, {"If-Match": made["etag"]}, change={"cool_down_s": 0.0})
    assert step(bob, made, "approve").status_code == 412


def test_what_is_withdrawn_stays_so(scene: Scene) -> None:
    admin = scene.browser("admin")
    withdrawn = step(admin, draft(scene, admin), "withdraw").json()
    assert withdrawn["state"] == "withdrawn"
    assert step(admin, withdrawn, "apply").status_code == 409


# -- the way back, and the list


def test_a_rollback_is_a_draft_of_the_earlier_policy_applied(make: Make) -> None:
    scene = make(review=True)
    admin = scene.browser("admin")
    before = scene.books.journal[0]
    step(scene.browser("admin", "bob"), draft(scene, admin), "approve")
    step(admin, {"id": 1}, "apply", "*")
    back = admin.change("POST", "/policy/p-0/rollback", json=WHY).json()
    assert (back["state"], back["title"], back["version"]) == ("applied", "Back to policy p-0", "p-2")
    now = scene.books.journal[-1]
    assert (now.thresholds, now.cool_down_s) == (before.thresholds, before.cool_down_s)
    assert admin.change("POST", "/policy/p-9/rollback", json=WHY).status_code == 404
    assert admin.change("POST", "/policy/p-2/rollback", json=WHY).status_code == 409


ALLOWED = {"kind": "client", "id": "client-9", "until": 10**15, "reason": "nightly"}


def test_an_entity_is_allowed_and_no_longer(scene: Scene) -> None:
    admin = scene.browser("admin")
    assert admin.change("POST", "/allowed", json=ALLOWED).json()["state"] == "applied"
    assert admin.look("/allowed").json() == {"items": [ALLOWED], "total": 1, "next": None}
    longer = {**ALLOWED, "until": 2 * 10**15}
    admin.change("POST", "/allowed", json=longer)
    assert admin.look("/allowed").json()["items"] == [longer]
    gone = {"kind": "client", "id": "client-9"}
    assert admin.change("DELETE", "/allowed", params=gone).json()["state"] == "applied"
    assert admin.look("/allowed").json()["total"] == 0
    assert admin.change("DELETE", "/allowed", params=gone).status_code == 404


def test_with_review_an_allowance_waits_for_a_second_person(make: Make) -> None:
    scene = make(review=True)
    waiting = scene.browser("admin").change("POST", "/allowed", json=ALLOWED)
    assert (waiting.status_code, waiting.json()["state"]) == (202, "draft")
    assert scene.books.asked == []


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({}, "change"),
        ({"thresholds": {"clint": []}}, "change.thresholds.clint"),
        ({"thresholds": {"client": [{"severity": "high", "score": 1}, {"severity": "medium", "score": 2}]}},
         "change.thresholds.client"),
        ({"thresholds": {"client": [{"severity": "high", "score": 2}, {"severity": "critical", "score": 1}]}},
         "change.thresholds.client"),
        ({"thresholds": {"client": [{"severity": "high", "score": 1}, {"severity": "high", "score": 2}]}},
         "change.thresholds.client"),
    ],
)  # fmt: skip
def test_a_change_that_does_not_fit_names_the_field(scene: Scene, change: dict[str, Any], field: str) -> None:
    body = {"title": "a", "why": "b", "base": "p-0", "change": change}
    answer = scene.browser("engineer").change("POST", "/drafts", json=body)
    assert (answer.status_code, list(answer.json()["errors"])) == (422, [field])


def test_a_draft_over_a_policy_that_nobody_knows_is_none(scene: Scene) -> None:
    body = {"title": "a", "why": "b", "base": "p-9", "change": CALM}
    answer = scene.browser("engineer").change("POST", "/drafts", json=body)
    assert (answer.status_code, list(answer.json()["errors"])) == (422, ["base"])


def test_verdicts_are_written_down_with_what_was_refused(scene: Scene) -> None:
    body = {"cases": ["case-1", "case-2"], "answer": "attack", "note": "a copier"}
    said = scene.browser("analyst").change("POST", "/verdicts", json=body).json()
    assert said == {"kept": ["case-1"], "refused": {"case-2": "no such case is kept"}}
    assert scene.audited()[-2:] == ["verdict", "verdict.refused"]
    assert scene.books.said[0][1] == "analyst [oidc:analyst]"


def test_lists_go_on_where_they_ended(scene: Scene) -> None:
    engineer = scene.browser("engineer")
    for _ in range(5):
        draft(scene, engineer)
    for path, key in (("/drafts", "id"), ("/audit", "seq")):
        seen, cursor = [], None
        while True:
            page = engineer.look(f"{path}?limit=2" + (f"&cursor={cursor}" if cursor else "")).json()
            seen += [one[key] for one in page["items"]]
            cursor = page["next"]
            if cursor is None:
                break
        assert seen == list(range(page["total"], 0, -1))
