"""Thresholds: what is in force, what another policy would have done, and drafts of one."""

from __future__ import annotations

from typing import Annotated, Any

from litestar import Request, Response, delete, get, post, put
from litestar.params import HeaderParameter, JSONBody, PathParameter, QueryParameter

from detector.dashboard.api import asked
from detector.dashboard.api.guarding import etag_of, role
from detector.dashboard.api.house import FromHouse
from detector.dashboard.shapes import (
    Allowed,
    Ask,
    AskPromise,
    Draft,
    Histogram,
    NewDraft,
    Page,
    PolicyWord,
    Preview,
    Promised,
    Reason,
)

Asking = Request[Any, Any, Any]
Number = Annotated[int, PathParameter(ge=1, le=2**31 - 1)]
Version = Annotated[str, PathParameter(min_length=1, max_length=100)]
IfMatch = Annotated[
    str | None, HeaderParameter(name="If-Match", description="The draft's `etag`.", max_length=100)
]  # read by etag_of: its absence is 428, not 400
STEP = asked.raises(404, 409, 412, 428)


@get("/policy", opt=role("viewer"), sync_to_thread=True)
def policies(house: FromHouse) -> list[PolicyWord]:
    """The journal, the newest first."""
    return list(house.books.policies())


@get("/histogram", opt=role("viewer"), sync_to_thread=True, raises=asked.raises(404))
def histogram(house: FromHouse, level: asked.Level) -> Histogram:
    return house.books.histogram(level)


@post("/preview", opt=role("viewer"), status_code=200, sync_to_thread=True, raises=asked.raises(404, 422))
def preview(house: FromHouse, data: JSONBody[Ask]) -> Preview:
    return house.books.preview(data)


@post("/promise", opt=role("viewer"), status_code=200, sync_to_thread=True, raises=asked.raises(404, 422))
def promise(house: FromHouse, data: JSONBody[AskPromise]) -> Promised:
    return house.books.promise(data)


@get("/drafts", opt=role("viewer"), sync_to_thread=True)
def drafts(house: FromHouse, cursor: asked.Cursor = None, limit: asked.Limit = asked.LIMIT) -> Page[Draft]:
    found, total = house.drafting.newest(asked.number(cursor), limit)
    return Page(found, total, str(found[-1].id) if len(found) == limit else None)


@post("/drafts", opt=role("engineer"), status_code=201, sync_to_thread=True, raises=asked.raises(422))
def make_draft(house: FromHouse, request: Asking, data: JSONBody[NewDraft]) -> Response[Draft]:
    return _tagged(house.drafting.make(data, request.user), 201)


@put("/drafts/{number:int}", opt=role("engineer"), sync_to_thread=True, raises=(*STEP, *asked.raises(422)))
def edit_draft(
    house: FromHouse, request: Asking, number: Number, data: JSONBody[NewDraft], if_match: IfMatch = None
) -> Response[Draft]:
    return _tagged(house.drafting.edit(number, etag_of(request), data, request.user))


@post("/drafts/{number:int}/approve", opt=role("engineer"), status_code=200, sync_to_thread=True, raises=STEP)
def approve_draft(
    house: FromHouse, request: Asking, number: Number, data: JSONBody[Reason], if_match: IfMatch = None
) -> Response[Draft]:
    return _tagged(house.drafting.approve(number, etag_of(request), data.why, request.user))


@post("/drafts/{number:int}/withdraw", opt=role("engineer"), status_code=200, sync_to_thread=True, raises=STEP)
def withdraw_draft(
    house: FromHouse, request: Asking, number: Number, data: JSONBody[Reason], if_match: IfMatch = None
) -> Response[Draft]:
    return _tagged(house.drafting.withdraw(number, etag_of(request), data.why, request.user))


@post("/drafts/{number:int}/apply", opt=role("admin"), status_code=202, sync_to_thread=True, raises=STEP)
def apply_draft(
    house: FromHouse, request: Asking, number: Number, data: JSONBody[Reason], if_match: IfMatch = None
) -> Response[Draft]:
    """Waits a few seconds for the detector; a draft that it has not answered has the outcome "waiting"."""
    return _tagged(house.drafting.apply(number, etag_of(request), data.why, request.user), 202)


@post(
    "/policy/{version:str}/rollback", opt=role("admin"), status_code=202, sync_to_thread=True,
    raises=asked.raises(404, 409, 422),
)  # fmt: skip
def roll_back(house: FromHouse, request: Asking, version: Version, data: JSONBody[Reason]) -> Response[Draft]:
    return _tagged(house.drafting.roll_back(version, data.why, request.user), 202)


@get("/allowed", opt=role("viewer"), sync_to_thread=True)
def allowed(house: FromHouse, cursor: asked.Cursor = None, limit: asked.Limit = asked.LIMIT) -> Page[Allowed]:
    journal = house.books.policies()
    listed = journal[0].suppressions if journal else ()
    start = asked.number(cursor) or 0
    items = listed[start : start + limit]
    return Page(items, len(listed), str(start + limit) if start + limit < len(listed) else None)


@post("/allowed", opt=role("admin"), status_code=202, sync_to_thread=True, raises=asked.raises(409, 422))
def allow(house: FromHouse, request: Asking, data: JSONBody[Allowed]) -> Response[Draft]:
    return _tagged(house.drafting.allow(data, request.user), 202)


@delete("/allowed", opt=role("admin"), status_code=202, sync_to_thread=True, raises=asked.raises(404, 409))
def forbid(
    house: FromHouse,
    request: Asking,
    kind: asked.Level,
    id_: Annotated[str, QueryParameter(name="id", min_length=1, max_length=1_000)],
) -> Response[Draft]:
    return _tagged(house.drafting.forbid(kind, id_, request.user), 202)


def _tagged(draft: Draft, status: int = 200) -> Response[Draft]:
    return Response(draft, status_code=status, headers={"ETag": f'"{draft.etag}"'})


HANDLERS = (
    policies, histogram, preview, promise, drafts, make_draft, edit_draft, approve_draft, withdraw_draft, apply_draft,
    roll_back, allowed, allow, forbid,
)  # fmt: skip
