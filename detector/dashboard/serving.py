"""Serves the dashboard: where it may listen, what the first start prints, and the server around the application."""

from __future__ import annotations

import asyncio
import contextlib
import ipaddress
import secrets
import signal
import socket
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from urllib.parse import urlsplit

import structlog
import uvicorn
from sqlalchemy import Engine
from sqlalchemy.exc import SQLAlchemyError

from detector.dashboard.access.entrance import Entrance
from detector.dashboard.access.pace import Pace
from detector.dashboard.access.passwords import check_hash
from detector.dashboard.access.provider import Provider
from detector.dashboard.access.provider import check as check_provider
from detector.dashboard.api.app import make_app
from detector.dashboard.api.house import House
from detector.dashboard.books import Books
from detector.dashboard.drafting import Drafting
from detector.dashboard.keeping.audit import Chain
from detector.dashboard.keeping.history import History
from detector.dashboard.keeping.opening import file_url, opened, reading
from detector.dashboard.reading.tapes import Tape
from detector.dashboard.telling import Telling
from detector.dashboard_settings import DashboardSettings
from detector.errors import SettingsError, StoreError
from detector.profile.artefact import Profile
from detector.settings import Settings

LOOPBACK = ("localhost", "127.0.0.1", "[::1]")
CLOSING_S = 2  # for answers that are under way; listeners would stay for ever

log = structlog.get_logger(__name__)


def check(settings: DashboardSettings) -> None:
    """Raises SettingsError for a door that would stand open, or that nobody could come in by."""
    if settings.local is not None:
        check_hash(settings.local.password_hash.reveal())
    if settings.oidc is not None:
        check_provider(settings.oidc)
    if settings.history_days is not None and settings.database is None:
        raise SettingsError("dashboard.history_days: it takes a PostgreSQL dashboard.database")
    if is_loopback(settings.host):
        return
    if settings.local is None and settings.oidc is None:
        raise SettingsError(
            f"dashboard.host: {settings.host} is not loopback, and nobody has an account: set dashboard.local or "
            "dashboard.oidc first"
        )
    if not (settings.public_url or "").startswith("https://"):
        raise SettingsError(
            f"dashboard.host: {settings.host} is not loopback, where passwords and sessions need https: set "
            "dashboard.public_url to the https address of the reverse proxy before it"
        )


def is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def database(settings: DashboardSettings, store: Path) -> Engine:
    """Raises SettingsError, StoreError."""
    if settings.database is not None:
        return opened(settings.database.reveal())
    if not store.is_dir():
        raise SettingsError(f"store.path: there is no folder {store}; `querywarden run` makes it")
    return opened(file_url(store))


def history(settings: Settings) -> Callable[[Profile], Tape] | None:
    """Where the points are read: in a PostgreSQL database, which keeps a copy of them; None: in the store."""
    store, days = settings.store, settings.dashboard.history_days
    if settings.dashboard.database is None:
        return None
    engine = database(settings.dashboard, Path(store.path))
    return lambda profile: History(engine, Path(store.path), profile, days or store.tape_days)


def furnished(
    settings: DashboardSettings,
    books: Books,
    engine: Engine,
    store: Path,
    port: int,
    *,
    link: str | None = None,
    now: Callable[[], float] = time.time,
    monotonic: Callable[[], float] = time.monotonic,
) -> House:
    """store: the folder, into whose outbox the audit goes. port: on which it listens. link: the secret of the one-time
    link, where one is given out.
    """
    public = settings.public_url
    model = books.overview()
    named = {_bracketed(settings.host).lower(), *LOOPBACK} | ({_host_of(public)} if public else set())
    own = {f"http://{name}:{port}" for name in named} | ({public.lower()} if public else set())
    return House(
        settings=settings,
        books=books,
        engine=engine,
        reading=reading(engine),
        entrance=Entrance(settings, engine, now, link=link),
        drafting=Drafting(books, engine, review=settings.review, now=now),
        telling=Telling(engine, store / "outbox.sqlite", model=model.model, profile=model.profile),
        chain=Chain(),
        pace=Pace(monotonic),
        provider=Provider(settings.oidc, now, monotonic) if settings.oidc else None,
        now=now,
        origins=frozenset(own),
        hosts=frozenset(named),
        secure=bool(public and public.startswith("https://")),
    )


def serve(
    settings: DashboardSettings,
    books: Books,
    store: Path,
    say: Callable[[str], None],
    *,
    until: Callable[[], object] | None = None,
) -> None:
    """Serves until it is asked to stop, by a signal or when `until` (called in a thread of its own) returns.

    say: what is printed for a person: addresses, and the one-time link of a start without accounts.
    """
    check(settings)
    engine = database(settings, store)
    link = secrets.token_urlsafe(32) if settings.local is None and settings.oidc is None else None
    with _listening(settings) as listening:
        port = int(listening.getsockname()[1])
        house = furnished(settings, books, engine, store, port, link=link)
        _tell(house, port, link, say)
        try:
            asyncio.run(_served(house, listening, until))
        finally:
            _tell_the_rest(house)
            if house.provider is not None:
                house.provider.close()
            books.close()
            engine.dispose()


def _tell_the_rest(house: House) -> None:
    try:
        house.telling.tell()
    except (StoreError, SQLAlchemyError) as error:  # the next start tells it
        log.warning("The end of the audit was not told yet", reason=str(error))


def _listening(settings: DashboardSettings) -> socket.socket:
    family = socket.AF_INET6 if ":" in settings.host else socket.AF_INET
    listening = socket.socket(family)
    listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listening.bind((settings.host, settings.port))
        listening.listen(128)  # so that who follows the printed address at once waits, and is not refused
    except OSError as error:
        listening.close()
        place = f"{settings.host}:{settings.port}"
        raise SettingsError(f"the dashboard cannot be served on {place}: {error.strerror or error}") from error
    return listening


def _tell(house: House, port: int, link: str | None, say: Callable[[str], None]) -> None:
    settings = house.settings
    address = settings.public_url or f"http://{_bracketed(settings.host)}:{port}"
    say(f"The dashboard is at {address}")
    if link is not None:
        say(f"No account is set, so this link logs in, once: {address}/link?token={link}")
    if not house.secure:
        say("Cookies go without Secure, since this is http: on this machine only. For others: docs/dashboard.md")
    log.info("The dashboard is served", address=address)


async def _served(house: House, listening: socket.socket, until: Callable[[], object] | None) -> None:
    trusted = list(house.settings.proxies) if house.settings.public_url else []
    config = uvicorn.Config(
        make_app(house),
        log_config=None,
        access_log=False,
        server_header=False,
        proxy_headers=bool(trusted),
        forwarded_allow_ips=trusted,
        timeout_graceful_shutdown=CLOSING_S,
        lifespan="on",
    )
    server = _Server(config)
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, server.end)
    if until is not None:
        threading.Thread(target=_await, args=(until, server), name="until", daemon=True).start()
    await server.serve(sockets=[listening])


class _Server(uvicorn.Server):
    """Signals are ours: uvicorn would raise them again, and nothing would be closed."""

    def end(self) -> None:
        self.should_exit = True

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


def _await(until: Callable[[], object], server: _Server) -> None:
    until()
    server.end()


def _bracketed(host: str) -> str:
    return f"[{host}]" if ":" in host else host


def _host_of(url: str) -> str:
    return _bracketed(urlsplit(url).hostname or "")
