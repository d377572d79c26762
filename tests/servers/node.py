"""Knows how to run one Java server on loopback: start, pause, stop, kill, and start again on its data."""

from __future__ import annotations

import atexit
import signal
import socket
import subprocess
import time
from abc import ABC, abstractmethod
from collections.abc import Iterator
from pathlib import Path
from typing import TypeVar

import pytest

from tests.servers.fetched import ServerUnavailable
from tests.servers.java import NoJava

POLL_S = 0.1
N = TypeVar("N", bound="Node")


class Node(ABC):
    """The same object may be started again after stop() or kill(): port and data stay. `home` holds its files."""

    name: str

    def __init__(self, home: Path) -> None:
        self.home = home
        self._process: subprocess.Popen[bytes] | None = None
        atexit.register(self.kill)

    @abstractmethod
    def _prepared(self) -> list[str]:
        """Lays out what the server needs in its home; returns the command that runs it."""

    @abstractmethod
    def _healthy(self) -> bool:
        """Whether it answers."""

    def start(self, timeout_s: float = 120.0) -> None:
        """Returns when the node answers over HTTP (4-9 s, 25 s on a busy machine)."""
        assert self._process is None, "already started"
        command = self._prepared()
        with (self.home / "server.log").open("ab") as log:
            self._process = subprocess.Popen(
                command,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                cwd=self.home,
                start_new_session=True,
            )
        self._wait(timeout_s)

    def stop(self, timeout_s: float = 30.0) -> None:
        """Ends it in good order (SIGTERM); SIGKILL if that takes longer than `timeout_s`."""
        if self._process is None:
            return
        self._process.send_signal(signal.SIGTERM)
        try:
            self._process.wait(timeout_s)
        except subprocess.TimeoutExpired:
            self.kill()
        self._process = None

    def kill(self) -> None:
        """As kill -9: what was acknowledged must survive it."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process = None

    def pause(self) -> None:
        """SIGSTOP: it keeps its connections and answers nothing, as if hung; resume() lets it go on."""
        assert self._process is not None
        self._process.send_signal(signal.SIGSTOP)

    def resume(self) -> None:
        assert self._process is not None
        self._process.send_signal(signal.SIGCONT)

    def _wait(self, timeout_s: float) -> None:
        assert self._process is not None
        end = time.monotonic() + timeout_s
        while time.monotonic() < end:
            if self._process.poll() is not None:
                code, self._process = self._process.returncode, None
                raise RuntimeError(f"{self.name} ended with {code}:\n{self._tail()}")
            if self._healthy():
                return
            time.sleep(POLL_S)  # a process that starts announces nothing that could be awaited
        self.kill()
        raise TimeoutError(f"{self.name} is not ready after {timeout_s} s:\n{self._tail()}")

    def _tail(self) -> str:
        return "\n".join((self.home / "server.log").read_text(errors="replace").splitlines()[-40:])


def running(node: N) -> Iterator[N]:
    """The body of a fixture: yields a started node, and stops it.

    A machine that cannot have it fails the test and says what is missing: it never skips.
    """
    try:
        node.start()
    except (NoJava, ServerUnavailable) as error:
        pytest.fail(str(error), pytrace=False)
    try:
        yield node
    finally:
        node.stop()


def free_ports() -> tuple[int, int]:
    """Two ports that were free a moment ago; both are held at once so that they differ."""
    with socket.socket() as one, socket.socket() as two:
        one.bind(("127.0.0.1", 0))
        two.bind(("127.0.0.1", 0))
        return one.getsockname()[1], two.getsockname()[1]
