"""Every way in: a session by the local account, the provider or the one-time link, and tokens. Each leaves an entry."""

from __future__ import annotations

import hashlib
import hmac
import secrets
import threading
from collections.abc import Callable

import msgspec
from sqlalchemy import Engine

from detector.dashboard.access import passwords
from detector.dashboard.access.person import Person
from detector.dashboard.keeping import audit, entering
from detector.dashboard.keeping.audit import Deed
from detector.dashboard.keeping.entering import SessionRow
from detector.dashboard.keeping.opening import reading
from detector.dashboard.shapes import NewToken, Token
from detector.dashboard_settings import DashboardSettings, Role
from detector.errors import QuerywardenError

FAILURES = 5  # in a row until an account is locked
LOCKED_S = 900.0
HOUR_S, DAY_S = 3_600.0, 86_400.0
LINK = "link"
MARK = "qw_"  # before an API token, so that whoever finds one knows what it opens
SOMEBODY = "(nobody)"  # who tried and is not known: what he typed may be a password


class NotLetIn(QuerywardenError):
    """The name or the password is wrong, or a link was used."""


class Locked(QuerywardenError):
    def __init__(self, message: str, retry_after_s: float) -> None:
        super().__init__(message)
        self.retry_after_s = retry_after_s


class Entrance:
    """now: wall clock in seconds. link: the secret of the one-time link, where one is given out."""

    def __init__(
        self, settings: DashboardSettings, engine: Engine, now: Callable[[], float], *, link: str | None = None
    ) -> None:
        self._settings = settings
        self._engine = engine
        self._reading = reading(engine)
        self._now = now
        self._link = link
        self._taking = threading.Lock()
        self._hash = settings.local.password_hash.reveal() if settings.local else ""
        if settings.local:
            passwords.check_hash(self._hash)
        self.end_others()

    def end_others(self) -> None:
        """Sessions end with the account, or the password, by which they were begun."""
        methods = [LINK] if self._link else []
        if self._settings.local:
            methods.append(self._local_method())
        if self._settings.oidc:
            methods.append(self.oidc_method())
        with self._engine.begin() as db:
            entering.end_others(db, methods, self._now())

    # -- in

    def local(self, name: str, password: str, address: str) -> Person:
        """Raises NotLetIn, or Locked after FAILURES in a row: then the right password is not looked at either."""
        account = self._settings.local
        known = account is not None and hmac.compare_digest(_bytes(account.name), _bytes(name))
        shown = name if known else SOMEBODY
        with self._reading.begin() as db:
            until = entering.locked_until(db, name, self._now())
        if until is not None:
            raise Locked("too many failures in a row; try again later", until - self._now())
        if not passwords.fits(password, self._hash if known else None):
            self._count_failure(name, shown, address)
            raise NotLetIn("the name or the password is wrong")
        assert account is not None
        with self._engine.begin() as db:
            entering.forgive(db, name)
        return self._begin(f"local:{account.name}", account.name, "admin", self._local_method(), address)

    def by_link(self, given: str, address: str) -> Person:
        """Raises NotLetIn for a link that was used, or is none."""
        with self._taking:
            if self._link is None or not hmac.compare_digest(_bytes(self._link), _bytes(given)):
                self._write(Deed(who=SOMEBODY, role="", what="login.failed", subject="link", after=_json(address)))
                raise NotLetIn("this link was used, or is none; a restart of the dashboard prints a new one")
            self._link = secrets.token_urlsafe(32)  # known to nobody
        return self._begin("link", "first-start", "admin", LINK, address)

    def by_provider(self, subject: str, name: str, role: Role, address: str) -> Person:
        """subject: the provider's id of the person."""
        return self._begin(f"oidc:{subject}", name, role, self.oidc_method(), address)

    def refused_by_provider(self, who: str, why: str, address: str) -> None:
        self._write(Deed(who=who, role="", what="login.failed", subject="oidc", why=why, after=_json(address)))

    def _begin(self, id_: str, name: str, role: Role, method: str, address: str) -> Person:
        secret = secrets.token_urlsafe(32)
        expires_at = self._now() + self._settings.session_h * HOUR_S
        person = Person(id=id_, name=name, role=role, expires_at=expires_at, secret=secret)
        with self._engine.begin() as db:
            entering.add_session(db, secret, SessionRow(id_, name, role, method, expires_at))
            way = method.partition(":")[0]
            deed = Deed(who=person.who, role=role, what="login", subject=way, after=_json(address))
            audit.append(db, deed, self._now())
        return person

    def _count_failure(self, name: str, shown: str, address: str) -> None:
        with self._engine.begin() as db:
            count = entering.failed(db, name, self._now(), forget_s=LOCKED_S)
            deed = Deed(who=shown, role="", what="login.failed", subject="local", after=_json(address))
            audit.append(db, deed, self._now())
            if count >= FAILURES:
                entering.lock(db, name, self._now() + LOCKED_S)
                audit.append(db, msgspec.structs.replace(deed, what="login.locked"), self._now())

    # -- inside

    def of_session(self, secret: str) -> Person | None:
        with self._reading.begin() as db:
            row = entering.session(db, secret, self._now())
        if row is None:
            return None
        return Person(id=row.person, name=row.name, role=row.role, expires_at=row.expires_at, secret=secret)

    def of_token(self, text: str) -> Person | None:
        id_, _, secret = text.removeprefix(MARK).partition("_")
        if not text.startswith(MARK) or not secret:
            return None
        with self._engine.begin() as db:
            row = entering.token(db, id_, secret, self._now())
        if row is None:
            return None
        token = row.token
        name = f"{token.by} (token {token.name})"
        return Person(id=row.by_id, name=name, role=token.role, expires_at=token.expires_at)

    def leave(self, person: Person) -> None:
        with self._engine.begin() as db:
            entering.end_session(db, person.secret)
            audit.append(db, Deed(who=person.who, role=person.role, what="logout"), self._now())

    def make_token(self, wanted: NewToken, by: Person) -> Token:
        """The secret is shown this once."""
        id_, secret = secrets.token_hex(8), secrets.token_urlsafe(32)
        made_at = self._now()
        token = Token(id_, wanted.name, wanted.role, by.name, made_at, made_at + wanted.days * DAY_S)
        with self._engine.begin() as db:
            entering.add_token(db, token, by.id, secret)
            deed = Deed(who=by.who, role=by.role, what="token.made", subject=id_, after=_json(token))
            audit.append(db, deed, made_at)
        return msgspec.structs.replace(token, secret=f"{MARK}{id_}_{secret}")

    def revoke(self, id_: str, by: Person) -> bool:
        """Whether there was such a token."""
        with self._engine.begin() as db:
            token = entering.revoke(db, id_)
            if token is not None:
                deed = Deed(who=by.who, role=by.role, what="token.revoked", subject=id_, before=_json(token))
                audit.append(db, deed, self._now())
        return token is not None

    # -- which account

    def _local_method(self) -> str:
        account = self._settings.local
        assert account is not None
        mark = hashlib.sha256(f"{account.name}:{self._hash}".encode()).hexdigest()
        return f"local:{mark[:16]}"

    def oidc_method(self) -> str:
        assert self._settings.oidc is not None
        return f"oidc:{self._settings.oidc.issuer}"

    def _write(self, deed: Deed) -> None:
        with self._engine.begin() as db:
            audit.append(db, deed, self._now())


def _json(value: object) -> str:
    return msgspec.json.encode(value).decode()


def _bytes(text: str) -> bytes:
    return text.encode("utf-8", "surrogatepass")
