"""The copy of a tape that is kept for longer: all that the store had and nobody forgot, each point once."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, closing, suppress
from dataclasses import replace
from pathlib import Path

import msgspec
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import select

from detector.dashboard.keeping import history
from detector.dashboard.keeping.history import History
from detector.dashboard.keeping.opening import file_url, opened
from detector.dashboard.keeping.tables import POINTS
from detector.dashboard.reading import tapes
from detector.dashboard.reading.tapes import StoreTape, Tape
from detector.dashboard.reading.taping import Taping
from detector.dashboard.whatif.columns import Columns
from detector.entities import Name, entity_key
from detector.policy import Dated
from detector.profile.artefact import Profile
from detector.run.forgetting import Forgettings, ask
from detector.run.store import Store
from detector.tape import Point
from tests.dashboard.test_trial import asked_of_all, found_by, journals, ruled
from tests.dashboard.test_trial import tapes as made_tapes
from tests.run.made import point

DAY_US = 86_400_000_000
Open = Callable[..., History]


@pytest.fixture(params=["sqlite", pytest.param("postgres", marks=pytest.mark.server)])
def open_(request: pytest.FixtureRequest, profile: Profile) -> Iterator[Open]:
    """A history of the store in a folder; the same one each time where the folder is."""
    urls: dict[Path, str] = {}
    with ExitStack() as stack:

        def made(folder: Path, days: int = 400, of: Profile = profile) -> History:
            if folder not in urls:
                server = request.param == "postgres"
                urls[folder] = request.getfixturevalue("databases").new() if server else file_url(folder)
            found = History(opened(urls[folder]), folder, of, days)
            stack.callback(found.close)
            return found

        yield made


@pytest.fixture
def store(tmp_path: Path, profile: Profile) -> Iterator[Store]:
    with closing(Store(tmp_path / "state.sqlite", profile=profile.summary.id)) as made:
        yield made


def save(store: Store, points: Sequence[Point], **others: object) -> None:
    store.save(positions={}, rows=[], points=points, **others)  # type: ignore[arg-type]


def of(tape: Tape) -> Columns:
    taping = Taping(tape)
    taping.refresh()
    return taping.columns


def those(columns: Columns) -> list[tuple[str, int, int]]:
    points = columns.points
    found = zip(points.entity.tolist(), points.n.tolist(), points.level.tolist(), strict=True)
    return sorted((columns.who[e].id, n, level) for e, n, level in found)


def forget(store: Store, profile: Profile, client: str) -> None:
    """As the runner does it."""
    ask(store.db.path, "client", client, keep_alerts=False)
    forgettings = Forgettings(store.db)
    for one in forgettings.noted({}):
        forgettings.erase(one, [entity_key(Name(profile.summary.model, "client", client), profile.secret)])


def of_client(profile: Profile, client: str, n: int, level: int = 30) -> Point:
    key = entity_key(Name(profile.summary.model, "client", client), profile.secret)
    return msgspec.structs.replace(point(1, n, level=level), key=key, id=client)


def test_what_the_store_has_dropped_is_kept_until_it_is_too_old(store: Store, tmp_path: Path, open_: Open) -> None:
    copied = open_(tmp_path, days=3)
    save(store, [point(1, n, at=n * DAY_US) for n in range(4)])
    of(copied)
    store.prune_tape(3 * DAY_US)
    assert those(of(copied)) == [("c1", n, 3) for n in range(4)]
    assert [one.n for one in copied.scored(point(1, 0).key)] == [0, 1, 2, 3]
    save(store, [point(1, 5, at=5 * DAY_US)])
    assert those(of(copied)) == [("c1", n, 3) for n in (2, 3, 5)]
    assert msgspec.msgpack.decode(copied.latest([point(1, 0).key, b"x"])[point(1, 0).key])["n"] == 5


def test_a_crash_amid_a_part_leaves_nothing_of_it(
    store: Store, tmp_path: Path, open_: Open, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tapes, "PAGE", 2)
    save(store, [point(1, n) for n in range(1, 8)], asked={7: 2})
    copied = open_(tmp_path)
    put, parts = History._put, []

    def crashing(self: History, *arguments: object) -> int:
        found = put(self, *arguments)  # type: ignore[arg-type]
        parts.append(found)
        if len(parts) == 3:
            raise KeyboardInterrupt
        return found

    monkeypatch.setattr(History, "_put", crashing)
    with pytest.raises(KeyboardInterrupt):
        copied.copy()
    with copied._engine.begin() as db:
        assert len(db.execute(select(POINTS.c.n)).all()) == 4  # of two parts
    assert copied.copy() == 3
    assert those(of(open_(tmp_path))) == [("c1", n, 3) for n in range(1, 8)]


def test_the_writer_of_the_store_does_not_wait_for_a_copy(
    store: Store, tmp_path: Path, open_: Open, monkeypatch: pytest.MonkeyPatch
) -> None:
    save(store, [point(1, 1)])
    put = History._put

    def amid(self: History, *arguments: object) -> int:
        if store.db.read("SELECT count(*) FROM tape") == [(1,)]:
            save(store, [point(1, 2)])  # it would wait for a minute, and fail
        return put(self, *arguments)  # type: ignore[arg-type]

    monkeypatch.setattr(History, "_put", amid)
    assert open_(tmp_path).copy() == 2


def test_two_who_copy_copy_once(store: Store, tmp_path: Path, open_: Open) -> None:
    one, other = open_(tmp_path), open_(tmp_path)
    save(store, [point(1, 1), point(1, 2)])
    assert (one.copy(), other.copy()) == (2, 0)
    save(store, [point(1, 3)])
    assert (other.copy(), one.copy()) == (1, 0)


def test_who_was_forgotten_is_taken_out_of_what_the_store_has_not_any_more(
    store: Store, tmp_path: Path, open_: Open, profile: Profile
) -> None:
    copied = open_(tmp_path)
    group = msgspec.structs.replace(point(9, 1), kind="organisation", id="o", members=("ann", "bob"))
    save(store, [of_client(profile, "ann", 1), of_client(profile, "bob", 1), group])
    taping = Taping(copied)
    taping.refresh()
    store.prune_tape(10)
    forget(store, profile, "ann")
    save(store, [of_client(profile, "ann", 7)])  # somebody who comes later
    taping.refresh()
    assert those(taping.columns) == [("ann", 7, 30), ("bob", 1, 30), ("o", 1, 3)]
    assert taping.gathering.hands("ann") == []
    assert taping.gathering.hands("bob") == [("organisation", "o")]
    (kept,) = copied.scored(group.key)
    assert kept.members == ("bob",)


def test_the_scores_of_another_profile_are_another_tape(
    store: Store, tmp_path: Path, open_: Open, profile: Profile
) -> None:
    save(store, [point(1, 1)])
    open_(tmp_path).copy()
    another = replace(profile, summary=msgspec.structs.replace(profile.summary, id="another"))
    assert open_(tmp_path, of=another).scored(point(1, 1).key) == []
    assert those(of(open_(tmp_path))) == [("c1", 1, 3)]


def test_what_if_over_the_copy_is_what_if_over_the_store(open_: Open, profile: Profile) -> None:
    @settings(max_examples=10, suppress_health_check=list(HealthCheck))
    @given(tape=made_tapes, journal=journals, cuts=st.integers(1, 3))
    def same(tape: list[Point], journal: list[Dated], cuts: int) -> None:
        with (
            tempfile.TemporaryDirectory() as folder,
            closing(Store(Path(folder) / "state.sqlite", profile=profile.summary.id)) as store,
        ):
            copied = open_(Path(folder))
            taping = Taping(copied)
            for part in range(cuts):
                save(store, tape[part::cuts])
                taping.refresh()
            assert all(map(np.array_equal, taping.columns.points, of(StoreTape(Path(folder), 400)).points))
            asked = asked_of_all(tape, journal)
            assert sorted(found_by(taping.columns, journal)) == sorted(map(ruled, asked))

    same()


ONE = st.tuples(st.just("save"), st.lists(st.tuples(st.sampled_from("abc"), st.integers(1, 20)), max_size=5))
TURN = ONE | st.tuples(st.sampled_from(["copy", "crash", "reopen"]), st.none())
TURN |= st.tuples(st.just("forget"), st.sampled_from("abc")) | st.tuples(st.just("prune"), st.integers(1, 20))


def test_whatever_comes_nothing_is_lost_and_nobody_who_was_forgotten_stays(open_: Open, profile: Profile) -> None:
    """But for what the store dropped before anybody copied it."""

    @settings(max_examples=25, suppress_health_check=list(HealthCheck))
    @given(turns=st.lists(TURN, max_size=14))
    def played(turns: list[tuple[str, object]]) -> None:
        with (
            tempfile.TemporaryDirectory() as folder,
            closing(Store(Path(folder) / "state.sqlite", profile=profile.summary.id)) as store,
            pytest.MonkeyPatch.context() as patch,
        ):
            patch.setattr(tapes, "PAGE", 2)
            copied = open_(Path(folder))
            taping = Taping(copied)
            inside: set[tuple[str, int]] = set()
            for what, value in [*turns, ("copy", None)]:
                match what, value:
                    case "save", list():
                        save(store, [of_client(profile, who, n) for who, n in value])
                        inside |= set(value)
                    case "forget", str():
                        forget(store, profile, value)
                        inside = {one for one in inside if one[0] != value}
                    case "prune", int():
                        copied.copy()
                        store.prune_tape(value)
                    case "reopen", _:
                        copied = open_(Path(folder))
                        taping = Taping(copied)
                    case "crash", _:
                        patch.setattr(history, "_write", _broken)
                        with suppress(RuntimeError):
                            taping.refresh()
                        patch.setattr(history, "_write", WRITE)
                    case _:
                        taping.refresh()
            assert {(who, n) for who, n, _ in those(taping.columns)} == inside
            assert {(who, n) for who, n, _ in those(of(open_(Path(folder))))} == inside

    played()


WRITE = history._write


def _broken(*_: object) -> None:
    raise RuntimeError("cut off")
