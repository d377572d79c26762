"""Live updates by server-sent events: a mark changes, whoever listens is told which, and asks anew."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import anyio
import msgspec
import structlog
from litestar import Request, get
from litestar.exceptions import HTTPException
from litestar.response import ServerSentEvent
from litestar.response.sse import ServerSentEventMessage
from sqlalchemy.exc import SQLAlchemyError

from detector.dashboard.api.guarding import person_of, role
from detector.dashboard.api.house import House
from detector.errors import QuerywardenError

LOOK_S = 1.0
STILL_S = 15.0  # a comment so often, so that no proxy takes the connection for dead; and a look whether he still may
MOST = 200  # listeners

log = structlog.get_logger(__name__)


class Watch:
    """Looks at the marks for all listeners together, settles drafts that wait for the detector, and tells the audit."""

    def __init__(self, house: House) -> None:
        self._house = house
        self._marks: dict[str, str] = {}
        self._listening: set[asyncio.Queue[dict[str, str]]] = set()
        self._said = ""

    async def run(self) -> None:
        """Until it is cancelled."""
        while True:
            await self.look()
            await asyncio.sleep(LOOK_S)

    async def look(self) -> None:
        """What cannot be read now is read at the next look."""
        try:
            found = await anyio.to_thread.run_sync(self._found)
        except (QuerywardenError, SQLAlchemyError) as error:
            if str(error) != self._said:
                log.warning("The dashboard cannot look at the store or its database just now", reason=str(error))
                self._said = str(error)
            return
        self._said = ""
        news = {name: mark for name, mark in found.items() if self._marks.get(name) != mark}
        self._marks = found
        for queue in self._listening if news else ():
            queue.put_nowait(news)

    def _found(self) -> dict[str, str]:
        self._house.drafting.settle()
        self._house.telling.tell()
        return {**self._house.books.seen(), "drafts": self._house.drafting.mark()}

    async def listen(self, request: Request[Any, Any, Any]) -> AsyncIterator[ServerSentEventMessage]:
        """First all marks, then what changes; ends with the session."""
        queue: asyncio.Queue[dict[str, str]] = asyncio.Queue()
        self._listening.add(queue)
        try:
            queue.put_nowait(dict(self._marks))
            while True:
                try:
                    news = await asyncio.wait_for(queue.get(), STILL_S)
                except TimeoutError:
                    if await anyio.to_thread.run_sync(person_of, request, self._house) is None:
                        return
                    yield ServerSentEventMessage(comment="still here")
                    continue
                for name, mark in news.items():
                    yield ServerSentEventMessage(event=name, data=msgspec.json.encode({"mark": mark}).decode())
        finally:
            self._listening.discard(queue)

    @property
    def full(self) -> bool:
        return len(self._listening) >= MOST


@get("/events", opt=role("viewer"), media_type="text/event-stream")
async def events(request: Request[Any, Any, Any]) -> ServerSentEvent:
    """The events `alerts`, `policy`, `tape`, `health`, `drafts`, each with a mark: something of it is new."""
    watch: Watch = request.app.state.watch
    if watch.full:
        raise HTTPException("too many listen already", status_code=503)
    return ServerSentEvent(watch.listen(request))
