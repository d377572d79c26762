"""The application: all routes, each with its least role, around one house."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from importlib.metadata import version
from pathlib import Path
from typing import Any

from litestar import Litestar, Request, Router, get
from litestar.datastructures import State
from litestar.di import Provide
from litestar.openapi.config import OpenAPIConfig
from litestar.openapi.plugins import JsonRenderPlugin

from detector.dashboard.api import entering, events, looking, policies
from detector.dashboard.api.events import Watch
from detector.dashboard.api.guarding import ANYBODY, authentication, guard, role
from detector.dashboard.api.headers import headers
from detector.dashboard.api.house import House
from detector.dashboard.api.page import STATIC, page
from detector.dashboard.api.problem import HANDLERS

API = "/api/v1"
LARGEST_BODY = 2**20


def make_app(house: House, *, static: Path = STATIC) -> Litestar:
    """The ASGI application; serves until its lifespan ends."""
    watch = Watch(house)

    @asynccontextmanager
    async def lifespan(_: Litestar) -> AsyncIterator[None]:
        looking_on = asyncio.create_task(watch.run())
        try:
            yield
        finally:
            looking_on.cancel()
            await asyncio.gather(looking_on, return_exceptions=True)

    api = Router(
        API,
        route_handlers=[*entering.HANDLERS, *policies.HANDLERS, *looking.HANDLERS, events.events],
        middleware=[authentication(house)],
    )
    return Litestar(
        route_handlers=[api, described, entering.link, page(static)],
        dependencies={"house": Provide(lambda: house, sync_to_thread=False)},
        guards=[guard],
        middleware=[headers(house)],
        exception_handlers=HANDLERS,
        state=State({"house": house, "watch": watch}),
        lifespan=[lifespan],
        openapi_config=_described(),
        request_max_body_size=LARGEST_BODY,
        logging_config=None,
    )


def _described() -> OpenAPIConfig:
    return OpenAPIConfig(
        title="querywarden dashboard",
        version=version("querywarden"),
        render_plugins=[JsonRenderPlugin()],
        openapi_router=Router(f"{API}/openapi", route_handlers=[], opt=role(ANYBODY), include_in_schema=False),
        use_handler_docstrings=True,
    )


@get("/openapi.json", opt=role(ANYBODY), include_in_schema=False, sync_to_thread=False)
def described(request: Request[Any, Any, Any]) -> dict[str, Any]:
    """The API, described."""
    return request.app.openapi_schema.to_schema()
