"""Before any handler: who asks, from which page, and whether his role is enough."""

from __future__ import annotations

from typing import Any

import anyio
from litestar.connection import ASGIConnection
from litestar.exceptions import HTTPException, NotAuthorizedException, PermissionDeniedException
from litestar.handlers import BaseRouteHandler
from litestar.middleware import AbstractAuthenticationMiddleware, AuthenticationResult
from litestar.types import ASGIApp

from detector.dashboard.access.person import Person, may
from detector.dashboard.api.house import House
from detector.dashboard.shapes import Ways
from detector.dashboard_settings import ROLES

ANYBODY = "anybody"
SAFE = ("GET", "HEAD", "OPTIONS")
BEARER = "Bearer "
Connection = ASGIConnection[Any, Any, Any, Any]


def role(least: str) -> dict[str, Any]:
    """The least role for a handler, as its `opt`; every handler of the API says one."""
    assert least in (ANYBODY, *ROLES)
    return {"role": least}


def cookie_name(secure: bool) -> str:
    """`__Host-`: only by https, of this host alone, for all paths (RFC 6265bis, 4.1.3.2)."""
    return "__Host-querywarden" if secure else "querywarden"


def authentication(house: House) -> type[AbstractAuthenticationMiddleware]:
    """The middleware that finds out who asks: by token where one is given, else by session."""

    class Known(AbstractAuthenticationMiddleware):
        def __init__(self, app: ASGIApp) -> None:
            super().__init__(app)

        async def authenticate_request(self, connection: Connection) -> AuthenticationResult:
            return AuthenticationResult(user=await anyio.to_thread.run_sync(person_of, connection, house), auth=None)

    return Known


def person_of(connection: Connection, house: House) -> Person | None:
    given = connection.headers.get("authorization")
    if given is not None:
        return house.entrance.of_token(given.removeprefix(BEARER)) if given.startswith(BEARER) else None
    secret = connection.cookies.get(cookie_name(house.secure))
    return house.entrance.of_session(secret) if secret else None


def guard(connection: Connection, handler: BaseRouteHandler) -> None:
    """401 without a person, 403 for another site's page, a missing CSRF token, or too low a role."""
    house: House = connection.app.state.house
    least = handler.opt["role"]
    changes = connection.scope.get("method") not in SAFE
    if changes:
        _check_origin(connection, house)
    if least == ANYBODY:
        return
    person: Person | None = connection.user
    if person is None:
        raise NotAuthorizedException("log in first", headers={"WWW-Authenticate": "Bearer"})
    if changes and person.secret and not person.same_csrf(connection.headers.get("x-csrf-token", "")):
        raise PermissionDeniedException("the header X-CSRF-Token is missing or wrong")
    if not may(person.role, least):
        raise PermissionDeniedException(f"this needs the role {least}, and you are {person.role}")


def _check_origin(connection: Connection, house: House) -> None:
    """Browsers say which page sent a request; what is no browser says nothing, and holds no cookie of somebody's."""
    origin = connection.headers.get("origin")
    site = connection.headers.get("sec-fetch-site", "same-origin")
    if (origin is not None and origin not in house.origins) or site not in ("same-origin", "none"):
        raise PermissionDeniedException("this was sent by a page of another site")


def address_of(connection: Connection) -> str:
    return connection.client.host if connection.client else ""


def etag_of(connection: Connection) -> str:
    """What `If-Match` holds: one strong tag, or `*`."""
    given = connection.headers.get("if-match")
    if given is None:
        raise HTTPException("say in If-Match which version of the draft you mean", status_code=428)
    return given.strip().removeprefix('"').removesuffix('"')


def ways_of(house: House) -> Ways:
    oidc = house.settings.oidc
    return Ways(local=house.settings.local is not None, oidc=oidc.label if oidc else None)
