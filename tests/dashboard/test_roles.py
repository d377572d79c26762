"""Every route has a least role, and whoever has less is refused and changes nothing: over the OpenAPI document."""

from __future__ import annotations

from typing import Any

import pytest
from sqlalchemy import select

from detector.dashboard.keeping.tables import METADATA
from detector.dashboard.shapes import NewToken
from detector.dashboard_settings import ROLES
from tests.dashboard.conftest import Make, Scene
from tests.dashboard.memory import FIRST

CHANGE = {"cool_down_s": 3_600.0}
DRAFT = {"title": "calmer", "why": "noise", "base": "p-0", "change": CHANGE}
WHY = {"why": "since"}
# What makes an operation succeed: what stands in its path, its query, its body.
ASKED: dict[str, dict[str, Any]] = {
    "login": {"json": {"name": "glass", "password": "correct horse battery staple"}},
    "make_token": {"json": {"name": "ci", "role": "viewer"}},
    "histogram": {"params": {"level": "client"}},
    "preview": {"json": {"change": CHANGE}},
    "promise": {"json": {"level": "client", "share": 0.002}},
    "make_draft": {"json": DRAFT},
    "edit_draft": {"json": DRAFT, "headers": {"If-Match": "1-1"}},
    "approve_draft": {"json": WHY, "headers": {"If-Match": "1-1"}},
    "withdraw_draft": {"json": WHY, "headers": {"If-Match": "1-1"}},
    "apply_draft": {"json": WHY, "headers": {"If-Match": "1-1"}},
    "roll_back": {"json": WHY},
    "allow": {"json": {"kind": "client", "id": "client-9", "until": 10**15, "reason": "nightly"}},
    "forbid": {"params": {"kind": "client", "id": "client-3"}},
    "entity": {"params": {"level": "client", "id": "client-1"}},
    "timeline": {"params": {"level": "client", "id": "client-1"}},
    "queries": {"params": {"level": "client", "id": "client-1"}},
    "map": {"params": {"level": "client", "id": "client-1"}},
    "verdicts": {"json": {"cases": ["case-1"], "answer": "honest"}},
}
PATHS = {"number": "1", "version": "p-0", "case_id": "case-1"}


def operations(scene: Scene) -> list[tuple[str, str, str, str]]:
    """Method, path, id and least role of each operation but the endless one."""
    document = scene.anybody.get("/openapi.json").json()
    found = [
        (method.upper(), path, operation["operationId"], operation["x-role"])
        for path, item in document["paths"].items()
        for method, operation in item.items()
    ]
    return [one for one in found if one[2] != "events"]


def prepared(make: Make) -> tuple[Scene, str]:
    scene = make()
    return scene, prepare(scene)


def prepare(scene: Scene) -> str:
    """A draft 2, a client on the list and a token, and nothing else; the token's id."""
    with scene.engine.begin() as db:
        for name in ("drafts", "tokens"):
            db.execute(METADATA.tables[name].delete())
    scene.books.journal[:] = [FIRST]
    admin = scene.browser("admin", "maker")
    allowed = {"kind": "client", "id": "client-3", "until": 10**15, "reason": "tests"}
    assert admin.change("POST", "/allowed", json=allowed).json()["state"] == "applied"
    draft = {**DRAFT, "base": scene.books.journal[-1].version}
    assert admin.change("POST", "/drafts", json=draft).json()["id"] == 2
    return str(admin.change("POST", "/tokens", json={"name": "t", "role": "viewer"}).json()["id"])


def call(browser: Any, operation: tuple[str, str, str, str], token: str, scene: Scene) -> int:
    method, path, id_, _ = operation
    for name, value in {**PATHS, "number": "2", "token_id": token}.items():
        path = path.replace(f"{{{name}}}", value)
    asked = {key: dict(value) for key, value in ASKED.get(id_, {}).items()}
    if "If-Match" in asked.get("headers", {}):
        asked["headers"]["If-Match"] = "2-1"
    if id_ in ("make_draft", "edit_draft"):
        asked["json"]["base"] = scene.books.journal[-1].version
    return int(browser.change(method, path.removeprefix("/api/v1"), **asked).status_code)


def everything(scene: Scene) -> dict[str, Any]:
    with scene.engine.begin() as db:
        tables = {name: [tuple(row) for row in db.execute(select(table))] for name, table in METADATA.tables.items()}
    return {**tables, "asked": len(scene.books.asked), "said": len(scene.books.said)}


def test_nobody_is_answered_without_a_session(make: Make) -> None:
    scene, token = prepared(make)
    before = everything(scene)
    for operation in operations(scene):
        if operation[3] != "anybody":
            assert call(scene.anybody, operation, token, scene) == 401, operation
    assert everything(scene) == before


@pytest.mark.parametrize("role", ROLES[:-1])
def test_a_role_too_low_is_refused_and_changes_nothing(make: Make, role: str) -> None:
    scene, token = prepared(make)
    browser = scene.browser(role, "low")
    before = everything(scene)
    refused = [one for one in operations(scene) if one[3] in ROLES and ROLES.index(one[3]) > ROLES.index(role)]
    assert refused
    for operation in refused:
        assert call(browser, operation, token, scene) == 403, operation
    assert everything(scene) == before


@pytest.mark.parametrize("role", ROLES[:-1])
def test_so_is_a_token_of_a_role_too_low(make: Make, role: str) -> None:
    scene, token = prepared(make)
    maker = scene.house.entrance.of_session(scene.browser("admin").cookies["querywarden"])
    secret = scene.house.entrance.make_token(NewToken("low", role), maker).secret
    browser = scene.new(token=secret)
    browser.look("/session")  # so that its use is noted before we look
    before = everything(scene)
    for operation in operations(scene):
        if operation[3] in ROLES and ROLES.index(operation[3]) > ROLES.index(role):
            assert call(browser, operation, token, scene) == 403, operation
    assert everything(scene) == before


def test_the_least_role_is_enough(make: Make) -> None:
    """So that the refusals above are of requests that would have done something."""
    scene, token = prepared(make)
    for operation in operations(scene):
        if operation[0] != "GET":
            token = prepare(scene)
        if operation[2] != "logout":  # the browser of an admin would be logged out for what comes after
            browser = scene.anybody if operation[3] == "anybody" else scene.browser(operation[3], "enough")
            answered = call(browser, operation, token, scene)
            assert 200 <= answered < 300, operation
