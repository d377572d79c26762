"""The tables of the dashboard's own database; migrations/ makes them, on SQLite and PostgreSQL alike."""

from __future__ import annotations

from typing import Any

from sqlalchemy import BigInteger, Column, Dialect, Float, Integer, MetaData, String, Table, Text, TypeDecorator

NUL = "\x00"


class Words(TypeDecorator[str]):
    """Text of people. PostgreSQL takes no NUL; neither do we, on either."""

    impl = Text
    cache_ok = True

    def process_bind_param(self, value: str | None, dialect: Dialect) -> Any:
        return None if value is None else storable(value)


def storable(text: str) -> str:
    """
    >>> storable("a\\x00b")
    'a\ufffdb'
    """
    return text.replace(NUL, "\ufffd")


METADATA = MetaData()

# made_ms: wall clock, milliseconds: what was hashed must come back as the same number.
AUDIT = Table(
    "audit",
    METADATA,
    Column("seq", BigInteger, primary_key=True, autoincrement=False),
    Column("made_ms", BigInteger, nullable=False),
    Column("who", Words, nullable=False),
    Column("role", Words, nullable=False),
    Column("what", Words, nullable=False),
    Column("subject", Words, nullable=False),
    Column("why", Words, nullable=False),
    Column("before", Words, nullable=False),
    Column("after", Words, nullable=False),
    Column("hash", String(64), nullable=False),
)

MARKS = Table("marks", METADATA, Column("name", String(64), primary_key=True), Column("value", BigInteger))

# request: the number under which the detector was asked; waiting: not answered yet. *_id: who, for "not the author".
DRAFTS = Table(
    "drafts",
    METADATA,
    Column("id", Integer, primary_key=True),
    Column("revision", Integer, nullable=False),
    Column("state", String(16), nullable=False),
    Column("title", Words, nullable=False),
    Column("why", Words, nullable=False),
    Column("by", Words, nullable=False),
    Column("by_id", Words, nullable=False),
    Column("made_at", Float(53), nullable=False),
    Column("base", Words, nullable=False),
    Column("change", Words, nullable=False),
    Column("approved_by", Words),
    Column("applied_by", Words),
    Column("applied_at", Float(53)),
    Column("since", BigInteger),
    Column("version", Words),
    Column("outcome", Words, nullable=False),
    Column("request", BigInteger),
    Column("waiting", Integer, nullable=False),
)

# secret: SHA-256 of what the browser holds. method: by which account; a session dies with it.
SESSIONS = Table(
    "sessions",
    METADATA,
    Column("secret", String(64), primary_key=True),
    Column("person", Words, nullable=False),
    Column("name", Words, nullable=False),
    Column("role", String(16), nullable=False),
    Column("method", Words, nullable=False),
    Column("expires_at", Float(53), nullable=False),
)

TOKENS = Table(
    "tokens",
    METADATA,
    Column("id", String(16), primary_key=True),
    Column("secret", String(64), nullable=False),
    Column("name", Words, nullable=False),
    Column("role", String(16), nullable=False),
    Column("by", Words, nullable=False),
    Column("by_id", Words, nullable=False),
    Column("made_at", Float(53), nullable=False),
    Column("expires_at", Float(53), nullable=False),
    Column("used_at", Float(53)),
)

LOCKOUTS = Table(
    "lockouts",
    METADATA,
    Column("name", String(64), primary_key=True),  # SHA-256: people type passwords into the wrong field
    Column("failures", Integer, nullable=False),
    Column("last_at", Float(53), nullable=False),
    Column("locked_until", Float(53), nullable=False),
)

LOGINS = Table(
    "logins",
    METADATA,
    Column("secret", String(64), primary_key=True),
    Column("state", String(128), nullable=False),
    Column("nonce", String(128), nullable=False),
    Column("verifier", String(128), nullable=False),
    Column("expires_at", Float(53), nullable=False),
)
