from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from detector.errors import StoreError, StoreLocked
from detector.policy import Dated, Policy, Threshold
from detector.query import DeadLetter
from detector.run import store as store_module
from detector.run.store import Reader, Store, request_policy
from detector.tape import Point
from tests.run.made import key, point


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "state.db"


@pytest.fixture
def store(path: Path) -> Iterator[Store]:
    made = Store(path, profile="p1")
    yield made
    made.close()


def policy(version: str) -> Policy:
    return Policy(version, {"client": (Threshold("high", 1.5),)})


def test_what_was_saved_is_loaded(store: Store, path: Path) -> None:
    store.save(
        positions={"kafka:a/0": 7},
        rows=[(key(1), b"one"), (key(2), b"two")],
        names=[(key(1), "m", "client", "alice")],
        cases=[(key(1), b"case")],
        extras={"clock": b"\x01"},
        points=[point(1, 5)],
    )
    store.save(positions={"kafka:a/0": 9, "kafka:a/1": 3}, rows=[(key(2), b"2")], extras={"ticks": b""})
    store.close()
    saved = Store(path, profile="p1").load()
    assert saved.positions == {"kafka:a/0": 9, "kafka:a/1": 3}
    assert dict(saved.rows) == {key(1): b"one", key(2): b"2"}
    assert list(saved.names) == [(key(1), "m", "client", "alice")]
    assert list(saved.cases) == [(key(1), b"case")]
    assert saved.extras == {"clock": b"\x01", "ticks": b""}


def test_queries_of_a_tick_add_up_and_their_counts_are_pruned(store: Store) -> None:
    store.save(positions={}, rows=[], asked={7: 2, 8: 1})
    store.save(positions={}, rows=[], asked={8: 3, 9: 1})
    assert store.db.read("SELECT tick, queries, saved FROM asked ORDER BY tick") == [(7, 2, 1), (8, 4, 2), (9, 1, 2)]
    store.prune_asked(100)
    assert store.db.read("SELECT tick FROM asked ORDER BY tick") == [(8,), (9,)]  # so that numbers only rise


def test_a_row_pages_back_and_an_expired_entity_goes(store: Store) -> None:
    store.save(positions={}, rows=[(key(1), b"one"), (key(2), b"two")], names=[(key(1), "m", "client", "a")])
    assert store.row(key(1)) == b"one"
    store.save(positions={}, rows=[], forget=[key(1)])
    assert store.row(key(1)) is None
    assert store.row(key(2)) == b"two"
    assert list(store.load().names) == []


def test_a_key_of_another_length_is_an_error_and_nothing_of_the_snapshot_stays(store: Store) -> None:
    with pytest.raises(StoreError, match="could not take the snapshot"):
        store.save(positions={"s": 1}, rows=[(key(1), b"x"), (b"short", b"x")])
    assert store.load().positions == {}
    assert list(store.load().rows) == []


def test_an_error_in_what_is_handed_in_rolls_back(store: Store) -> None:
    def rows() -> Iterator[tuple[bytes, bytes]]:
        yield key(1), b"x"
        raise ValueError("from the runner")

    with pytest.raises(ValueError, match="from the runner"):
        store.save(positions={"s": 1}, rows=rows())
    store.save(positions={"s": 2}, rows=[])
    assert list(store.load().rows) == []


def test_another_profile_is_refused_with_what_to_do(store: Store, path: Path) -> None:
    store.close()
    with pytest.raises(StoreError, match=r"holds rows of profile p1, not of p2\. Rows never migrate: give p2"):
        Store(path, profile="p2")
    Store(path, profile="p1").close()  # and the refused one holds no lock


def test_a_second_writer_is_told_who_writes(store: Store, path: Path) -> None:
    with pytest.raises(StoreLocked, match=f"process {os.getpid()}"):
        Store(path, profile="p1")
    store.close()
    Store(path, profile="p1").close()


def test_a_newer_schema_is_refused(store: Store, path: Path) -> None:
    store.db.connection.execute("UPDATE schema_version SET version = 99")
    store.close()
    with pytest.raises(StoreError, match="newer querywarden"):
        Store(path, profile="p1")


@pytest.mark.parametrize("bad", ["folder/that/is/not/there.db", "text.db"])
def test_a_file_that_cannot_be_used_says_why(tmp_path: Path, bad: str) -> None:
    (tmp_path / "text.db").write_text("this is text, and long enough to be looked at" * 100)
    with pytest.raises(StoreError, match=r"not an SQLite file|cannot be opened"):
        Store(tmp_path / bad, profile="p1")


def test_a_full_disk_is_a_clear_error_and_loses_nothing(store: Store, path: Path) -> None:
    store.save(positions={"s": 1}, rows=[(key(1), b"first")])
    pages = store.db.connection.execute("PRAGMA page_count").fetchone()[0]
    store.db.connection.execute(f"PRAGMA max_page_count={pages + 2}")
    with pytest.raises(StoreError, match=r"state.db could not take the snapshot: the disk is full"):
        store.save(positions={"s": 2}, rows=[(key(n), os.urandom(4096)) for n in range(500)])
    assert store.load().positions == {"s": 1}
    assert dict(store.load().rows) == {key(1): b"first"}
    store.db.connection.execute("PRAGMA max_page_count=1000000")  # someone freed space
    store.save(positions={"s": 2}, rows=[(key(n), b"x" * 4096) for n in range(500)])
    assert len(list(store.load().rows)) == 500


def test_the_tape_is_read_by_entity_and_by_time(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(store_module, "TAPE_PAGE", 2)
    points = [point(1, 1), point(2, 1), point(1, 4), point(1, 4, budget=True), point(2, 3, at=9)]
    store.save(positions={}, rows=[], points=reversed(points))
    assert list(store.tape()) == points
    assert list(store.tape(key=key(1))) == [points[0], points[2], points[3]]
    assert list(store.tape(since=4, until=9)) == points[2:4]
    assert list(store.tape(key=key(2), since=2)) == [points[4]]
    assert store.prune_tape(4) == 2
    assert list(store.tape()) == points[2:]


def test_a_replayed_point_replaces_itself(store: Store) -> None:
    store.save(positions={}, rows=[], points=[point(1, 1), point(1, 2)])
    store.save(positions={}, rows=[], points=[point(1, 2), point(1, 3)])
    assert [one.n for one in store.tape()] == [1, 2, 3]


@settings(max_examples=30, deadline=None)
@given(
    points=st.lists(
        st.builds(point, st.integers(0, 3), st.integers(0, 9), at=st.integers(0, 5), budget=st.booleans()), max_size=40
    ),
    page=st.integers(1, 5),
)
def test_pages_of_the_tape_join_without_hole_or_repeat(
    tmp_path_factory: pytest.TempPathFactory, points: list[Point], page: int
) -> None:
    store = Store(tmp_path_factory.mktemp("tape") / "s.db", profile="p")
    store.save(positions={}, rows=[], points=points)
    last_wins = {(one.key, one.n, one.budget): one for one in points}
    expected = sorted(last_wins.values(), key=lambda one: (one.at, one.n, one.budget, one.key))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(store_module, "TAPE_PAGE", page)
        assert list(store.tape()) == expected
    store.close()


def test_the_policy_journal_only_grows_forward(store: Store, path: Path) -> None:
    store.journal_policy(Dated(10, policy("1")))
    store.journal_policy(Dated(20, policy("2")))
    with pytest.raises(StoreError, match="policy 3 cannot hold from 15: policy 2 already holds from 20"):
        store.journal_policy(Dated(15, policy("3")))
    assert Reader(path).policies() == (Dated(10, policy("1")), Dated(20, policy("2")))


def test_another_process_asks_for_a_policy_and_learns_what_became_of_it(store: Store, path: Path) -> None:
    assert store.requested() == ()
    first, second = request_policy(path, policy("2")), request_policy(path, policy("3"), since=5)
    assert [(one.id, one.policy.version, one.since) for one in store.requested()] == [
        (first, "2", None),
        (second, "3", 5),
    ]
    store.journal_policy(Dated(100, policy("2")), request=first)
    store.refuse_request(second, "it lies in the past")
    assert store.requested() == ()
    reader = Reader(path)
    assert reader.request_state(first) == ("taken", "")
    assert reader.request_state(second) == ("refused", "it lies in the past")


def test_asking_where_there_is_no_store_makes_none(path: Path) -> None:
    with pytest.raises(StoreError, match="there is no store"):
        request_policy(path, policy("2"))
    assert not path.exists()


def test_dead_letters_are_bounded_and_a_replay_repeats_none(path: Path) -> None:
    store = Store(path, profile="p1", keep_dead_letters=3)
    letters = [DeadLetter("s", n, 0, "no json", "found x", client="c") for n in range(5)]
    assert store.dead_letter(letters[:2]) == 2
    assert store.dead_letter(letters) == 3
    assert store.dead_letters(10) == tuple(reversed(letters[2:]))
    for _ in range(5):
        assert store.dead_letter(letters[2:]) == 0
    assert len(store.dead_letters(10)) == 3


def test_a_reader_sees_the_last_snapshot_while_the_next_is_written(store: Store, path: Path) -> None:
    store.save(positions={}, rows=[], points=[point(1, 1)])
    reader = Reader(path)

    def looking() -> Iterator[Point]:
        yield point(1, 2)
        assert [one.n for one in reader.tape()] == [1]

    store.save(positions={}, rows=[], points=looking())
    assert [one.n for one in reader.tape()] == [1, 2]
