"""What every answer says to browsers, and by which names we may be called."""

from __future__ import annotations

import msgspec
from litestar.datastructures import MutableScopeHeaders
from litestar.enums import ScopeType
from litestar.types import ASGIApp, Message, Receive, Scope, Send

from detector.dashboard.api.house import House
from detector.dashboard.shapes import Problem

CSP = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; font-src 'self'; "
    "connect-src 'self'; manifest-src 'self'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'"
)
ALWAYS = {
    "Content-Security-Policy": CSP,
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": "camera=(), geolocation=(), microphone=(), payment=(), usb=()",
}
HTTPS = {"Strict-Transport-Security": "max-age=31536000"}
MISDIRECTED = 421


def headers(house: House, app: ASGIApp) -> ASGIApp:
    """Around the whole application, its errors too. A name that is not ours is refused: a page of another site could
    have its name lead to our address (DNS rebinding), and would then be of our origin.
    """
    said = {**ALWAYS, **(HTTPS if house.secure else {})}

    async def around(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != ScopeType.HTTP:
            await app(scope, receive, send)
            return

        async def sent(message: Message) -> None:
            if message["type"] == "http.response.start":
                out = MutableScopeHeaders.from_message(message)
                for name, value in said.items():
                    out[name] = value
                if "cache-control" not in out:
                    out["Cache-Control"] = "no-store"
            await send(message)

        if _host(scope) in house.hosts:
            await app(scope, receive, sent)
        else:
            await _misdirected(sent)

    return around


def _host(scope: Scope) -> str:
    given = next((value for name, value in scope["headers"] if name == b"host"), b"").decode("latin-1").lower()
    return given.rpartition(":")[0] if given.rpartition(":")[2].isdecimal() else given


async def _misdirected(send: Send) -> None:
    body = Problem(
        title="Misdirected Request", status=MISDIRECTED, detail="this is not the name of the dashboard (public_url)"
    )
    raw = msgspec.json.encode(body)
    named = [(b"content-type", b"application/problem+json"), (b"content-length", str(len(raw)).encode())]
    await send({"type": "http.response.start", "status": MISDIRECTED, "headers": named})
    await send({"type": "http.response.body", "body": raw, "more_body": False})
