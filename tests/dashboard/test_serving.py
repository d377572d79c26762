"""Where the dashboard may be served, and how it runs beside a detector that it must never hold up."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

import httpx
import msgspec
import pytest

from detector.cli import main
from detector.dashboard.access.passwords import check_hash, fits
from detector.dashboard.serving import check, serve
from detector.dashboard_settings import DashboardSettings, LocalSettings
from detector.dashboarding import Beside, beside
from detector.errors import MissingExtra, SettingsError
from detector.secret import Secret
from detector.settings import Settings, settings_of
from tests.dashboard.conftest import OIDC, PASSWORD, Make
from tests.dashboard.memory import MemoryBooks

LOCAL = LocalSettings(name="glass", password_hash=Secret(env="TEST_HASH"))
SOURCE = {"source": {"type": "file", "paths": ["x"]}}
# A child as the dashboard is one: it says who it is, and ends when its standard input does.
CHILD = "import os, sys; print(os.getpid(), file=open(sys.argv[1], 'a'), flush=True); sys.stdin.read()"
ROOT = Path(__file__).parents[2]
WAIT_S = 30


@pytest.mark.parametrize(
    ("changed", "key"),
    [
        ({"host": "192.0.2.1"}, "host"),
        ({"host": "192.0.2.1", "public_url": "https://watch.example"}, "host"),
        ({"host": "192.0.2.1", "local": LOCAL}, "host"),
        ({"local": LocalSettings(name="glass", password_hash=Secret(env="PLAIN"))}, "local"),
        ({"oidc": msgspec.structs.replace(OIDC, roles={})}, "oidc"),
        ({"host": "::", "oidc": OIDC, "public_url": "http://watch.example"}, "host"),
    ],
)
def test_a_door_that_would_stand_open_is_not_opened(
    changed: dict[str, Any], key: str, monkeypatch: pytest.MonkeyPatch, cheap_hash: str
) -> None:
    monkeypatch.setenv("TEST_HASH", cheap_hash)
    monkeypatch.setenv("PLAIN", PASSWORD)
    with pytest.raises(SettingsError, match=rf"dashboard\.{key}"):
        check(DashboardSettings(**changed))


@pytest.mark.parametrize(
    "changed",
    [
        {},
        {"host": "localhost"},
        {"host": "::1"},
        {"host": "192.0.2.1", "oidc": OIDC, "public_url": "https://watch.example"},
    ],
)
def test_other_doors_are(changed: dict[str, Any]) -> None:
    check(DashboardSettings(**changed))


def test_a_password_in_the_place_of_its_hash_is_refused_and_not_shown(
    make: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PLAIN", PASSWORD)
    with pytest.raises(SettingsError, match="no argon2id hash") as raised:
        make(local=LocalSettings(name="glass", password_hash=Secret(env="PLAIN")))
    assert PASSWORD not in str(raised.value)


def test_the_command_hashes_a_password(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    read, write = os.pipe()
    os.write(write, f"{PASSWORD}\n".encode())
    os.close(write)
    with os.fdopen(read) as stdin:
        monkeypatch.setattr(sys, "stdin", stdin)
        assert main(["dashboard", "--hash-password"]) == 0
    printed = capsys.readouterr().out.strip()
    check_hash(printed)
    assert (fits(PASSWORD, printed), fits("another", printed), fits(PASSWORD, None)) == (True, False, False)


def test_without_the_packages_it_says_which_extra(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("detector.dashboarding.find_spec", lambda name: None)
    assert main(["dashboard", "--config", "x"]) == 1
    assert "pip install 'querywarden[dashboard]'" in capsys.readouterr().err


# -- beside a runner


class Children:
    """What was started, in turn."""

    def __init__(self, folder: Path) -> None:
        self.path = folder / "children"
        self.path.touch()
        self.command = [sys.executable, "-c", CHILD, str(self.path)]

    def await_(self, count: int) -> list[int]:
        """The process ids, when there are so many."""
        waiting = threading.Event()
        for _ in range(WAIT_S * 50):
            if len(lines := self.path.read_text().splitlines()) >= count:
                return [int(line) for line in lines]
            waiting.wait(0.02)  # another process announces itself by a line in a file
        raise TimeoutError(self.path.read_text())


def alive(number: int) -> bool:
    try:
        os.kill(number, 0)
    except ProcessLookupError:
        return False
    return True


def test_it_is_started_again_when_it_ends_and_ends_with_the_runner(tmp_path: Path) -> None:
    children = Children(tmp_path)
    with Beside(children.command, os.environ, pause_s=0.01):
        (first,) = children.await_(1)
        os.kill(first, signal.SIGKILL)
        second = children.await_(2)[1]
        assert alive(second)
    assert not alive(second)


def test_one_that_cannot_even_be_started_ends_nothing(tmp_path: Path) -> None:
    with Beside([str(tmp_path / "nothing")], os.environ, pause_s=0.01) as found:
        assert found is not None


def test_one_that_ends_at_once_is_not_started_without_pause(tmp_path: Path) -> None:
    children = Children(tmp_path)
    children.command[2] = CHILD.replace("; sys.stdin.read()", "")
    with Beside(children.command, os.environ, pause_s=600.0):
        children.await_(1)
    assert len(children.await_(1)) == 1


def test_it_ends_when_the_runner_is_killed(tmp_path: Path) -> None:
    children = Children(tmp_path)
    runner = subprocess.Popen([sys.executable, "-c", RUNNER, *children.command], stdout=subprocess.PIPE, cwd=ROOT)
    (child,) = children.await_(1)
    runner.kill()
    runner.wait()
    waiting = threading.Event()
    for _ in range(WAIT_S * 50):
        if not alive(child):
            return
        waiting.wait(0.02)
    raise AssertionError("it outlives its runner")


RUNNER = """
import os, sys, time
from detector.dashboarding import Beside
with Beside(sys.argv[1:], os.environ):
    time.sleep(600)
"""


def test_run_serves_it_where_it_is_asked_to(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    quiet = settings_of(SOURCE)
    asked = serving(quiet)
    assert not isinstance(beside(quiet, tmp_path, {}), Beside)
    assert isinstance(beside(asked, tmp_path, {}), Beside)
    with pytest.raises(SettingsError, match=r"dashboard\.host"):
        beside(serving(quiet, host="192.0.2.1"), tmp_path, {})
    monkeypatch.setattr("detector.dashboarding.find_spec", lambda name: None)
    with pytest.raises(MissingExtra):
        beside(asked, tmp_path, {})


def serving(settings: Settings, **changed: Any) -> Settings:
    return msgspec.structs.replace(settings, dashboard=DashboardSettings(serve=True, **changed))


# -- a process of its own


def test_a_first_start_prints_a_link_that_logs_in_and_ends_in_good_order() -> None:
    served = subprocess.Popen(
        [sys.executable, "-m", "tests.dashboard.serve", "0"], stdout=subprocess.PIPE, text=True, cwd=ROOT
    )
    try:
        assert served.stdout is not None
        said = [served.stdout.readline() for _ in range(3)]
        address = said[0].removeprefix("The dashboard is at ").strip()
        assert "without Secure" in said[2]
        with httpx.Client(base_url=address) as browser:
            assert browser.get(said[1].rpartition(" ")[2].strip()).status_code == 303
            assert browser.get("/api/v1/session").json()["role"] == "admin"
            assert "server" not in browser.get("/").headers
            with browser.stream("GET", "/api/v1/events") as events:
                assert events.headers["Content-Type"].startswith("text/event-stream")
                assert next(line for line in events.iter_lines() if line.startswith("event")) == "event: alerts"
                served.terminate()  # while somebody still listens
                assert served.wait(WAIT_S) == 0
    finally:
        served.kill()
        served.wait()


def test_a_port_that_is_taken_is_said(tmp_path: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        settings = DashboardSettings(port=taken.getsockname()[1])
        with pytest.raises(SettingsError, match="cannot be served on 127"):
            serve(settings, MemoryBooks(), tmp_path, print)
