"""The tables of the first version. A step that was released is never changed."""

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None

APPEND_ONLY = "the audit is append-only"


def upgrade() -> None:
    op.create_table(
        "audit",
        sa.Column("seq", sa.BigInteger, primary_key=True, autoincrement=False),
        sa.Column("made_ms", sa.BigInteger, nullable=False),
        *(sa.Column(name, sa.Text, nullable=False) for name in ("who", "role", "what", "subject", "why")),
        *(sa.Column(name, sa.Text, nullable=False) for name in ("before", "after")),
        sa.Column("hash", sa.String(64), nullable=False),
    )
    _append_only()
    op.create_table("marks", sa.Column("name", sa.String(64), primary_key=True), sa.Column("value", sa.BigInteger))
    op.create_table(
        "drafts",
        sa.Column("id", sa.Integer, primary_key=True),
        sa.Column("revision", sa.Integer, nullable=False),
        sa.Column("state", sa.String(16), nullable=False),
        *(sa.Column(name, sa.Text, nullable=False) for name in ("title", "why", "by", "by_id")),
        sa.Column("made_at", sa.Float(53), nullable=False),
        *(sa.Column(name, sa.Text, nullable=False) for name in ("base", "change")),
        *(sa.Column(name, sa.Text) for name in ("approved_by", "applied_by")),
        sa.Column("applied_at", sa.Float(53)),
        sa.Column("since", sa.BigInteger),
        sa.Column("version", sa.Text),
        sa.Column("outcome", sa.Text, nullable=False),
        sa.Column("request", sa.BigInteger),
        sa.Column("waiting", sa.Integer, nullable=False),
    )
    op.create_table(
        "sessions",
        sa.Column("secret", sa.String(64), primary_key=True),
        *(sa.Column(name, sa.Text, nullable=False) for name in ("person", "name")),
        sa.Column("role", sa.String(16), nullable=False),
        sa.Column("method", sa.Text, nullable=False),
        sa.Column("expires_at", sa.Float(53), nullable=False),
    )
    op.create_table(
        "tokens",
        sa.Column("id", sa.String(16), primary_key=True),
        sa.Column("secret", sa.String(64), nullable=False),
        sa.Column("name", sa.Text, nullable=False),
        sa.Column("role", sa.String(16), nullable=False),
        *(sa.Column(name, sa.Text, nullable=False) for name in ("by", "by_id")),
        *(sa.Column(name, sa.Float(53), nullable=False) for name in ("made_at", "expires_at")),
        sa.Column("used_at", sa.Float(53)),
    )
    op.create_table(
        "lockouts",
        sa.Column("name", sa.String(64), primary_key=True),
        sa.Column("failures", sa.Integer, nullable=False),
        *(sa.Column(name, sa.Float(53), nullable=False) for name in ("last_at", "locked_until")),
    )
    op.create_table(
        "logins",
        sa.Column("secret", sa.String(64), primary_key=True),
        *(sa.Column(name, sa.String(128), nullable=False) for name in ("state", "nonce", "verifier")),
        sa.Column("expires_at", sa.Float(53), nullable=False),
    )


def _append_only() -> None:
    """A slip is refused by the database; who means it, and may, shows in the chain of hashes."""
    if op.get_bind().dialect.name == "postgresql":
        op.execute(
            "CREATE FUNCTION audit_append_only() RETURNS trigger LANGUAGE plpgsql AS"
            f" $$ BEGIN RAISE EXCEPTION '{APPEND_ONLY}'; END $$"
        )
        op.execute(
            "CREATE TRIGGER audit_append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON audit"
            " FOR EACH STATEMENT EXECUTE FUNCTION audit_append_only()"
        )
        return
    for what in ("UPDATE", "DELETE"):
        op.execute(
            f"CREATE TRIGGER audit_append_only_{what.lower()} BEFORE {what} ON audit"
            f" BEGIN SELECT RAISE(ABORT, '{APPEND_ONLY}'); END"
        )
