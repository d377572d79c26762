"""The tape of a store, kept for longer than the store keeps it. A step that was released is never changed."""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"


def upgrade() -> None:
    op.create_table(
        "tapes",
        sa.Column("id", sa.Integer, primary_key=True),
        sa.Column("profile", sa.String(64), nullable=False, unique=True),
        *(sa.Column(name, sa.BigInteger, nullable=False) for name in ("seq", "epoch")),
        sa.Column("mark", sa.LargeBinary),
    )
    op.create_table(
        "forgotten",
        sa.Column("tape", sa.Integer, primary_key=True, autoincrement=False),
        sa.Column("id", sa.BigInteger, primary_key=True, autoincrement=False),
    )
    op.create_table(
        "points",
        sa.Column("tape", sa.Integer, primary_key=True, autoincrement=False),
        sa.Column("key", sa.LargeBinary, primary_key=True),
        sa.Column("n", sa.BigInteger, primary_key=True, autoincrement=False),
        sa.Column("budget", sa.Boolean, primary_key=True, autoincrement=False),
        *(sa.Column(name, sa.BigInteger, nullable=False) for name in ("seq", "at")),
        sa.Column("tick", sa.BigInteger),
        sa.Column("level", sa.Text, nullable=False),
        sa.Column("score", sa.Integer, nullable=False),
        sa.Column("point", sa.LargeBinary, nullable=False),
    )
    op.create_index("points_seq", "points", ["tape", "seq"])
    op.create_index("points_at", "points", ["tape", "at"])
    op.create_table(
        "asked",
        sa.Column("tape", sa.Integer, primary_key=True, autoincrement=False),
        sa.Column("tick", sa.BigInteger, primary_key=True, autoincrement=False),
        *(sa.Column(name, sa.BigInteger, nullable=False) for name in ("queries", "seq")),
    )
    op.create_index("asked_seq", "asked", ["tape", "seq"])
