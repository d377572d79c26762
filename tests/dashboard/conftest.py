"""A dashboard on books in memory, with a clock that tests move, and a browser for each role."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import msgspec
import pytest
from argon2 import PasswordHasher
from litestar.testing import TestClient
from sqlalchemy import Engine

from detector.dashboard.access import passwords
from detector.dashboard.api.app import make_app
from detector.dashboard.api.house import House
from detector.dashboard.keeping.opening import file_url, opened
from detector.dashboard.serving import furnished
from detector.dashboard_settings import DashboardSettings, LocalSettings, OidcSettings, Role
from detector.secret import Secret
from tests.dashboard.memory import MemoryBooks
from tests.servers.fetched import ServerUnavailable
from tests.servers.postgres import Databases, postgres

PORT = 9465
BASE = f"http://127.0.0.1:{PORT}"
PASSWORD = "correct horse battery staple"
OIDC = OidcSettings(issuer="http://127.0.0.1:1", client_id="querywarden", roles={"soc": "viewer"})


class Clock:
    """Wall and monotonic clock in one."""

    def __init__(self) -> None:
        self.at = 1_800_000_000.0

    def __call__(self) -> float:
        return self.at


class Browser(TestClient[Any]):
    """Keeps cookies, and sends the CSRF token of its session where it has one."""

    def change(self, method: str, path: str, **kwargs: Any) -> Any:
        session = self.get("/api/v1/session")
        csrf = {"X-CSRF-Token": session.json()["csrf"]} if session.status_code == 200 else {}
        return self.request(method, f"/api/v1{path}", headers={**csrf, **kwargs.pop("headers", {})}, **kwargs)

    def look(self, path: str) -> Any:
        return self.get(f"/api/v1{path}")


class Scene:
    """Everything about one dashboard. browser(role): somebody of that role, by the provider."""

    def __init__(
        self,
        settings: DashboardSettings,
        engine: Engine,
        store: Path,
        stack: ExitStack,
        link: str | None,
        *,
        real: bool = False,
    ) -> None:
        self.store = store
        self.clock = Clock()
        if real:  # a server's times are those of now
            self.clock.at = time.time()
        self.books = MemoryBooks()
        self.engine = engine
        self.house: House = furnished(
            settings, self.books, engine, store, PORT, link=link, now=self.clock, monotonic=self.clock
        )
        self.app = make_app(self.house, static=Path("/nowhere"))
        self._stack = stack
        self.anybody = self.new()

    def new(self, token: str | None = None) -> Browser:
        base = self.house.settings.public_url or BASE
        found = self._stack.enter_context(Browser(self.app, base_url=base, raise_server_exceptions=False))
        if token is not None:
            found.headers["Authorization"] = f"Bearer {token}"
        return found

    def browser(self, role: Role, name: str | None = None) -> Browser:
        found = self.new()
        person = self.house.entrance.by_provider(name or role, name or role, role, "192.0.2.1")
        found.cookies.set("__Host-querywarden" if self.house.secure else "querywarden", person.secret)
        return found

    def audited(self) -> list[str]:
        """What was written down, the oldest first."""
        from detector.dashboard.keeping import audit

        with self.engine.begin() as db:
            return [entry.what for entry in audit.after(db, 0, 1_000)]


Make = Callable[..., Scene]


@pytest.fixture(scope="session")
def databases() -> Iterator[Databases]:
    """Of a real PostgreSQL."""
    try:
        with postgres() as url:
            yield Databases(url)
    except ServerUnavailable as error:
        pytest.fail(str(error), pytrace=False)


@pytest.fixture(scope="session")
def cheap_hash() -> str:
    """A hash of PASSWORD that costs little: what argon2 costs is not tested here."""
    return PasswordHasher(time_cost=1, memory_cost=8, parallelism=1).hash(PASSWORD)


@pytest.fixture
def make(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, cheap_hash: str) -> Iterator[Make]:
    monkeypatch.setenv("TEST_HASH", cheap_hash)
    monkeypatch.setattr(passwords, "_NOBODY", cheap_hash)
    local = LocalSettings(name="glass", password_hash=Secret(env="TEST_HASH"))
    usual = DashboardSettings(local=local, oidc=OIDC)
    with ExitStack() as stack:

        def made(*, link: str | None = None, url: str | None = None, real: bool = False, **changed: Any) -> Scene:
            engine = opened(url or file_url(tmp_path))
            stack.callback(engine.dispose)
            return Scene(msgspec.structs.replace(usual, **changed), engine, tmp_path, stack, link, real=real)

        yield made


@pytest.fixture
def scene(make: Make) -> Scene:
    return make()
