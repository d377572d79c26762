"""A running detector, the dashboard beside it and browsers of several roles: all real, on loopback."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import time
import urllib.request
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.error import URLError

import msgspec
from playwright.sync_api import Browser, BrowserContext, ConsoleMessage, Page, expect

from detector.alert import Alert
from detector.dashboard.access.entrance import Entrance
from detector.dashboard.api.guarding import cookie_name
from detector.dashboard.keeping.opening import file_url, opened
from detector.dashboard_settings import DashboardSettings, OidcSettings, Role
from tests import people
from tests.run.child import Child, configured, total, until
from tests.run.scene import document

ARGS = (
    "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
    "--disable-background-networking", "--disable-component-update", "--disable-sync",
)  # fmt: skip
OIDC = OidcSettings(issuer="http://127.0.0.1:1", client_id="querywarden", label="the provider", roles={"soc": "viewer"})
PATIENCE_S = 240.0  # kernels may have to be compiled first
NAME, PASSWORD = "glass", "correct horse battery staple"
SCREENS = Path(__file__).parents[3] / "build" / "screens"  # what the tests leave to look at
WIDE, NARROW = (1280, 820), (390, 844)


class Stage:
    """One store: `querywarden run` that writes it and `querywarden dashboard` that reads it, as processes."""

    def __init__(self, folder: Path, profile: Path, password_hash: str, **dashboard: Any) -> None:
        self.folder, self.profile = folder, profile
        (folder / "log.jsonl").touch()
        oidc = msgspec.to_builtins(OIDC) | {"client_secret": None}
        shown = {
            "port": 0,
            "local": {"name": NAME, "password_hash": {"env": "TEST_HASH"}},
            "oidc": {name: value for name, value in oidc.items() if value is not None},
        }
        settings = document(
            folder,
            profile,
            source={"follow": True},
            store={"snapshot_s": 0.5},
            sinks=[{"type": "file", "path": str(folder / "alerts.jsonl")}],
            dashboard=shown | dashboard,
        )
        config = configured(folder / "querywarden.toml", settings)
        self._environ = {**os.environ, "TEST_HASH": password_hash}
        self.runner = Child(config, folder / "run.log")
        self.server: subprocess.Popen[bytes] | None = None
        self._lines, self._last = 0, 0
        self._config = config
        self.address = ""

    def open(self, log: Sequence[people.Asked]) -> None:
        """Starts both, on a log that begins with these queries."""
        self.log(log)
        with (self.folder / "dashboard.log").open("wb") as out:
            self.server = subprocess.Popen(
                [sys.executable, "-m", "detector.cli", "dashboard", "--config", str(self._config)],
                stdout=out,
                stderr=out,
                env=self._environ,
            )
        until(self._answers, lambda: f"the dashboard\n{(self.folder / 'dashboard.log').read_text()}")
        engine = opened(file_url(self.folder / "store"))
        self._entrance = Entrance(DashboardSettings(oidc=OIDC), engine, time.time)

    def _answers(self) -> bool:
        assert self.server is not None
        assert self.server.poll() is None, (self.folder / "dashboard.log").read_text()
        found = re.search(r"The dashboard is at (http://\S+)", (self.folder / "dashboard.log").read_text())
        self.address = found[1] if found else ""
        if not found:
            return False
        try:
            with urllib.request.urlopen(f"{self.address}/api/v1/ways", timeout=10):
                return True
        except URLError:  # it says where before it listens
            return False

    def log(self, asked: Sequence[people.Asked]) -> None:
        """Writes these queries to the log, and returns when the detector has decided about them and said so."""
        lines = people.log_of(people.in_order(asked))
        with (self.folder / "log.jsonl").open("ab") as file:
            file.writelines(line + b"\n" for line in lines)
        self._lines += len(lines)
        self._last = max(self._last, *(one.at for one in asked))
        self.runner.until(self._read, "the log read", PATIENCE_S)

    def _read(self) -> bool:
        return total(self.runner.metrics(), "querywarden_records") == self._lines

    def later(self) -> int:
        """A log time at which nothing was asked yet: what holds now is then in force."""
        return self._last + people.DAY_US

    def alerts(self) -> list[Alert]:
        path = self.folder / "alerts.jsonl"
        lines = path.read_bytes().splitlines() if path.exists() else []
        return [alert for alert in (msgspec.json.decode(line, type=Alert) for line in lines) if alert.kind != "health"]

    def session(self, role: Role, name: str) -> str:
        return self._entrance.by_provider(name, name, role, "192.0.2.1").secret

    def close(self) -> None:
        self.runner.kill()
        if self.server is not None:
            self.server.send_signal(signal.SIGTERM)
            self.server.wait(30)


@dataclass
class Seat:
    """Somebody at a browser. said: whatever the console said that it should not have."""

    context: BrowserContext
    page: Page
    address: str
    said: list[str] = field(default_factory=list)

    def go(self, path: str) -> Page:
        self.page.goto(self.address + path)
        self.page.locator("h1").first.wait_for()
        return self.page

    def settled(self) -> None:
        """Until nothing waits for an answer any more."""
        expect(self.page.locator(".waiting, [aria-busy=true]")).to_have_count(0)

    def api(self, method: str, path: str, body: object = None, **headers: str) -> tuple[int, Any]:
        """What the API answers to a request of this page, with its cookie and its CSRF token."""
        status, text = self.page.evaluate(
            """async ([method, path, body, headers]) => {
                const session = await (await fetch('/api/v1/session')).json();
                const answer = await fetch('/api/v1' + path, {method, body, headers: {...headers,
                    'X-CSRF-Token': session.csrf, ...(body ? {'Content-Type': 'application/json'} : {})}});
                return [answer.status, await answer.text()];
            }""",
            [method, path, json.dumps(body) if body is not None else None, headers],
        )
        return status, json.loads(text) if text else None


def seated(
    browser: Browser, stage: Stage, role: Role | None, name: str = "", *,
    size: tuple[int, int] = WIDE, scheme: Any = "light",
) -> Seat:  # fmt: skip
    """role None: nobody yet."""
    context = browser.new_context(
        viewport={"width": size[0], "height": size[1]}, color_scheme=scheme, reduced_motion="reduce",
        timezone_id="Europe/Vienna",
    )  # fmt: skip
    context.set_default_timeout(20_000)
    if role is not None:
        secret = stage.session(role, name or role)
        context.add_cookies([{"name": cookie_name(secure=False), "value": secret, "url": stage.address}])
    seat = Seat(context, context.new_page(), stage.address)
    seat.page.on("console", lambda message: _note(seat, message))
    seat.page.on("pageerror", lambda error: seat.said.append(f"error: {error}"))
    return seat


def _note(seat: Seat, message: ConsoleMessage) -> None:
    if message.type in ("error", "warning"):
        seat.said.append(f"{message.type}: {message.text} {message.location.get('url', '')}")
