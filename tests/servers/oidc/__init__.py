"""Starts npm's `oidc-provider`, a certified OpenID provider, and goes through its pages as a browser does."""

from __future__ import annotations

import os
import re
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx

from tests.servers.fetched import fetched, program, run
from tests.servers.node import free_ports

NPM = "oidc-provider@9.13.3"
SCRIPT = Path(__file__).with_name("provider.mjs")
CLIENT_ID, CLIENT_SECRET = "querywarden", "a secret: of ours"
FORM = re.compile(r'<form[^>]+action="([^"]+)"')


def modules() -> Path:
    """The folder in which Node finds it."""
    made = fetched(
        "oidc-npm", lambda build: run([program("npm", "Node 20"), "install", "--silent", "--prefix", str(build), NPM])
    )
    return made / "node_modules"


@contextmanager
def oidc_provider(redirect_uri: str) -> Iterator[str]:
    """The issuer, while it runs."""
    port = free_ports()[0]
    process = subprocess.Popen(
        [program("node", "Node 20"), str(SCRIPT), str(port), redirect_uri],
        env={**os.environ, "NODE_PATH": str(modules())}, stdout=subprocess.PIPE, text=True,
    )  # fmt: skip
    try:
        assert process.stdout is not None
        said = ""
        for line in process.stdout:
            said += line
            if line == "ready\n":
                break
        assert said.endswith("ready\n"), said
        yield f"http://127.0.0.1:{port}"
    finally:
        process.kill()
        process.wait()


def logged_in(url: str, account: str) -> str:
    """Follows `url` to the provider, logs in as `account`, agrees; the address that it sends the browser back to."""
    with httpx.Client() as browser:
        answer = browser.get(url)
        for form in ({"prompt": "login", "login": account, "password": "x"}, {"prompt": "consent"}):
            while answer.is_redirect:
                url = str(answer.next_request.url) if answer.next_request else ""
                answer = browser.get(url)
            found = FORM.search(answer.text)
            assert found, answer.text
            answer = browser.post(str(answer.url.join(found[1])), data=form)
        while answer.is_redirect:
            url = str(answer.url.join(answer.headers["location"]))
            if "/oidc/callback" in url:
                return url
            answer = browser.get(url)
    raise AssertionError(answer.text)
