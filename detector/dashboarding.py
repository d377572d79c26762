"""`querywarden dashboard`: serves it, hashes a password, follows the audit's chain; and how `run` serves it beside."""

from __future__ import annotations

import argparse
import getpass
import os
import subprocess
import sys
import threading
import time
from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Self

import structlog

from detector.errors import MissingExtra, QuerywardenError, SettingsError
from detector.run import journal_log

if TYPE_CHECKING:
    from detector.settings import Settings

PACKAGES = ("alembic", "argon2", "httpx", "joserfc", "litestar", "psycopg", "sqlalchemy", "uvicorn")
LONGEST_PAUSE_S = 60.0
ENDING_S = 10.0
BESIDE = "--until-stdin-ends"

log = structlog.get_logger(__name__)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--config", type=Path, help="the TOML file (docs/settings.md)")
    what = parser.add_mutually_exclusive_group()
    what.add_argument("--hash-password", action="store_true", help="ask for a password and print its hash")
    what.add_argument("--verify-audit", action="store_true", help="follow the audit's chain and say whether it holds")
    what.add_argument(BESIDE, action="store_true", help=argparse.SUPPRESS)
    parser.set_defaults(command=_dashboard)


def need_extra() -> None:
    """Raises MissingExtra where the dashboard's packages are not installed."""
    for name in PACKAGES:
        if find_spec(name) is None:
            raise MissingExtra(f"the dashboard ({name})", "dashboard")


class Beside:
    """The dashboard in a process of its own, while a runner runs in this one: it takes neither its interpreter's lock
    nor its memory, and whatever becomes of it, detection goes on.

    command: of the process; it ends when its standard input does, so also when this process is killed. It is started
    again when it ends, after pauses that double up to LONGEST_PAUSE_S.
    """

    def __init__(self, command: Sequence[str], environ: Mapping[str, str], *, pause_s: float = 1.0) -> None:
        self._command = list(command)
        self._environ = dict(environ)
        self._pause_s = pause_s
        self._stopping = threading.Event()
        self._lock = threading.Lock()
        self._process: subprocess.Popen[bytes] | None = None
        self._thread = threading.Thread(target=self._supervise, name="dashboard", daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stopping.set()
        with self._lock:
            if self._process is not None and self._process.stdin is not None:
                self._process.stdin.close()
        self._thread.join(ENDING_S)
        with self._lock:
            if self._process is not None and self._process.poll() is None:
                self._process.kill()
        self._thread.join()

    def _supervise(self) -> None:
        pause_s = self._pause_s
        while not self._stopping.is_set():
            began = time.monotonic()
            code = self._once()
            if self._stopping.is_set():
                return
            log.error("The dashboard ended and is started again; detection goes on", status=code, after_s=pause_s)
            self._stopping.wait(pause_s)
            lasted = time.monotonic() - began > LONGEST_PAUSE_S
            pause_s = self._pause_s if lasted else min(2 * pause_s, LONGEST_PAUSE_S)

    def _once(self) -> int | str:
        """Starts it and waits for its end; the status, or why it could not be started."""
        with self._lock:
            if self._stopping.is_set():
                return 0
            try:
                # A group of its own: Ctrl-C reaches the runner alone, which ends it in its turn.
                self._process = subprocess.Popen(
                    self._command, stdin=subprocess.PIPE, env=self._environ, start_new_session=True
                )
            except OSError as error:
                return str(error)
        return self._process.wait()


def beside(settings: Settings, config: Path, environ: Mapping[str, str]) -> AbstractContextManager[object]:
    """What `run` keeps open while it runs: the dashboard, where the settings ask for it.

    Raises MissingExtra or SettingsError now, rather than in a process that is started again and again.
    """
    if not settings.dashboard.serve:
        return nullcontext()
    need_extra()
    from detector.dashboard.serving import check

    check(settings.dashboard)
    return Beside([sys.executable, "-m", "detector.cli", "dashboard", "--config", str(config), BESIDE], environ)


def _dashboard(arguments: argparse.Namespace) -> int:
    need_extra()
    if arguments.hash_password:
        return _hash_password()
    if arguments.config is None:
        raise SettingsError("--config: say which settings")
    from detector.settings import load

    settings = load(arguments.config, os.environ)
    if arguments.verify_audit:
        return _verify_audit(settings)
    journal_log.configure(settings.telemetry.log_level, settings.telemetry.log_json)
    from detector.dashboard.reading.books import make_books
    from detector.dashboard.serving import check, history, serve

    check(settings.dashboard)
    books = make_books(settings, history(settings))
    until = sys.stdin.buffer.read if arguments.until_stdin_ends else None
    serve(settings.dashboard, books, Path(settings.store.path), _say, until=until)
    return 0


def _hash_password() -> int:
    from detector.dashboard.access.passwords import hash_of

    if sys.stdin.isatty():
        password = getpass.getpass("Password: ")
        if getpass.getpass("Again: ") != password:
            raise SettingsError("the two passwords differ")
    else:
        password = sys.stdin.readline().rstrip("\r\n")
    _say(hash_of(password))
    return 0


def _verify_audit(settings: Settings) -> int:
    from detector.dashboard.keeping import audit
    from detector.dashboard.serving import database

    engine = database(settings.dashboard, Path(settings.store.path))
    with engine.begin() as db:
        state = audit.state(db)
    engine.dispose()
    if state.broken_at is not None:
        raise QuerywardenError(
            f"the audit is broken at entry {state.broken_at}: it, or what stood before it, was changed"
        )
    _say(f"The audit holds: {state.entries:,} entries, head {state.head}")
    return 0


def _say(*lines: str) -> None:
    for line in lines:
        print(line, flush=True)  # noqa: T201
