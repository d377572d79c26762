"""Every error as RFC 9457's application/problem+json: what went wrong, in words that may be shown."""

from __future__ import annotations

from http import HTTPStatus
from typing import Any

import structlog
from litestar import MediaType, Request, Response
from litestar.exceptions import HTTPException
from litestar.types import ExceptionHandlersMap
from msgspec import UNSET, UnsetType
from sqlalchemy.exc import SQLAlchemyError

from detector.dashboard.access.entrance import Locked, NotLetIn
from detector.dashboard.books import Unknown
from detector.dashboard.drafting import Changed, NoDraft, NotNow, NotYou, Unfit
from detector.dashboard.shapes import Problem
from detector.errors import QuerywardenError, SettingsError, StoreError

PROBLEM = "application/problem+json"
AnyRequest = Request[Any, Any, Any]

log = structlog.get_logger(__name__)


def problem(
    status: int,
    detail: str = "",
    *,
    errors: dict[str, str] | UnsetType = UNSET,
    headers: dict[str, str] | None = None,
) -> Response[Problem]:
    body = Problem(title=HTTPStatus(status).phrase, status=status, detail=detail, errors=errors)
    return Response(body, status_code=status, media_type=PROBLEM, headers=headers)


def _of_http(_: AnyRequest, error: HTTPException) -> Response[Problem]:
    errors = _fields(error.extra)
    detail = "" if error.status_code >= HTTPStatus.INTERNAL_SERVER_ERROR else error.detail
    return problem(error.status_code, detail, errors=errors or UNSET, headers=dict(error.headers or {}))


def _fields(extra: object) -> dict[str, str]:
    """What Litestar found wrong, by field."""
    if not isinstance(extra, list):
        return {}
    return {str(one.get("key") or "body"): str(one.get("message", "")) for one in extra if isinstance(one, dict)}


def _of_ours(request: AnyRequest, error: QuerywardenError) -> Response[Problem]:
    match error:
        case NotLetIn():
            return problem(401, str(error))
        case Locked():
            return problem(429, str(error), headers={"Retry-After": str(int(error.retry_after_s) + 1)})
        case NotYou():
            return problem(403, str(error))
        case NoDraft():
            return problem(404, str(error))
        case NotNow():
            return problem(409, str(error))
        case Changed():
            return problem(412, str(error))
        case Unfit():
            return problem(422, "the change does not fit", errors=error.errors)
        case SettingsError():
            return problem(422, str(error))
        case _:
            log.warning("A request could not be answered", path=request.url.path, reason=str(error))
            return problem(503, str(error) if isinstance(error, StoreError) else "")


def _of_unknown(_: AnyRequest, error: Unknown) -> Response[Problem]:
    return problem(404, str(error.args[0]) if error.args else "no such thing is kept")


def _of_database(request: AnyRequest, error: SQLAlchemyError) -> Response[Problem]:
    log.error("The dashboard's database cannot be used", path=request.url.path, reason=str(getattr(error, "orig", "")))
    return problem(503, "the dashboard's own database cannot be used just now")


def _of_mistake(request: AnyRequest, error: Exception) -> Response[Problem]:
    log.error("A request ended on a mistake of ours", path=request.url.path, exc_info=error)
    return problem(500)


HANDLERS: ExceptionHandlersMap = {
    HTTPException: _of_http,
    QuerywardenError: _of_ours,
    Unknown: _of_unknown,
    SQLAlchemyError: _of_database,
    Exception: _of_mistake,
}
JSON = MediaType.JSON
