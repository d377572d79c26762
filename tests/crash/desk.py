"""A dashboard process with a mirror of workers beside it, and somebody who came in by the one-time link."""

from __future__ import annotations

import os
import re
import signal
from typing import Any

import httpx

from tests.crash.stage import Run, Stage
from tests.run.child import PATIENCE_S, Child, until


class Desk:
    """It is open when it is made."""

    def __init__(self, stage: Stage, run: Run) -> None:
        self.store = run.folder / "store"
        self._log = run.folder / "dashboard.log"
        self.child = stage.started(Child(run.config, self._log, "dashboard"))
        self.child.until(lambda: self._link() is not None, "the link")
        link = self._link()
        assert link is not None
        address = link.partition("/link")[0]
        self._client = httpx.Client(base_url=address, headers={"Origin": address}, timeout=60)
        assert self._client.get(link).status_code == 303
        self._client.headers["X-CSRF-Token"] = self.get("/session")["csrf"]

    def get(self, path: str, **asked: Any) -> Any:
        answer = self._client.get(f"/api/v1{path}", params=asked)
        assert answer.status_code == 200, answer.text
        return answer.json()

    def post(self, path: str, body: object, **headers: str) -> Any:
        answer = self._client.post(f"/api/v1{path}", json=body, headers=headers)
        assert answer.status_code < 300, answer.text
        return answer.json()

    @property
    def mirror(self) -> int:
        """The process that writes the store, or wrote it last; 0 while one begins."""
        return int((self.store / "state.sqlite.lock").read_text() or 0)

    def kill_mirror(self) -> None:
        """kill -9; returns when another one writes."""
        before = self.mirror
        os.kill(before, signal.SIGKILL)
        until(lambda: self.mirror not in (0, before), self.child.tail, PATIENCE_S)

    def close(self) -> None:
        self._client.close()
        assert self.child.stop() == 0, self.child.tail()

    def _link(self) -> str | None:
        found = re.search(r"http://\S+/link\?token=\S+", self._log.read_text()) if self._log.exists() else None
        return found[0] if found else None
