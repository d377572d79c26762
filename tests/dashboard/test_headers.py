"""What every answer says to browsers, and the page behind every other address."""

from __future__ import annotations

from pathlib import Path

import pytest
from litestar.testing import TestClient

from detector.dashboard.api.app import make_app
from detector.dashboard.api.headers import CSP
from tests.dashboard.conftest import BASE, Make, Scene

OURS = ("127.0.0.1:9465", "localhost", "[::1]:9465", "LOCALHOST:1")
OTHERS = ("evil.example", "evil.example:9465", "127.0.0.1.evil.example", "")
WRONG = (
    ("GET", "/api/v1/nothing", 404),
    ("GET", "/api/v2/session", 404),
    ("PATCH", "/api/v1/session", 405),
    ("POST", "/api/v1/login", 400),
    ("GET", "/api/v1/session", 401),
)


def test_every_answer_has_the_headers(scene: Scene) -> None:
    for path in ("/", "/api/v1/ways", "/api/v1/session", "/api/v1/nothing", "/openapi.json", "/link"):
        headers = scene.anybody.get(path).headers
        assert headers["Content-Security-Policy"] == CSP
        assert headers["X-Content-Type-Options"] == "nosniff"
        assert headers["X-Frame-Options"] == "DENY"
        assert headers["Referrer-Policy"] == "no-referrer"
        assert headers["Cache-Control"] == "no-store"
        assert "Strict-Transport-Security" not in headers


def test_the_policy_allows_nothing_inline_and_nobody_else() -> None:
    rules = dict(rule.strip().split(" ", 1) for rule in CSP.split(";"))
    assert rules["default-src"] == "'none'"
    assert not [word for word in ("unsafe", "http", "*", "nonce") if word in CSP]
    assert {rules[name] for name in ("script-src", "style-src", "connect-src", "form-action")} == {"'self'"}
    assert rules["frame-ancestors"] == rules["base-uri"] == "'none'"


def test_by_https_browsers_are_told_to_stay_there(make: Make) -> None:
    headers = make(public_url="https://watch.example").anybody.get("/api/v1/ways").headers
    assert headers["Strict-Transport-Security"].startswith("max-age=")


def test_we_answer_to_our_names_and_to_no_other_that_leads_to_us(scene: Scene) -> None:
    for host in OURS:
        assert scene.anybody.get("/api/v1/ways", headers={"Host": host}).status_code == 200
    for host in OTHERS:
        answer = scene.anybody.get("/api/v1/ways", headers={"Host": host})
        assert answer.status_code == 421
        assert answer.headers["Content-Type"] == "application/problem+json"


def test_errors_are_problems(scene: Scene) -> None:
    for method, path, status in WRONG:
        answer = scene.anybody.request(method, path)
        assert answer.status_code == status
        assert answer.headers["Content-Type"] == "application/problem+json"
        assert answer.json()["status"] == status


def test_a_field_that_is_not_right_is_named(scene: Scene) -> None:
    answer = scene.browser("viewer").look("/entities?limit=0")
    assert (answer.status_code, list(answer.json()["errors"])) == (400, ["limit"])


def test_a_mistake_of_ours_shows_nothing_of_itself(scene: Scene, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken() -> None:
        raise RuntimeError("a secret")

    monkeypatch.setattr(scene.books, "overview", broken)
    answer = scene.browser("viewer").look("/overview")
    assert (answer.status_code, "secret" in answer.text) == (500, False)


# -- the page


@pytest.fixture
def built(tmp_path: Path, scene: Scene) -> TestClient:  # type: ignore[type-arg]
    static = tmp_path / "static"
    (static / "assets").mkdir(parents=True)
    (static / "index.html").write_text("<!doctype html><title>querywarden</title>")
    (static / "assets" / "index-1a2b.js").write_text("let a = 1")
    return TestClient(make_app(scene.house, static=static), base_url=BASE)


def test_every_other_address_is_the_page(built: TestClient) -> None:  # type: ignore[type-arg]
    for path in ("/", "/index.html", "/thresholds", "/clients/a%20b/c", "/../../etc/passwd", "/%2e%2e/etc/passwd"):
        answer = built.get(path)
        assert (answer.status_code, answer.text) == (200, "<!doctype html><title>querywarden</title>")
        assert answer.headers["Content-Type"] == "text/html; charset=utf-8"
        assert answer.headers["Cache-Control"] == "no-cache"


def test_its_files_are_kept_for_ever(built: TestClient) -> None:  # type: ignore[type-arg]
    answer = built.get("/assets/index-1a2b.js")
    assert answer.text == "let a = 1"
    assert "javascript" in answer.headers["Content-Type"]
    assert "immutable" in answer.headers["Cache-Control"]
    assert built.get("/assets/index-0000.js").status_code == 404


def test_a_page_that_was_not_built_says_how(scene: Scene) -> None:
    answer = scene.anybody.get("/thresholds")
    assert answer.status_code == 503
    assert "make page" in answer.text
