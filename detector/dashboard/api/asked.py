"""What requests have in common: a cursor and a limit, and the errors that the OpenAPI document names."""

from __future__ import annotations

from typing import Annotated

from litestar.exceptions import HTTPException
from litestar.exceptions.http_exceptions import ClientException
from litestar.params import QueryParameter

LIMIT = 100
MOST = 1_000

Limit = Annotated[int, QueryParameter(ge=1, le=MOST, description="At most so many.")]
Cursor = Annotated[str | None, QueryParameter(max_length=1_000, description="`next` of the page before.")]
Whole = Annotated[bool, QueryParameter(description="Follows all entries again, not only those since the last look.")]
Search = Annotated[str, QueryParameter(max_length=200)]
Level = Annotated[str, QueryParameter(min_length=1, max_length=100)]
Id = Annotated[str, QueryParameter(min_length=1, max_length=1_000)]


def number(cursor: str | None) -> int | None:
    """A cursor that is a number. Raises 400 for one that is none of ours."""
    if cursor is None:
        return None
    if not (cursor.isascii() and cursor.isdecimal() and len(cursor) < 16):
        raise ClientException("this is no cursor of ours", extra=[{"key": "cursor", "message": "no cursor of ours"}])
    return int(cursor)


def raises(*statuses: int) -> tuple[type[HTTPException], ...]:
    """Exceptions for the OpenAPI document: what a route may answer beside 400, 401 and 403."""
    words = {404: "Not found", 409: "Not now", 412: "Changed meanwhile", 422: "Unfit", 428: "If-Match missing"}
    made = []
    for status in statuses:
        body = {"status_code": status, "detail": words.get(status, "Too many requests")}
        made.append(type(f"Answers{status}", (HTTPException,), body))
    return tuple(made)
