"""The application: all routes, each with its least role, around one house."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import structlog
from litestar import Litestar, Router
from litestar.datastructures import State
from litestar.di import Provide
from litestar.types import ASGIApp

from detector.dashboard.api import entering, events, looking, oidc, policies
from detector.dashboard.api.described import config, document
from detector.dashboard.api.events import Watch
from detector.dashboard.api.guarding import authentication, guard
from detector.dashboard.api.headers import headers
from detector.dashboard.api.house import House
from detector.dashboard.api.page import STATIC, page
from detector.dashboard.api.problem import HANDLERS

log = structlog.get_logger(__name__)

API = "/api/v1"
LARGEST_BODY = 2**20


def make_app(house: House, *, static: Path = STATIC) -> ASGIApp:
    """The ASGI application; serves until its lifespan ends."""
    watch = Watch(house)

    @asynccontextmanager
    async def lifespan(_: Litestar) -> AsyncIterator[None]:
        looking_on = asyncio.create_task(watch.run())
        looking_on.add_done_callback(_ended)
        try:
            yield
        finally:
            looking_on.cancel()
            await asyncio.wait([looking_on])

    api = Router(
        API,
        route_handlers=[*entering.HANDLERS, *policies.HANDLERS, *looking.HANDLERS, events.events],
        middleware=[authentication(house)],
    )
    app = Litestar(
        route_handlers=[api, document, entering.link, oidc.begin, oidc.finish, page(static)],
        dependencies={"house": Provide(lambda: house, sync_to_thread=False)},
        guards=[guard],
        exception_handlers=HANDLERS,
        state=State({"house": house, "watch": watch}),
        lifespan=[lifespan],
        openapi_config=config(API),
        request_max_body_size=LARGEST_BODY,
        logging_config=None,
    )
    return headers(house, app)


def _ended(task: asyncio.Task[None]) -> None:
    """A look that fails in a way that nobody expected must not end unseen: drafts would not be settled any more."""
    if not task.cancelled() and task.exception() is not None:
        log.error("Nothing is looked at any more: restart the dashboard", exc_info=task.exception())
