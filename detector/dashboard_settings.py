"""What an operator may set about the dashboard: where it is served, who may log in, and where it keeps its own."""

from __future__ import annotations

from typing import Annotated, Literal

import msgspec
from msgspec import Meta

from detector.secret import Secret

Role = Literal["viewer", "analyst", "engineer", "admin"]
ROLES: tuple[Role, ...] = ("viewer", "analyst", "engineer", "admin")  # each may do what those before it may


class LocalSettings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The one account that needs no identity provider, for the day on which that is away. Its role is `admin`.

    name: with which one logs in.
    password_hash: what `querywarden dashboard --hash-password` printed; never the password.
    """

    name: Annotated[str, Meta(min_length=1, max_length=200)]
    password_hash: Secret


class OidcSettings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """An OpenID Connect provider: Authorization Code with PKCE.

    issuer: as the provider writes it; `/.well-known/openid-configuration` below it is read.
    client_id, client_secret: as registered there; without a secret it is a public client.
    label: the provider's name on the button.
    scopes: what is asked for; `openid` must be among them.
    roles_claim: the claim of the ID token (else of userinfo) that holds groups or roles; dots lead into tables.
    roles: by value of that claim, the role here. Who has none of them may not log in.
    """

    issuer: Annotated[str, Meta(pattern="^https?://")]
    client_id: str
    client_secret: Secret | None = None
    label: str = "single sign-on"
    scopes: tuple[str, ...] = ("openid", "profile", "email")
    roles_claim: str = "groups"
    roles: dict[str, Role] = {}


class DashboardSettings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The dashboard (docs/dashboard.md), which needs the extra `dashboard`.

    serve: whether `querywarden run` serves it, in a process of its own; `querywarden dashboard` serves it by itself.
    host: the address on which it listens. Beyond loopback it needs accounts, and an https `public_url`.
    port: the port of it; 0 takes a free one.
    public_url: how browsers reach it, where a reverse proxy stands before it, such as `https://watch.example`.
    proxies: addresses of reverse proxies; what they say of who asked (`X-Forwarded-For`) is believed.
    database: the URL of a PostgreSQL database, `postgresql://USER:PASSWORD@HOST/NAME`, for drafts, audit,
    sessions, tokens and the scores. Unset: the file `dashboard.sqlite` in the folder of the store.
    history_days: days of log time for which a PostgreSQL `database` keeps the scores too, so that another policy can be
    tried on more than the store keeps. Unset: `store.tape_days`.
    review: whether a second person must approve a draft before it can be applied.
    session_h: hours after which one has to log in again.
    local: table `name`, `password_hash`: the one account that needs no provider.
    oidc: table `issuer`, `client_id`, `client_secret`, `label`, `scopes`, `roles_claim`, `roles`: who may log in by an
    OpenID Connect provider, and as what.
    """

    serve: bool = False
    host: str = "127.0.0.1"
    port: Annotated[int, Meta(ge=0, le=65_535)] = 9465
    public_url: Annotated[str, Meta(pattern="^https?://[^/]+$")] | None = None
    proxies: tuple[str, ...] = ("127.0.0.1", "::1")
    database: Secret | None = None
    history_days: Annotated[int, Meta(ge=1, le=3_650)] | None = None
    review: bool = False
    session_h: Annotated[float, Meta(gt=0, le=720)] = 8.0
    local: LocalSettings | None = None
    oidc: OidcSettings | None = None
