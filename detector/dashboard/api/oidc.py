"""The way to the provider and back. Both are links that a person follows; what goes wrong is said on the page."""

from __future__ import annotations

import secrets
from typing import Any

import structlog
from litestar import Request, get
from litestar.datastructures import Cookie
from litestar.exceptions import NotFoundException
from litestar.response import Redirect

from detector.dashboard.access.provider import Begun, Provider, ProviderAway, ProviderRefused
from detector.dashboard.api.entering import cookie_of, paced
from detector.dashboard.api.guarding import ANYBODY, address_of, cookie_name, role
from detector.dashboard.api.house import FromHouse, House
from detector.dashboard.keeping import entering
from detector.dashboard.keeping.entering import LoginRow

WAIT_S = 600  # for the person at the provider
Asking = Request[Any, Any, Any]

log = structlog.get_logger(__name__)


@get("/oidc/login", opt=role(ANYBODY), include_in_schema=False, sync_to_thread=True)
def begin(house: FromHouse, request: Asking) -> Redirect:
    provider = _provider(house)
    paced(house, request)
    try:
        begun = provider.begin(_back(house, request))
    except ProviderAway as error:
        log.warning("The OIDC provider cannot be used", reason=str(error))
        return _to_page("away")
    secret = secrets.token_urlsafe(32)
    with house.engine.begin() as db:
        row = LoginRow(begun.state, begun.nonce, begun.verifier)
        entering.add_login(db, secret, row, now=house.now(), wait_s=WAIT_S)
    return Redirect(begun.url, status_code=303, cookies=[_cookie(house, secret, WAIT_S)])


@get("/oidc/callback", opt=role(ANYBODY), include_in_schema=False, sync_to_thread=True)
def finish(house: FromHouse, request: Asking) -> Redirect:
    provider = _provider(house)
    secret = request.cookies.get(_name(house), "")
    with house.engine.begin() as db:
        row = entering.take_login(db, secret, house.now())
    if row is None:  # an old tab, or an answer to what another browser asked
        return _to_page("failed")
    answer = {name: value for name, value in request.query_params.items() if isinstance(value, str)}
    try:
        claimed = provider.finish(_back(house, request), answer, Begun("", row.state, row.nonce, row.verifier))
    except ProviderAway as error:
        log.warning("The OIDC provider cannot be used", reason=str(error))
        return _to_page("away")
    except ProviderRefused as error:
        house.entrance.refused_by_provider(error.who, str(error), address_of(request))
        return _to_page("refused" if error.who else "failed")
    person = house.entrance.by_provider(*claimed, address_of(request))
    return Redirect("/", status_code=303, cookies=[cookie_of(person, house), _cookie(house, "", 0)])


def _provider(house: House) -> Provider:
    if house.provider is None:
        raise NotFoundException("no OIDC provider is set")
    return house.provider


def _to_page(why: str) -> Redirect:
    """why: `failed`; `refused`, who has no role here; `away`, the provider does not answer."""
    return Redirect(f"/?login={why}", status_code=303)


def _back(house: House, request: Asking) -> str:
    """Where the provider sends the browser: by the name by which it came, so that it has its cookie then."""
    base = house.settings.public_url or f"http://{request.headers['host']}"
    return f"{base}/oidc/callback"


def _name(house: House) -> str:
    return f"{cookie_name(house.secure)}-login"


def _cookie(house: House, secret: str, seconds: int) -> Cookie:
    """Lax: the provider's page, which is another site, sends the browser back with it."""
    return Cookie(
        key=_name(house), value=secret, max_age=seconds, path="/", secure=house.secure, httponly=True, samesite="lax"
    )
