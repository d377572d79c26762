"""Sessions, API tokens, failed logins, and logins that a provider has not answered yet. Secrets are kept as SHA-256."""

from __future__ import annotations

import hashlib
from collections.abc import Collection
from typing import NamedTuple

from sqlalchemy import Connection, delete, func, insert, select, update

from detector.dashboard.keeping.opening import alone
from detector.dashboard.keeping.tables import LOCKOUTS, LOGINS, SESSIONS, TOKENS
from detector.dashboard.shapes import Token
from detector.dashboard_settings import Role

USED_S = 60.0  # how exactly it is kept when a token was last used


class SessionRow(NamedTuple):
    person: str
    name: str
    role: Role
    method: str
    expires_at: float


class TokenRow(NamedTuple):
    token: Token
    by_id: str


class LoginRow(NamedTuple):
    state: str
    nonce: str
    verifier: str


def sha(secret: str) -> str:
    """Fast is enough: what is hashed here is 256 bits of chance, never what a person chose."""
    return hashlib.sha256(secret.encode("utf-8", "surrogatepass")).hexdigest()


# -- sessions


def add_session(db: Connection, secret: str, row: SessionRow) -> None:
    db.execute(insert(SESSIONS).values(secret=sha(secret), **row._asdict()))


def session(db: Connection, secret: str, now: float) -> SessionRow | None:
    row = db.execute(select(SESSIONS).where(SESSIONS.c.secret == sha(secret), SESSIONS.c.expires_at > now)).first()
    return SessionRow(row.person, row.name, row.role, row.method, row.expires_at) if row else None


def end_session(db: Connection, secret: str) -> None:
    db.execute(delete(SESSIONS).where(SESSIONS.c.secret == sha(secret)))


def end_others(db: Connection, methods: Collection[str], now: float) -> None:
    """Ends sessions by accounts that are not there any more, and drops what expired."""
    db.execute(delete(SESSIONS).where((SESSIONS.c.method.not_in(methods)) | (SESSIONS.c.expires_at <= now)))
    db.execute(delete(LOGINS).where(LOGINS.c.expires_at <= now))


# -- tokens


def add_token(db: Connection, token: Token, by_id: str, secret: str) -> None:
    db.execute(
        insert(TOKENS).values(
            id=token.id,
            secret=sha(secret),
            name=token.name,
            role=token.role,
            by=token.by,
            by_id=by_id,
            made_at=token.made_at,
            expires_at=token.expires_at,
        )
    )


def token(db: Connection, id_: str, secret: str, now: float) -> TokenRow | None:
    """The token, if it holds; notes that it was used."""
    same = (TOKENS.c.id == id_) & (TOKENS.c.secret == sha(secret)) & (TOKENS.c.expires_at > now)
    row = db.execute(select(TOKENS).where(same)).first()
    if row is None:
        return None
    if row.used_at is None or row.used_at < now - USED_S:
        db.execute(update(TOKENS).where(TOKENS.c.id == id_).values(used_at=now))
    return TokenRow(_token(row), row.by_id)


def tokens(db: Connection, after: str | None, limit: int) -> tuple[tuple[Token, ...], int]:
    wanted = select(TOKENS).order_by(TOKENS.c.id).limit(limit)
    if after is not None:
        wanted = wanted.where(TOKENS.c.id > after)
    rows = tuple(_token(row) for row in db.execute(wanted))
    return rows, db.execute(select(func.count()).select_from(TOKENS)).scalar_one()


def revoke(db: Connection, id_: str) -> Token | None:
    """Takes a token away; what it was, or None for one that is not there."""
    row = db.execute(select(TOKENS).where(TOKENS.c.id == id_)).first()
    db.execute(delete(TOKENS).where(TOKENS.c.id == id_))
    return _token(row) if row else None


def _token(row) -> Token:  # type: ignore[no-untyped-def]
    return Token(row.id, row.name, row.role, row.by, row.made_at, row.expires_at, row.used_at)


# -- failed logins


def locked_until(db: Connection, name: str, now: float) -> float | None:
    row = db.execute(select(LOCKOUTS.c.locked_until).where(LOCKOUTS.c.name == sha(name))).first()
    return row.locked_until if row and row.locked_until > now else None


def failed(db: Connection, name: str, now: float, *, forget_s: float) -> int:
    """Counts a failure; those of longer than `forget_s` ago are forgotten. Returns how many there were in a row."""
    alone(db, LOCKOUTS)
    db.execute(delete(LOCKOUTS).where(LOCKOUTS.c.last_at < now - forget_s, LOCKOUTS.c.locked_until < now))
    row = db.execute(select(LOCKOUTS.c.failures).where(LOCKOUTS.c.name == sha(name))).first()
    count = row.failures + 1 if row else 1
    if row:
        db.execute(update(LOCKOUTS).where(LOCKOUTS.c.name == sha(name)).values(failures=count, last_at=now))
    else:
        db.execute(insert(LOCKOUTS).values(name=sha(name), failures=count, last_at=now, locked_until=0.0))
    return count


def lock(db: Connection, name: str, until: float) -> None:
    db.execute(update(LOCKOUTS).where(LOCKOUTS.c.name == sha(name)).values(locked_until=until))


def forgive(db: Connection, name: str) -> None:
    db.execute(delete(LOCKOUTS).where(LOCKOUTS.c.name == sha(name)))


# -- logins that a provider has not answered yet


def add_login(db: Connection, secret: str, row: LoginRow, *, now: float, wait_s: float) -> None:
    """Anybody may begin one, so those that expired go at once."""
    db.execute(delete(LOGINS).where(LOGINS.c.expires_at <= now))
    db.execute(insert(LOGINS).values(secret=sha(secret), expires_at=now + wait_s, **row._asdict()))


def take_login(db: Connection, secret: str, now: float) -> LoginRow | None:
    """What was begun with this browser; once."""
    row = db.execute(select(LOGINS).where(LOGINS.c.secret == sha(secret), LOGINS.c.expires_at > now)).first()
    taken = db.execute(delete(LOGINS).where(LOGINS.c.secret == sha(secret))).rowcount == 1
    return LoginRow(row.state, row.nonce, row.verifier) if row and taken else None
