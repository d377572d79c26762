"""Opens the dashboard's database: a file or a PostgreSQL URL, at the newest schema or not at all."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from alembic import command
from alembic.config import Config
from alembic.util import CommandError
from sqlalchemy import Connection, Engine, Table, create_engine, event, make_url, text
from sqlalchemy.exc import ArgumentError, SQLAlchemyError

from detector.errors import SettingsError, StoreError

BUSY_S = 30.0
MIGRATIONS = Path(__file__).parent / "migrations"
READING = "querywarden_reading"
ONE_AT_A_TIME = 0x7175657279  # the advisory lock under which PostgreSQL is migrated


def opened(url: str) -> Engine:
    """The database at `url`, migrated. Raises SettingsError for a URL of neither kind, StoreError when it is away or of
    a newer querywarden. What is said never holds the password.
    """
    try:
        where = make_url(url.replace("postgres://", "postgresql://", 1))
    except ArgumentError as error:
        raise SettingsError("dashboard.database: not a URL such as postgresql://USER:PASSWORD@HOST/NAME") from error
    kind = where.get_backend_name()
    if kind == "sqlite":
        engine = create_engine(where, connect_args={"timeout": BUSY_S})
        event.listen(engine, "connect", _durable)
        event.listen(engine, "begin", _at_once)
    elif kind == "postgresql":
        engine = create_engine(where.set(drivername="postgresql+psycopg"), pool_pre_ping=True)
    else:
        raise SettingsError(f"dashboard.database: {kind} is not known; postgresql is")
    try:
        migrate(engine)
    except CommandError as error:
        engine.dispose()
        raise StoreError(f"{_shown(engine)} was written by a newer querywarden ({error}): run that version") from error
    except SQLAlchemyError as error:
        engine.dispose()
        raise StoreError(f"{_shown(engine)} cannot be used: {getattr(error, 'orig', error)}") from error
    return engine


def file_url(folder: Path) -> str:
    """The URL of the file that is used where no database is set."""
    return f"sqlite:///{folder / 'dashboard.sqlite'}"


def reading(engine: Engine) -> Engine:
    """The same database for transactions that only read: on SQLite they wait for nobody."""
    return engine.execution_options(**{READING: True})


def alone(db: Connection, table: Table) -> None:
    """Nobody else writes `table` until the transaction ends. On SQLite that is so from its start."""
    if db.dialect.name == "postgresql":
        db.execute(text(f"LOCK TABLE {table.name} IN EXCLUSIVE MODE"))


def migrate(engine: Engine) -> None:
    """Takes the steps that the database has not taken, all or none; nothing where there are none."""
    config = Config()
    config.set_main_option("script_location", str(MIGRATIONS))
    with engine.begin() as db:
        if db.dialect.name == "postgresql":
            db.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": ONE_AT_A_TIME})
        config.attributes["connection"] = db
        command.upgrade(config, "head")


def _shown(engine: Engine) -> str:
    return f"the dashboard's database {engine.url.render_as_string(hide_password=True)}"


def _durable(connection: Any, _record: object) -> None:
    """As the store is opened (run/database.py): what was said to be kept survives a power cut."""
    connection.isolation_level = None  # SQLAlchemy begins, not the driver
    cursor = connection.cursor()
    for pragma in ("journal_mode=WAL", "synchronous=FULL", "fullfsync=1", "foreign_keys=1", "secure_delete=1"):
        cursor.execute(f"PRAGMA {pragma}")
    cursor.close()


def _at_once(db: Connection) -> None:
    """Takes the write lock when a transaction begins: one that reads and then writes must not fail half-way."""
    db.exec_driver_sql("BEGIN" if db.get_execution_options().get(READING) else "BEGIN IMMEDIATE")
