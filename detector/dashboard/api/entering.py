"""Logging in and out, and API tokens."""

from __future__ import annotations

from typing import Annotated, Any

from litestar import Request, Response, delete, get, post
from litestar.datastructures import Cookie
from litestar.exceptions import NotFoundException
from litestar.params import JSONBody, PathParameter, QueryParameter
from litestar.response import Redirect

from detector.dashboard.access.entrance import Locked
from detector.dashboard.access.person import Person
from detector.dashboard.api import asked
from detector.dashboard.api.guarding import ANYBODY, address_of, cookie_name, role, ways_of
from detector.dashboard.api.house import FromHouse, House
from detector.dashboard.keeping import entering
from detector.dashboard.shapes import Login, NewToken, Page, Session, Token, Ways

TokenId = Annotated[str, PathParameter(pattern="^[0-9a-f]{16}$")]
Asking = Request[Any, Any, Any]


@get("/ways", opt=role(ANYBODY), sync_to_thread=False)
def ways(house: FromHouse) -> Ways:
    return ways_of(house)


@post("/login", opt=role(ANYBODY), status_code=200, sync_to_thread=True, raises=asked.raises(429))
def login(house: FromHouse, request: Asking, data: JSONBody[Login]) -> Response[Session]:
    paced(house, request)
    person = house.entrance.local(data.name, data.password, address_of(request))
    return Response(_session(person), cookies=[cookie_of(person, house)])


@post("/logout", opt=role("viewer"), status_code=204, sync_to_thread=True)
def logout(house: FromHouse, request: Asking) -> Response[None]:
    house.entrance.leave(request.user)
    return Response(None, cookies=[_cookie(house, "", 0)])


@get("/session", opt=role("viewer"), sync_to_thread=False)
def session(request: Asking) -> Session:
    return _session(request.user)


@get("/tokens", opt=role("admin"), sync_to_thread=True)
def tokens(house: FromHouse, cursor: asked.Cursor = None, limit: asked.Limit = asked.LIMIT) -> Page[Token]:
    with house.reading.begin() as db:
        found, total = entering.tokens(db, cursor, limit)
    return Page(found, total, found[-1].id if len(found) == limit else None)


@post("/tokens", opt=role("admin"), status_code=201, sync_to_thread=True)
def make_token(house: FromHouse, request: Asking, data: JSONBody[NewToken]) -> Token:
    """The answer holds the secret, this once."""
    return house.entrance.make_token(data, request.user)


@delete("/tokens/{token_id:str}", opt=role("admin"), sync_to_thread=True, raises=asked.raises(404))
def revoke_token(house: FromHouse, request: Asking, token_id: TokenId) -> None:
    if not house.entrance.revoke(token_id, request.user):
        raise NotFoundException("there is no such token")


@get("/link", opt=role(ANYBODY), include_in_schema=False, sync_to_thread=True)
def link(house: FromHouse, request: Asking, token: Annotated[str, QueryParameter(max_length=200)] = "") -> Redirect:
    """The one-time link of a first start."""
    paced(house, request)
    person = house.entrance.by_link(token, address_of(request))
    return Redirect("/", status_code=303, cookies=[cookie_of(person, house)])


def paced(house: House, request: Asking) -> None:
    """Raises Locked when this address, or everybody together, tried too often."""
    wait_s = house.pace.wait_s(address_of(request))
    if wait_s:
        raise Locked("too many tries; wait a minute", wait_s)


def cookie_of(person: Person, house: House) -> Cookie:
    return _cookie(house, person.secret, int(person.expires_at - house.now()))


def _cookie(house: House, secret: str, seconds: int) -> Cookie:
    """Strict: no page of another site can have it sent, not even by a link; our own page asks for its data itself."""
    name = cookie_name(house.secure)
    return Cookie(
        key=name, value=secret, max_age=seconds, path="/", secure=house.secure, httponly=True, samesite="strict"
    )


def _session(person: Person) -> Session:
    return Session(person.name, person.role, person.csrf if person.secret else "", person.expires_at)


HANDLERS = (ways, login, logout, session, tokens, make_token, revoke_token)
