"""`querywarden dashboard`: serves it, hashes a password, follows the audit's chain; and how `run` serves it beside."""

from __future__ import annotations

import argparse
import getpass
import os
import sys
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

from detector.errors import MissingExtra, QuerywardenError, SettingsError
from detector.run import journal_log

if TYPE_CHECKING:
    from detector.settings import Settings

PACKAGES = ("alembic", "argon2", "httpx", "joserfc", "litestar", "psycopg", "sqlalchemy", "uvicorn")
BESIDE = "--until-stdin-ends"


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
    from detector.dashboard.serving import check, serve

    check(settings.dashboard)
    until = sys.stdin.buffer.read if arguments.until_stdin_ends else None
    serve(settings.dashboard, make_books(settings), Path(settings.store.path), _say, until=until)
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
