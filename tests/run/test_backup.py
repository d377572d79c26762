"""A restored pair of files repeats and never loses; what is damaged, foreign or newer is refused; upgrades."""

from __future__ import annotations

import hashlib
import sqlite3
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import msgspec
import pytest

from detector.errors import StoreError, StoreLocked
from detector.profile import artefact
from detector.run import backup as backups
from detector.run import outbox as outboxes
from detector.run import store as stores
from detector.run.backup import FILES, MANIFEST, OUTBOX, STATE, backup, restore
from detector.run.database import Database, Schema
from detector.run.forgetting import ask
from detector.run.outbox import Outbox
from detector.run.show import show
from detector.run.store import Store
from detector.run.upgrade import upgrade
from tests.run.hour import STREAMS, hour
from tests.run.kept import alerts, kept
from tests.run.made import alert, key, point
from tests.run.scene import Scene, Turn, crashed

AT = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
ALL = [Turn(stream, 10_000, 1.0) for stream in STREAMS]
HALF = [Turn(stream, len(hour().streams[stream]) // 2, 1.5) for stream in STREAMS]


def profile_of(saved: Path) -> str:
    return artefact.load(saved).summary.id


class Watched(Scene):
    """A scene in which a copy is made at a turn of its own, while the runner runs."""

    def copied_at(self, turn: int, target: Path) -> Watched:
        turns = list(self._turns)

        def watched() -> Any:
            for number, one in enumerate(turns):
                if number == turn:
                    backup(self.folder / "store", target, datetime.now(UTC))
                yield one

        self._turns = watched()
        return self


@pytest.mark.parametrize("turn", [1, 2, 3, 5])
def test_a_copy_of_a_running_store_goes_on_as_if_nothing_had_been(saved: Path, tmp_path: Path, turn: int) -> None:
    scene = Watched(tmp_path / "a", saved, hour().streams, [*HALF, *ALL]).copied_at(turn, tmp_path / "copy")
    scene.run()
    whole = kept(tmp_path / "a")
    again = Scene(tmp_path / "b", saved, hour().streams, ALL)
    again.log.written |= scene.log.written
    restore(tmp_path / "copy", tmp_path / "b" / "store", profile_of(saved), force=False, at=AT)
    again.run()
    assert kept(tmp_path / "b") == whole
    assert {a.id for a in alerts(tmp_path / "b")} == {a.id for a in alerts(tmp_path / "a")}


def test_the_outbox_of_a_copy_is_never_behind_its_state(
    saved: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The runner goes on between the two files: what the state includes, the outbox must know."""
    scene = Scene(tmp_path / "a", saved, hour().streams, HALF)
    scene.run()
    real = Database.copy_to

    def copy_to(db: Database, target: Path) -> None:
        real(db, target)
        if target.name == STATE:
            scene._turns = iter(ALL)
            scene.run()  # the rest of the log, before the outbox is copied

    monkeypatch.setattr(Database, "copy_to", copy_to)
    backup(tmp_path / "a" / "store", tmp_path / "copy", AT)
    restore(tmp_path / "copy", tmp_path / "b" / "store", profile_of(saved), force=False, at=AT)
    known = {a.id for a in alerts(tmp_path / "b")}
    again = Scene(tmp_path / "b", saved, hour().streams, ALL)
    again.log.written |= scene.log.written
    again.run()
    assert {a.id for a in alerts(tmp_path / "b")} == known == {a.id for a in alerts(tmp_path / "a")}


def test_a_restored_store_takes_the_place_of_the_old_which_is_kept(saved: Path, tmp_path: Path) -> None:
    scene = Scene(tmp_path, saved, hour().streams, HALF)
    scene.run()
    backup(tmp_path / "store", tmp_path / "copy", AT)
    before = kept(tmp_path)
    scene._turns = iter(ALL)
    scene.run()
    after = kept(tmp_path)
    with pytest.raises(StoreError, match="holds a store already: --force"):
        restore(tmp_path / "copy", tmp_path / "store", profile_of(saved), force=False, at=AT)
    assert kept(tmp_path) == after
    done = restore(tmp_path / "copy", tmp_path / "store", profile_of(saved), force=True, at=AT)
    assert done.aside == tmp_path / "store" / "before-restore-20260102T030405Z"
    assert kept(tmp_path) == before
    (tmp_path / "old").mkdir()
    done.aside.rename(tmp_path / "old" / "store")
    assert kept(tmp_path / "old") == after
    assert not list((tmp_path / "store").glob("*.restoring*"))
    restore(tmp_path / "copy", tmp_path / "store", profile_of(saved), force=True, at=AT)  # a copy is not used up


def test_an_old_log_of_the_database_is_never_replayed_into_a_restored_one(saved: Path, tmp_path: Path) -> None:
    scene = Scene(tmp_path, saved, hour().streams, HALF)
    scene.run()
    backup(tmp_path / "store", tmp_path / "copy", AT)
    before = kept(tmp_path)
    scene._turns = iter(ALL)
    assert crashed(scene.runner(), 12)
    with closing(sqlite3.connect(tmp_path / "store" / STATE)) as left_open:  # keeps the log from being moved
        left_open.execute("SELECT count(*) FROM rows").fetchone()
        (tmp_path / "store" / f"{STATE}-wal").write_bytes(
            (tmp_path / "store" / f"{STATE}-wal").read_bytes() or b"x" * 64
        )
        restore(tmp_path / "copy", tmp_path / "store", profile_of(saved), force=True, at=AT)
    assert kept(tmp_path) == before


def test_nothing_is_restored_while_a_runner_writes(saved: Path, tmp_path: Path) -> None:
    scene = Scene(tmp_path, saved, hour().streams, HALF)
    scene.run()
    backup(tmp_path / "store", tmp_path / "copy", AT)
    runner = scene.runner()
    with pytest.raises(StoreLocked, match="is being written by process"):
        restore(tmp_path / "copy", tmp_path / "store", profile_of(saved), force=True, at=AT)
    with pytest.raises(StoreLocked, match="is being written by process"):
        upgrade(tmp_path / "store")
    runner.run()


@pytest.fixture
def copy(tmp_path: Path) -> Path:
    """A backup of a small made-up store of the profile p."""
    (tmp_path / "made").mkdir()
    with closing(Store(tmp_path / "made" / STATE, profile="p")) as store:
        store.save(positions={"s": 7}, rows=[(key(1), b"row")], names=[(key(1), "m", "client", "ann")])
    with closing(Outbox(tmp_path / "made" / OUTBOX)) as outbox:
        outbox.put([alert(1)])
    backup(tmp_path / "made", tmp_path / "copy", AT)
    return tmp_path / "copy"


def test_the_manifest_says_what_was_copied(copy: Path) -> None:
    manifest = backups.manifest_of(copy)
    assert (manifest.profile, manifest.positions, manifest.made_at) == ("p", {"s": 7}, "2026-01-02T03:04:05+00:00")
    assert {name: file.schema for name, file in manifest.files.items()} == {STATE: 4, OUTBOX: 2}
    assert sorted(path.name for path in copy.iterdir()) == [MANIFEST, OUTBOX, STATE]


@pytest.mark.parametrize("name", [STATE, OUTBOX])
def test_a_file_whose_bytes_were_changed_is_refused(copy: Path, tmp_path: Path, name: str) -> None:
    body = bytearray((copy / name).read_bytes())
    body[len(body) // 2] ^= 1
    (copy / name).write_bytes(body)
    with pytest.raises(StoreError, match=f"{name} is not the file that was backed up"):
        restore(copy, tmp_path / "new", "p", force=False, at=AT)
    (copy / name).unlink()
    with pytest.raises(StoreError, match=f"lacks {name}"):
        restore(copy, tmp_path / "new", "p", force=False, at=AT)
    assert not (tmp_path / "new").exists()


def test_what_is_foreign_newer_or_no_backup_is_refused(copy: Path, tmp_path: Path) -> None:
    with pytest.raises(StoreError, match="holds rows of profile p, the settings name q"):
        restore(copy, tmp_path / "new", "q", force=False, at=AT)
    manifest = msgspec.json.decode((copy / MANIFEST).read_bytes())
    manifest["files"][STATE]["schema"] = 99
    (copy / MANIFEST).write_bytes(msgspec.json.encode(manifest))
    with pytest.raises(StoreError, match="made by a newer querywarden"):
        restore(copy, tmp_path / "new", "p", force=False, at=AT)
    (copy / MANIFEST).write_bytes(b'{"format": 2}')
    with pytest.raises(StoreError, match="cannot be read"):
        restore(copy, tmp_path / "new", "p", force=False, at=AT)
    (copy / MANIFEST).unlink()  # as one that was interrupted
    with pytest.raises(StoreError, match="is no backup"):
        restore(copy, tmp_path / "new", "p", force=False, at=AT)


def test_a_backup_takes_no_folder_with_something_in_it_and_no_damaged_file(copy: Path, tmp_path: Path) -> None:
    with pytest.raises(StoreError, match="is there already and not empty"):
        backup(tmp_path / "made", copy, AT)
    with pytest.raises(StoreError, match="there is no store"):
        backup(tmp_path / "nothing", tmp_path / "other", AT)
    assert not (tmp_path / "other").exists()


@pytest.mark.parametrize("turn", [0, 3, 6], ids=["before-he-came", "half-way", "after-all"])
def test_who_was_forgotten_after_the_copy_is_forgotten_again(saved: Path, tmp_path: Path, turn: int) -> None:
    """When the log was read to where it stood: what he had asked between the copy and then does not bring him back."""
    gone = "n1"
    turns = [*HALF, *ALL, Turn(STREAMS[0], 0, 1.5, forget=gone), Turn(STREAMS[0], 0, 1.5)]
    scene = Watched(tmp_path, saved, hour().streams, turns).copied_at(turn, tmp_path / "copy")
    scene.run()
    assert ("client", gone) not in kept(tmp_path).rows
    done = restore(tmp_path / "copy", tmp_path / "store", profile_of(saved), force=True, at=AT)
    assert done.forgotten == 1
    scene._turns = iter([])
    scene.run()
    assert ("client", gone) not in kept(tmp_path).rows
    assert gone not in {a.entity.id for a in alerts(tmp_path)}
    assert "forgotten: 1; asked for: 0" in "\n".join(show(tmp_path / "store"))


# -- upgrading


def first_version(folder: Path) -> None:
    """A store as the first version made it: by its own statements, which no later version changes."""
    folder.mkdir()
    for name, schema, first in ((STATE, stores.SCHEMA, stores.FIRST), (OUTBOX, outboxes.SCHEMA, outboxes.FIRST)):
        Database(folder / name, Schema(schema.part, (first,))).close()
    with closing(sqlite3.connect(folder / STATE)) as db, db:
        db.execute("INSERT INTO meta VALUES ('profile', 'p')")
        db.execute("INSERT INTO positions VALUES ('s', 7)")
        db.execute("INSERT INTO rows VALUES (?, ?)", (key(1), b"row"))
        db.execute("INSERT INTO names VALUES (?, 'm', 'client', 'ann')", (key(1),))
    with closing(sqlite3.connect(folder / OUTBOX)) as db, db:
        db.execute("INSERT INTO outbox(id, kind, at, payload) VALUES ('a', 'budget', 0, NULL)")


@pytest.mark.parametrize(
    ("statements", "digest"),
    [
        (stores.FIRST, "c97f386d4249e4a8"),
        (stores.FORGETTINGS, "40273e6773f1f862"),
        (outboxes.FIRST, "a92e085222b61b4d"),
    ],
    ids=["store", "forgettings", "outbox"],
)
def test_a_step_that_was_released_is_never_changed(statements: tuple[str, ...], digest: str) -> None:
    """There are files that it made."""
    assert hashlib.blake2b("\n".join(statements).encode(), digest_size=8).hexdigest() == digest


def test_an_older_store_is_refused_until_it_is_upgraded(tmp_path: Path) -> None:
    first_version(tmp_path / "store")
    with pytest.raises(
        StoreError, match=r"has store schema 1, this querywarden needs 4: run `querywarden store upgrade`"
    ):
        Store(tmp_path / "store" / STATE, profile="p")
    with pytest.raises(StoreError, match="has outbox schema 1"):
        Outbox(tmp_path / "store" / OUTBOX)
    assert any("needs 4" in line for line in show(tmp_path / "store"))
    lines = upgrade(tmp_path / "store")
    assert ["schema 1 -> 4" in lines[0], "schema 1 -> 2" in lines[1]] == [True, True]
    with closing(Store(tmp_path / "store" / STATE, profile="p")) as store:
        saved = store.load()
        assert saved.positions == {"s": 7}
        assert dict(saved.rows) == {key(1): b"row"}
        ask(tmp_path / "store" / STATE, "client", "ann", keep_alerts=False)
    assert all("nothing to do" in line for line in upgrade(tmp_path / "store"))
    for name, schema in FILES:
        with closing(Database(tmp_path / "store" / f"{name}.schema-1", schema, as_found=True)) as db:
            assert db.version(schema.part) == 1
    assert not list((tmp_path / "store").glob("*.trial*"))


def test_a_step_that_fails_on_the_copy_leaves_the_file_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    first_version(tmp_path / "store")
    broken = Schema("store", (stores.FIRST, ("CREATE TABLE extra(a TEXT)", "CREATE TABLE rows(key BLOB)")))
    monkeypatch.setattr("detector.run.upgrade.FILES", ((STATE, broken),))
    before = (tmp_path / "store" / STATE).read_bytes()
    with pytest.raises(StoreError, match=r"trial cannot be upgraded: .*already exists"):
        upgrade(tmp_path / "store")
    assert (tmp_path / "store" / STATE).read_bytes() == before
    assert not list((tmp_path / "store").glob("*.trial*"))


def test_a_newer_store_is_not_touched(tmp_path: Path) -> None:
    first_version(tmp_path / "store")
    with closing(sqlite3.connect(tmp_path / "store" / STATE)) as db, db:
        db.execute("UPDATE schema_version SET version = 99")
    with pytest.raises(StoreError, match="newer querywarden"):
        upgrade(tmp_path / "store")
    with pytest.raises(StoreError, match="there is no store"):
        upgrade(tmp_path / "nothing")


def test_show_says_what_is_there(tmp_path: Path) -> None:
    (tmp_path / "store").mkdir()
    state, outbox = tmp_path / "store" / STATE, tmp_path / "store" / OUTBOX
    with closing(Store(state, profile="p")) as store, closing(Outbox(outbox)) as o:
        store.save(positions={"file:a": 7_000}, rows=[], names=[(key(1), "m", "client", "ann")], points=[point(1, 1)])
        ask(tmp_path / "store" / STATE, "client", "bob", keep_alerts=False)
        o.join("siem")
        o.put([alert(1), alert(2)])
        lines = show(tmp_path / "store")  # beside the writer
    text = "\n".join(lines)
    for part in (
        "store schema 4",
        "profile p",
        "1 entities, 0 cases, 1 points of the tape",
        "forgotten: 0; asked for: 1",
        "read to 7,000 of file:a",
        "2 alerts, 2 ids",
        "sink siem: 2 wait",
    ):
        assert part in text
