"""The dashboard's own database: the same tables and the same behaviour on SQLite and on a real PostgreSQL."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy import Engine, inspect, text, update
from sqlalchemy.exc import DBAPIError

from detector.cli import main
from detector.dashboard.keeping import audit, drafts, entering
from detector.dashboard.keeping.audit import Deed
from detector.dashboard.keeping.opening import file_url, opened
from detector.dashboard.keeping.tables import AUDIT, METADATA
from detector.dashboard.shapes import Change
from detector.errors import SettingsError, StoreError
from tests.servers.postgres import Databases

NOW = 1_800_000_000.123


@pytest.fixture(params=["sqlite", pytest.param("postgres", marks=pytest.mark.server)])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """Of a database in which nothing is."""
    if request.param == "sqlite":
        return file_url(tmp_path)
    databases: Databases = request.getfixturevalue("databases")
    return databases.new()


@pytest.fixture
def engine(url: str) -> Iterator[Engine]:
    found = opened(url)
    yield found
    found.dispose()


def write(engine: Engine, *whats: str) -> None:
    for what in whats:
        with engine.begin() as db:
            audit.append(db, Deed(who="anna", role="admin", what=what, why="ü\x00"), NOW)


def state(engine: Engine) -> tuple[int, int | None]:
    with engine.begin() as db:
        found = audit.state(db)
    return found.entries, found.broken_at


def test_migrations_make_the_tables_that_the_code_knows(engine: Engine) -> None:
    with engine.connect() as db:
        differences = compare_metadata(MigrationContext.configure(db), METADATA)
    assert [one for one in differences if "alembic_version" not in str(one)] == []


def test_a_second_start_changes_nothing(url: str, engine: Engine) -> None:
    write(engine, "a")
    opened(url).dispose()
    assert state(engine) == (1, None)


def test_many_may_start_at_once(url: str) -> None:
    failed: list[Exception] = []

    def start() -> None:
        try:
            opened(url).dispose()
        except StoreError as error:
            failed.append(error)

    threads = [threading.Thread(target=start) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failed == []


def test_a_database_of_a_newer_version_is_refused(url: str, engine: Engine) -> None:
    with engine.begin() as db:
        db.execute(text("UPDATE alembic_version SET version_num = '9999'"))
    with pytest.raises(StoreError, match="newer querywarden"):
        opened(url)


def test_a_migration_that_fails_leaves_nothing(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    from alembic import op

    real = op.create_table

    def failing(name: str, *columns: object, **kwargs: object) -> object:
        if name == "tokens":
            raise DBAPIError("CREATE TABLE tokens", {}, Exception("no"))
        return real(name, *columns, **kwargs)  # type: ignore[arg-type]

    monkeypatch.setattr(op, "create_table", failing)
    with pytest.raises(StoreError, match="cannot be used"):
        opened(url)
    monkeypatch.undo()
    engine = opened(url)
    assert set(inspect(engine).get_table_names()) == {*METADATA.tables, "alembic_version"}
    engine.dispose()


# -- the audit


def test_the_chain_holds(engine: Engine) -> None:
    write(engine, "a", "b", "c")
    assert state(engine) == (3, None)
    with engine.begin() as db:
        rows, total = audit.newest(db, None, 2)
        assert ([one.what for one in rows], total) == (["c", "b"], 3)
        assert [one.what for one in audit.newest(db, 2, 9)[0]] == ["a"]
        assert rows[0].made_at == NOW
        assert rows[0].why == "ü\ufffd"


def test_the_database_refuses_to_change_the_audit(engine: Engine) -> None:
    write(engine, "a", "b")
    for change in (update(AUDIT).values(who="nobody"), AUDIT.delete()):
        with pytest.raises(DBAPIError, match="append-only"), engine.begin() as db:
            db.execute(change)
    assert state(engine) == (2, None)


def unguarded(engine: Engine) -> None:
    """As somebody can who owns the database."""
    with engine.begin() as db:
        if engine.dialect.name == "sqlite":
            db.execute(text("DROP TRIGGER audit_append_only_update"))
            db.execute(text("DROP TRIGGER audit_append_only_delete"))
        else:
            db.execute(text("DROP TRIGGER audit_append_only ON audit"))


@pytest.mark.parametrize("field", ["who", "role", "what", "subject", "why", "before", "after", "made_ms", "hash"])
def test_a_changed_entry_is_found(engine: Engine, field: str) -> None:
    write(engine, "a", "b", "c")
    unguarded(engine)
    with engine.begin() as db:
        changed = {field: 1 if field == "made_ms" else "0" * 64}
        db.execute(update(AUDIT).where(AUDIT.c.seq == 2).values(changed))
    assert state(engine) == (3, 2)


def test_an_entry_that_was_taken_out_is_found(engine: Engine) -> None:
    write(engine, "a", "b", "c")
    unguarded(engine)
    with engine.begin() as db:
        db.execute(AUDIT.delete().where(AUDIT.c.seq == 2))
    assert state(engine) == (2, 3)


def test_an_entry_with_a_hash_of_its_own_breaks_what_follows(engine: Engine) -> None:
    write(engine, "a", "b", "c")
    unguarded(engine)
    with engine.begin() as db:
        row = dict(db.execute(AUDIT.select().where(AUDIT.c.seq == 1)).one()._mapping)
        row["who"] = "somebody else"
        row["hash"] = audit.hashed(row, audit.GENESIS)
        db.execute(update(AUDIT).where(AUDIT.c.seq == 1).values(row))
    assert state(engine) == (3, 2)


def seen(engine: Engine, chain: audit.Chain, *, whole: bool = False) -> tuple[int, int | None, int]:
    with engine.begin() as db:
        found = chain.state(db, whole=whole)
    return found.entries, found.broken_at, found.known


def test_a_chain_is_followed_on_from_where_it_was(engine: Engine, monkeypatch: pytest.MonkeyPatch) -> None:
    chain = audit.Chain()
    write(engine, "a", "b", "c")
    assert seen(engine, chain) == (3, None, 0)
    write(engine, "d")
    hashed, asked = audit.hashed, list[object]()
    monkeypatch.setattr(audit, "hashed", lambda row, previous: asked.append(row["seq"]) or hashed(row, previous))
    assert seen(engine, chain) == (4, None, 3)
    assert asked == [4]


def test_an_old_entry_that_was_changed_is_found_when_all_are_followed(engine: Engine) -> None:
    chain = audit.Chain()
    write(engine, "a", "b", "c")
    seen(engine, chain)
    unguarded(engine)
    with engine.begin() as db:
        db.execute(update(AUDIT).where(AUDIT.c.seq == 2).values(who="somebody else"))
    assert seen(engine, chain) == (3, None, 3)  # it knows them
    assert seen(engine, chain, whole=True) == (3, 2, 0)
    assert seen(engine, audit.Chain()) == (3, 2, 0)  # as after a start
    assert state(engine) == (3, 2)  # as --verify-audit


def test_what_is_changed_at_the_end_that_is_known_is_found_at_once(engine: Engine) -> None:
    chain = audit.Chain()
    write(engine, "a", "b", "c")
    seen(engine, chain)
    unguarded(engine)
    with engine.begin() as db:
        db.execute(update(AUDIT).where(AUDIT.c.seq == 3).values(hash="0" * 64))
    assert seen(engine, chain) == (3, 3, 0)
    with engine.begin() as db:
        db.execute(AUDIT.delete().where(AUDIT.c.seq > 1))
    assert seen(engine, chain) == (1, 2, 0)  # cut off


def test_writers_at_once_make_one_chain(engine: Engine) -> None:
    threads = [threading.Thread(target=write, args=(engine, *"abcde")) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert state(engine) == (20, None)


# -- what else is kept


def test_of_two_who_revise_a_draft_one_is_first(engine: Engine) -> None:
    with engine.begin() as db:
        kept = drafts.add(
            db, title="a", why="b", by="anna", by_id="1", base="p", change=Change(cool_down_s=1.0), now=NOW, review=True
        )
        assert drafts.revise(db, kept, title="first")
        assert not drafts.revise(db, kept, title="second")
        found = drafts.get(db, kept.draft.id, True)
    assert found is not None
    assert (found.draft.title, found.draft.change) == ("first", Change(cool_down_s=1.0))
    assert found.draft.etag != kept.draft.etag


def test_failures_at_once_are_all_counted(engine: Engine) -> None:
    def fail() -> None:
        with engine.begin() as db:
            entering.failed(db, "anna", NOW, forget_s=900)

    threads = [threading.Thread(target=fail) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    with engine.begin() as db:
        assert entering.failed(db, "anna", NOW, forget_s=900) == 9


def test_a_login_is_taken_once(engine: Engine) -> None:
    row = entering.LoginRow("state", "nonce", "verifier")
    with engine.begin() as db:
        entering.add_login(db, "secret", row, now=NOW, wait_s=600)
        assert entering.take_login(db, "secret", NOW) == row
        assert entering.take_login(db, "secret", NOW) is None


# -- which database


def test_another_kind_of_database_is_refused() -> None:
    with pytest.raises(SettingsError, match="mysql is not known"):
        opened("mysql://root:secret@127.0.0.1/x")


def test_what_is_no_url_is_refused_and_not_shown() -> None:
    with pytest.raises(SettingsError) as raised:
        opened("secret")
    assert "secret" not in str(raised.value)


def test_a_database_that_is_away_is_said_without_its_password() -> None:
    with pytest.raises(StoreError, match="cannot be used") as raised:
        opened("postgresql://u:secret@127.0.0.1:1/x")
    assert "secret" not in str(raised.value)


def test_the_command_follows_the_chain(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "store").mkdir()
    config = tmp_path / "querywarden.toml"
    config.write_text(f'[source]\ntype = "file"\npaths = ["x"]\n[store]\npath = "{tmp_path / "store"}"\n')
    engine = opened(file_url(tmp_path / "store"))
    write(engine, "a", "b")
    command = ["dashboard", "--config", str(config), "--verify-audit"]
    with engine.begin() as db:
        head = audit.state(db).head
    assert main(command) == 0
    assert capsys.readouterr().out == f"The audit holds: 2 entries, head {head}\n"
    unguarded(engine)
    with engine.begin() as db:
        db.execute(update(AUDIT).where(AUDIT.c.seq == 1).values(why="never"))
    assert main(command) == 1
    assert "broken at entry 1" in capsys.readouterr().err
    engine.dispose()
