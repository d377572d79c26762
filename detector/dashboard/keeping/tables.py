"""The tables of the dashboard's own database; migrations/ makes them, on SQLite and PostgreSQL alike."""

from __future__ import annotations

from typing import Any

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    Dialect,
    Float,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    String,
    Table,
    Text,
    TypeDecorator,
)

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

# The tape of a store, and how far it was copied (history.py). It belongs to one profile: others score otherwise.
# seq: of the last that was copied; epoch: how often something was taken away; mark: MessagePack of how far the
# store was read (reading/tapes.py), NULL: not at all. forgotten: the store's forgettings that were done here, too.
TAPES = Table(
    "tapes",
    METADATA,
    Column("id", Integer, primary_key=True),
    Column("profile", String(64), nullable=False, unique=True),
    Column("seq", BigInteger, nullable=False),
    Column("epoch", BigInteger, nullable=False),
    Column("mark", LargeBinary),
)

FORGOTTEN = Table(
    "forgotten",
    METADATA,
    Column("tape", Integer, primary_key=True, autoincrement=False),
    Column("id", BigInteger, primary_key=True, autoincrement=False),
)

# level: of the entity; score: grid level. point: MessagePack of detector.tape.Point, with the evidence of each signal.
POINTS = Table(
    "points",
    METADATA,
    Column("tape", Integer, primary_key=True, autoincrement=False),
    Column("key", LargeBinary, primary_key=True),
    Column("n", BigInteger, primary_key=True, autoincrement=False),
    Column("budget", Boolean, primary_key=True, autoincrement=False),
    Column("seq", BigInteger, nullable=False),
    Column("at", BigInteger, nullable=False),
    Column("tick", BigInteger),
    Column("level", Words, nullable=False),
    Column("score", Integer, nullable=False),
    Column("point", LargeBinary, nullable=False),
    Index("points_seq", "tape", "seq"),
    Index("points_at", "tape", "at"),
)

ASKED = Table(
    "asked",
    METADATA,
    Column("tape", Integer, primary_key=True, autoincrement=False),
    Column("tick", BigInteger, primary_key=True, autoincrement=False),
    Column("queries", BigInteger, nullable=False),
    Column("seq", BigInteger, nullable=False),
    Index("asked_seq", "tape", "seq"),
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
