"""Logging in and what keeps others out: cookies, CSRF, lockout, pace, the one-time link, expiry, tokens."""

from __future__ import annotations

import pytest
from argon2 import PasswordHasher

from detector.dashboard.access.entrance import FAILURES, LOCKED_S
from detector.dashboard.access.pace import OF_ONE, WINDOW_S
from detector.dashboard.keeping import entering
from detector.dashboard_settings import OidcSettings
from tests.dashboard.conftest import BASE, OIDC, PASSWORD, Browser, Make, Scene

RIGHT = {"name": "glass", "password": PASSWORD}
STRANGE = ("https://evil.example", "null", "http://127.0.0.1:9466", "http://127.0.0.1:9465.evil.example")
ELSEWHERE = ("cross-site", "same-site")
WRONG = {"name": "glass", "password": "wrong"}


def login(browser: Browser, body: dict[str, str] = RIGHT) -> int:
    return int(browser.post("/api/v1/login", json=body).status_code)


def test_the_account_logs_in_as_admin_and_out_again(scene: Scene) -> None:
    answer = scene.anybody.post("/api/v1/login", json=RIGHT)
    assert (answer.status_code, answer.json()["user"], answer.json()["role"]) == (200, "glass", "admin")
    assert scene.anybody.look("/session").json() == answer.json()
    assert scene.anybody.change("POST", "/logout").status_code == 204
    assert scene.anybody.look("/session").status_code == 401


def test_ways_say_what_there_is(make: Make) -> None:
    assert make().anybody.look("/ways").json() == {"local": True, "oidc": "single sign-on"}
    assert make(local=None, oidc=None).anybody.look("/ways").json() == {"local": False, "oidc": None}


def test_a_logout_ends_the_session_for_whoever_kept_the_cookie(scene: Scene) -> None:
    login(scene.anybody)
    stolen = scene.anybody.cookies["querywarden"]
    scene.anybody.change("POST", "/logout")
    thief = scene.new()
    thief.cookies.set("querywarden", stolen)
    assert thief.look("/session").status_code == 401


def test_on_this_machine_the_cookie_is_http_only_and_strict(scene: Scene) -> None:
    cookie = scene.anybody.post("/api/v1/login", json=RIGHT).headers["set-cookie"]
    assert cookie.startswith("querywarden=")
    assert "HttpOnly" in cookie
    assert "samesite=strict" in cookie.lower()
    assert "Secure" not in cookie


def test_by_https_the_cookie_is_secure_and_of_this_host_alone(make: Make) -> None:
    scene = make(public_url="https://watch.example")
    cookie = scene.anybody.post("/api/v1/login", json=RIGHT).headers["set-cookie"]
    assert cookie.startswith("__Host-querywarden=")
    assert "Secure" in cookie
    assert "Domain" not in cookie
    assert "Path=/;" in cookie


def test_a_session_ends(make: Make) -> None:
    scene = make(session_h=2.0)
    login(scene.anybody)
    scene.clock.at += 2 * 3_600 - 1
    assert scene.anybody.look("/session").status_code == 200
    scene.clock.at += 1
    assert scene.anybody.look("/session").status_code == 401


def test_sessions_end_with_the_password_and_with_the_provider(make: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    scene = make()
    login(scene.anybody)
    viewer = scene.browser("viewer")
    monkeypatch.setenv("TEST_HASH", PasswordHasher(time_cost=1, memory_cost=8, parallelism=1).hash("another password"))
    make(oidc=OidcSettings(issuer="http://127.0.0.1:2", client_id="other", roles={"soc": "viewer"}))
    assert scene.anybody.look("/session").status_code == 401
    assert viewer.look("/session").status_code == 401


def test_a_restart_keeps_sessions(make: Make) -> None:
    scene = make()
    login(scene.anybody)
    again = make().new()
    again.cookies.set("querywarden", scene.anybody.cookies["querywarden"])
    assert again.look("/session").status_code == 200


# -- other people's pages


def test_a_change_needs_the_csrf_token(scene: Scene) -> None:
    engineer = scene.browser("engineer")
    for csrf in (None, "", "0" * 64, "ü"):
        headers = {} if csrf is None else {"X-CSRF-Token": csrf.encode()}
        assert engineer.post("/api/v1/drafts", json={}, headers=headers).status_code == 403
    assert scene.audited() == ["login"]


def test_the_csrf_token_of_another_session_is_none(scene: Scene) -> None:
    other = scene.browser("engineer", "other").look("/session").json()["csrf"]
    answer = scene.browser("engineer").post("/api/v1/logout", headers={"X-CSRF-Token": other})
    assert answer.status_code == 403


def test_a_page_of_another_site_changes_nothing_and_logs_nobody_in(scene: Scene) -> None:
    engineer = scene.browser("engineer")
    for name, value in [*(("Origin", one) for one in STRANGE), *(("Sec-Fetch-Site", one) for one in ELSEWHERE)]:
        assert engineer.change("POST", "/logout", headers={name: value}).status_code == 403
        assert scene.anybody.post("/api/v1/login", json=RIGHT, headers={name: value}).status_code == 403


def test_our_own_page_may(scene: Scene) -> None:
    own = {"Origin": BASE, "Sec-Fetch-Site": "same-origin"}
    assert scene.anybody.post("/api/v1/login", json=RIGHT, headers=own).status_code == 200


# -- guessing


def test_failures_in_a_row_lock_the_account_even_for_the_right_password(scene: Scene) -> None:
    for _ in range(FAILURES):
        assert login(scene.anybody, WRONG) == 401
    locked = scene.anybody.post("/api/v1/login", json=RIGHT)
    assert locked.status_code == 429
    assert int(locked.headers["Retry-After"]) == LOCKED_S + 1
    scene.clock.at += LOCKED_S
    assert login(scene.anybody) == 200
    assert scene.audited() == ["login.failed"] * FAILURES + ["login.locked", "login"]


def test_a_lockout_outlives_a_restart(make: Make) -> None:
    scene = make()
    for _ in range(FAILURES):
        login(scene.anybody, WRONG)
    assert login(make().anybody) == 429


def test_a_success_forgives_earlier_failures(scene: Scene) -> None:
    for _ in range(2):
        for _ in range(FAILURES - 1):
            login(scene.anybody, WRONG)
        assert login(scene.anybody) == 200
        scene.clock.at += WINDOW_S


def test_an_account_that_is_not_there_is_answered_alike(scene: Scene) -> None:
    nobody = {"name": "hunter2", "password": PASSWORD}
    answers = [scene.anybody.post("/api/v1/login", json=body) for body in (WRONG, nobody)]
    assert answers[0].json() == answers[1].json()


def test_what_an_unknown_person_typed_as_a_name_is_kept_nowhere(scene: Scene) -> None:
    login(scene.anybody, {"name": "my secret password", "password": "x"})
    assert b"my secret" not in b"".join(path.read_bytes() for path in scene.store.glob("dashboard.sqlite*"))


def test_one_address_may_try_so_often_a_minute(scene: Scene) -> None:
    names = [{"name": f"n{i}", "password": "x"} for i in range(OF_ONE)]
    assert {login(scene.anybody, body) for body in names} == {401}
    assert login(scene.anybody) == 429
    scene.clock.at += WINDOW_S
    assert login(scene.anybody) == 200


# -- the first start


def test_the_one_time_link_logs_in_once(make: Make) -> None:
    scene = make(local=None, oidc=None, link="s" * 43)
    first, second = scene.new(), scene.new()
    answer = first.get("/link", params={"token": "s" * 43}, follow_redirects=False)
    assert (answer.status_code, answer.headers["location"]) == (303, "/")
    assert first.look("/session").json()["role"] == "admin"
    assert second.get("/link", params={"token": "s" * 43}).status_code == 401
    assert second.look("/session").status_code == 401


def test_another_link_is_none(make: Make) -> None:
    browser = make(local=None, oidc=None, link="s" * 43).anybody
    for token in ("", "x", "s" * 42, "ü" * 43):
        assert browser.get("/link", params={"token": token}).status_code == 401


def test_a_used_link_is_not_opened_by_an_empty_one(make: Make) -> None:
    browser = make(local=None, oidc=None, link="s" * 43).anybody
    browser.get("/link", params={"token": "s" * 43}, follow_redirects=False)
    assert browser.get("/link", params={"token": ""}).status_code == 401


def test_without_a_first_start_there_is_no_link(scene: Scene) -> None:
    for token in ("", "None"):
        assert scene.anybody.get("/link", params={"token": token}).status_code == 401


def test_sessions_of_the_link_end_when_accounts_are_set(make: Make) -> None:
    scene = make(local=None, oidc=None, link="s" * 43)
    scene.anybody.get("/link", params={"token": "s" * 43}, follow_redirects=False)
    make(oidc=OIDC)
    assert scene.anybody.look("/session").status_code == 401


# -- tokens


def token_of(scene: Scene, role: str = "analyst", days: int = 1) -> dict[str, str]:
    admin = scene.browser("admin")
    made: dict[str, str] = admin.change("POST", "/tokens", json={"name": "ci", "role": role, "days": days}).json()
    return made


def test_a_token_is_let_in_without_csrf_and_shown_once(scene: Scene) -> None:
    made = token_of(scene)
    machine = scene.new(token=made["secret"])
    body = {"cases": ["case-1"], "answer": "honest"}
    assert machine.post("/api/v1/verdicts", json=body).status_code == 200
    assert scene.books.said[0][1] == "admin (token ci) [oidc:admin]"
    listed = scene.browser("admin").look("/tokens").json()["items"]
    assert [(one["id"], one["secret"], one["used_at"]) for one in listed] == [(made["id"], None, scene.clock.at)]


def test_a_revoked_token_opens_nothing(scene: Scene) -> None:
    made = token_of(scene)
    machine = scene.new(token=made["secret"])
    assert machine.look("/session").status_code == 200
    assert scene.browser("admin").change("DELETE", f"/tokens/{made['id']}").status_code == 204
    assert machine.look("/session").status_code == 401
    assert scene.browser("admin").change("DELETE", f"/tokens/{made['id']}").status_code == 404


def test_a_token_expires(scene: Scene) -> None:
    machine = scene.new(token=token_of(scene, days=1)["secret"])
    scene.clock.at += 86_400
    assert machine.look("/session").status_code == 401


def test_no_secret_is_kept(scene: Scene) -> None:
    made = token_of(scene)
    login(scene.anybody)
    kept = b"".join(path.read_bytes() for path in scene.store.glob("dashboard.sqlite*"))
    for secret in (made["secret"].split("_")[2], scene.anybody.cookies["querywarden"], PASSWORD):
        assert secret.encode() not in kept


def test_what_is_no_token_is_nobody(scene: Scene) -> None:
    for header in ("Bearer", "Bearer ", "Bearer qw_", "Bearer qw_0123456789abcdef_x", "Basic eDp5", "ü"):
        assert scene.anybody.get("/api/v1/session", headers={"Authorization": header.encode()}).status_code == 401


def test_a_wrong_token_is_not_made_good_by_a_session(scene: Scene) -> None:
    viewer = scene.browser("viewer")
    assert viewer.get("/api/v1/session", headers={"Authorization": "Bearer qw_a_b"}).status_code == 401


def test_an_ended_session_leaves_no_row(scene: Scene) -> None:
    login(scene.anybody)
    scene.clock.at += 10**6
    scene.house.entrance.end_others()
    with scene.engine.begin() as db:
        assert db.execute(entering.SESSIONS.select()).all() == []
