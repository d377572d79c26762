"""Logging in over a real provider (npm's certified `oidc-provider`), in Chromium: its page, and the way back."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

import msgspec
import pytest
from playwright.sync_api import Browser, Page, expect

from tests.dashboard.browser.stage import NARROW, SCREENS, WIDE
from tests.dashboard.browser.test_pages import AXE, found_by_axe
from tests.servers import oidc
from tests.servers.node import free_ports

pytestmark = pytest.mark.server

ROOT = Path(__file__).parents[3]
COLOURS = ("light", "dark")
Open = Callable[..., Page]


class Served(NamedTuple):
    address: str
    issuer: str


@pytest.fixture(scope="module")
def served() -> Iterator[Served]:
    """A dashboard whose people are the provider's; its books are made up."""
    port = free_ports()[0]
    address = f"http://127.0.0.1:{port}"
    with oidc.oidc_provider(f"{address}/oidc/callback") as issuer:
        settings = {
            "oidc": {
                "issuer": issuer,
                "client_id": oidc.CLIENT_ID,
                "client_secret": {"env": "OIDC_SECRET"},
                "label": "Example SSO",
                "roles": {"soc": "viewer", "soc-leads": "admin"},
            }
        }
        process = subprocess.Popen(
            [sys.executable, "-m", "tests.dashboard.serve", str(port), msgspec.json.encode(settings).decode()],
            env={**os.environ, "OIDC_SECRET": oidc.CLIENT_SECRET}, stdout=subprocess.PIPE, text=True, cwd=ROOT,
        )  # fmt: skip
        try:
            assert process.stdout is not None
            assert process.stdout.readline().startswith("The dashboard is at")
            yield Served(address, issuer)
        finally:
            process.terminate()
            process.wait()


@pytest.fixture
def browse(chromium: Browser, served: Served) -> Iterator[Open]:
    """browse(): the login page, in a browser that nobody has used."""
    contexts = []

    def opened(scheme: str = "light", size: tuple[int, int] = WIDE) -> Page:
        context = chromium.new_context(
            viewport={"width": size[0], "height": size[1]}, color_scheme=scheme, reduced_motion="reduce"
        )  # type: ignore[arg-type]
        contexts.append(context)
        page = context.new_page()
        page.add_init_script(path=AXE)
        page.goto(served.address)
        return page

    yield opened
    for context in contexts:
        context.close()


def through(page: Page, account: str) -> None:
    """Over the provider's page: logs in as `account`, and agrees."""
    page.get_by_role("link", name="Log in with Example SSO").click()
    page.locator("input[name=login]").fill(account)
    page.locator("input[name=password]").fill("x")
    page.locator("button[type=submit]").click()
    page.get_by_role("button", name="Continue").click()


@pytest.mark.parametrize(
    ("account", "name", "role"), [("anna.soc", "anna", "viewer"), ("bob.soc.soc-leads", "bob", "admin")]
)
def test_one_comes_back_with_the_role_of_ones_groups(
    browse: Open, served: Served, account: str, name: str, role: str
) -> None:
    page = browse()
    through(page, account)
    expect(page.get_by_role("heading", name="Overview")).to_be_visible()
    assert page.url == f"{served.address}/"
    me = page.locator(".me")
    expect(me).to_contain_text(name)
    expect(me).to_contain_text(role)
    expect(page.get_by_role("link", name="API tokens")).to_have_count(int(role == "admin"))
    page.get_by_role("button", name="Log out").click()
    expect(page.get_by_role("heading", name="Log in")).to_be_visible()


@pytest.mark.parametrize("scheme", COLOURS)
@pytest.mark.parametrize("size", [WIDE, NARROW], ids=["wide", "narrow"])
def test_who_has_no_role_is_told_so(browse: Open, served: Served, scheme: str, size: tuple[int, int]) -> None:
    page = browse(scheme, size)
    page.get_by_role("link", name="Log in with Example SSO").wait_for()
    page.screenshot(path=SCREENS / f"login-sso-{scheme}-{size[0]}.png", full_page=True)
    through(page, "carl.canteen")
    said = page.get_by_role("alert")
    expect(said).to_contain_text("You have no role here")
    expect(said).to_contain_text("Example SSO")
    assert page.url == f"{served.address}/"
    page.screenshot(path=SCREENS / f"refused-{scheme}-{size[0]}.png", full_page=True)
    assert found_by_axe(page) == []
    page.reload()
    expect(page.get_by_role("heading", name="Log in")).to_be_visible()
    expect(said).to_have_count(0)


def test_who_turns_back_at_the_provider_is_told_that_it_came_to_no_end(browse: Open) -> None:
    page = browse()
    page.get_by_role("link", name="Log in with Example SSO").click()
    page.get_by_role("link", name="Cancel").click()
    expect(page.get_by_role("alert")).to_contain_text("did not come to its end")
