"""A client that is forgotten is as if never seen: in memory and on disk, also when the runner dies meanwhile."""

from __future__ import annotations

import tempfile
import zlib
from collections.abc import Mapping, Sequence
from contextlib import closing
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from detector.entities import Name, entity_key
from detector.errors import StoreError
from detector.pipeline import State
from detector.profile import artefact
from detector.profile.artefact import Profile
from detector.query import Chunk, DeadLetter
from detector.run.forgetting import Forgetting, Forgettings, ask, forget_at_rest, without
from detector.run.outbox import Outbox
from detector.run.store import Reader, Store
from sinks.contract import Refusal
from tests import people
from tests.run.hour import STREAMS, hour
from tests.run.kept import Kept, alerts, kept
from tests.run.made import alert, key, point
from tests.run.scene import Scene, Turn

GONE = "n1"  # in the hour: 50 queries, as a member of o1
HIS = STREAMS[zlib.crc32(GONE.encode()) % len(STREAMS)]
REST = [Turn(stream, 10_000, 1.0) for stream in STREAMS]


def halves() -> list[Turn]:
    """Half of every stream, the request, and the rest."""
    return [*(Turn(s, len(hour().streams[s]) // 2, 1.5) for s in STREAMS), Turn(HIS, 0, 1.5, forget=GONE), *REST]


def asked_by(client: str, lines: Sequence[bytes]) -> list[bytes]:
    return [line for line in lines if f'"client":"{client}"'.encode() in line]


def journal(folder: Path) -> list[tuple[str, str, Mapping[str, int]]]:
    with closing(Reader(folder / "store" / "state.sqlite")) as reader:
        rows = reader.db.read("SELECT state, entity, positions FROM forgettings")
    return [(state, entity, msgspec.msgpack.decode(positions)) for state, entity, positions in rows]


def only_later(folder: Path, saved: Path, at: Mapping[str, int]) -> Kept:
    """What a run keeps that never saw the client's records before these positions."""
    streams = {
        stream: [b"rubbish" if i < at[stream] and asked_by(GONE, [line]) else line for i, line in enumerate(lines)]
        for stream, lines in hour().streams.items()
    }
    Scene(folder, saved, streams, REST).run()
    return kept(folder)


def of_others(found: Kept) -> tuple[object, ...]:
    """What a forgotten client must not change: everything of other clients."""
    rows = {name: row for name, row in found.rows.items() if name[0] == "client" and name[1] != GONE}
    told = {name: ids for name, ids in found.told.items() if name[0] == "client" and name[1] != GONE}
    return rows, [p for p in found.tape if p.kind == "client" and p.id != GONE], told, found.positions


def test_he_is_gone_and_what_comes_later_is_a_new_client(saved: Path, tmp_path: Path) -> None:
    Scene(tmp_path / "a", saved, hour().streams, halves()).run()
    ((state, entity, at),) = journal(tmp_path / "a")
    assert (state, entity) == ("done", "")
    assert asked_by(GONE, hour().streams[HIS][: at[HIS]])
    found, expected = kept(tmp_path / "a"), only_later(tmp_path / "b", saved, at)
    name = ("client", GONE)
    assert found.rows[name] == expected.rows[name]
    assert [p for p in found.tape if p.id == GONE] == [p for p in expected.tape if p.id == GONE]
    assert of_others(found) == of_others(expected)
    Scene(tmp_path / "whole", saved, hour().streams, REST).run()
    assert kept(tmp_path / "whole").told[name] != found.told[name]


def test_who_does_not_come_again_leaves_no_byte_behind(saved: Path, tmp_path: Path) -> None:
    turns = [*REST, Turn(HIS, 0, 1.5, forget=GONE), Turn(HIS, 0, 1.5)]
    scene = Scene(tmp_path, saved, hour().streams, turns)
    scene.run()
    found = kept(tmp_path)
    assert not [name for name in found.rows if name == ("client", GONE)]
    assert not [p for p in found.tape if GONE in (p.id, *p.members)]
    assert GONE not in {a.entity.id for a in alerts(tmp_path)}
    assert not [a for a in alerts(tmp_path) if GONE in (a.entity.members or ())]
    with closing(Reader(tmp_path / "store" / "state.sqlite")) as reader:
        assert not [one for one in reader.dead_letters() if one.client == GONE]


def as_if_first_seen_behind_the_positions(folder: Path, saved: Path, fuses: Sequence[int], **options: Any) -> None:
    scene = Scene(folder / "a", saved, hour().streams, halves())
    scene.run(*fuses, **options)
    ((state, entity, at),) = journal(folder / "a")
    assert (state, entity) == ("done", "")
    found, expected = kept(folder / "a"), only_later(folder / "b", saved, at)
    assert found.rows.get(("client", GONE)) == expected.rows.get(("client", GONE))
    assert of_others(found) == of_others(expected)


@pytest.mark.parametrize("moments", range(30, 44))
def test_after_a_crash_while_he_is_forgotten_he_is(saved: Path, tmp_path: Path, moments: int) -> None:
    as_if_first_seen_behind_the_positions(tmp_path, saved, [moments, 12], size=400)


@settings(max_examples=20)
@given(fuses=st.lists(st.integers(0, 60), max_size=5), size=st.sampled_from([7, 50, 400]), joins=st.booleans())
def test_after_any_crashes_he_is_forgotten(saved: Path, fuses: list[int], size: int, joins: bool) -> None:
    with tempfile.TemporaryDirectory() as folder:
        as_if_first_seen_behind_the_positions(Path(folder), saved, fuses, size=size, joins=joins)


def test_he_goes_only_when_the_log_was_read_to_where_it_stood() -> None:
    one = Forgetting(1, "client", "ann", False, {"a": 5, "b": 3})
    assert one.due({"a": 5, "b": 4}, ["a", "b"])
    assert not one.due({"a": 4, "b": 4}, ["a", "b"])
    assert one.due({"a": 5}, ["a"])  # b is no more
    assert not one.due({"a": 5}, [])  # nobody knows yet


def test_who_is_to_be_forgotten_later_is_left_to_the_runner(tmp_path: Path) -> None:
    state, outbox_path = tmp_path / "state.sqlite", tmp_path / "outbox.sqlite"
    with closing(Store(state, profile="p")) as store, closing(Outbox(outbox_path)) as outbox:
        store.save(positions={"s": 3}, rows=[])
        ask(state, "client", "ann", keep_alerts=False)
        Forgettings(store.db).noted({"s": 5})  # then it crashed
        assert forget_at_rest(store, outbox, "m", b"") == set()
        store.save(positions={"s": 5}, rows=[])
        assert forget_at_rest(store, outbox, "m", b"") == {1}


def test_a_store_that_nobody_runs_forgets_at_once(saved: Path, tmp_path: Path) -> None:
    scene = Scene(tmp_path, saved, hour().streams, [Turn(stream, 10_000, 1.0) for stream in STREAMS])
    scene.run()
    profile = artefact.load(saved)
    path = tmp_path / "store" / "state.sqlite"
    ask(path, "client", GONE, keep_alerts=False)
    with closing(Store(path, profile=profile.summary.id)) as store:
        outbox = Outbox(path.with_name("outbox.sqlite"))
        assert forget_at_rest(store, outbox, profile.summary.model, profile.secret) == {1}
        assert forget_at_rest(store, outbox, profile.summary.model, profile.secret) == set()
        outbox.close()
    assert ("client", GONE) not in kept(tmp_path).rows
    assert GONE not in {a.entity.id for a in alerts(tmp_path)}
    scene.run()  # it opens and goes on


def test_every_table_lets_go_of_him_and_of_nobody_else(tmp_path: Path) -> None:
    mine = entity_key(Name("m", "client", "ann"), b"secret")
    with closing(Store(tmp_path / "state.sqlite", profile="p")) as store:
        group = msgspec.structs.replace(point(2, 1), kind="org", members=("ann", "anna"))
        store.save(
            positions={"s": 3},
            rows=[(mine, b"row"), (key(3), b"other")],
            names=[(mine, "m", "client", "ann"), (key(3), "m", "client", "anna")],
            cases=[(mine, b"case")],
            points=[msgspec.structs.replace(point(1, 1), key=mine), group, point(3, 1)],
        )
        store.dead_letter([DeadLetter("s", n, 0, "json", "", client=c) for n, c in enumerate(["ann", "anna", None])])
        ask(tmp_path / "state.sqlite", "client", "ann", keep_alerts=False)
        forgettings = Forgettings(store.db)
        (one,) = forgettings.noted({"s": 3})
        forgettings.erase(one, [mine])
        forgettings.erase(one, [mine])  # a crash repeats it
        assert forgettings.waiting() == ()
        assert dict(store.load().rows) == {key(3): b"other"}
        assert [id_ for *_, id_ in store.load().names] == ["anna"]
        assert list(store.load().cases) == []
        assert [(p.key, p.members) for p in store.tape()] == [(key(2), ("anna",)), (key(3), ())]
        assert {letter.client for letter in store.dead_letters()} == {"anna", None}


def test_not_a_byte_of_the_name_is_left_in_the_files(tmp_path: Path) -> None:
    name = "anneliese-4711"
    mine = entity_key(Name("m", "client", name), b"secret")
    outbox = Outbox(tmp_path / "outbox.sqlite")
    outbox.put([msgspec.structs.replace(alert(1), entity=msgspec.structs.replace(alert(1).entity, id=name))])
    with closing(Store(tmp_path / "state.sqlite", profile="p")) as store:
        for n in range(20):
            letters = [DeadLetter("s", n, 0, "json", "", client=name)]
            store.dead_letter(letters)
            points = [msgspec.structs.replace(point(1, n), key=mine, id=name)]
            store.save(positions={}, rows=[(mine, b"")], names=[(mine, "m", "client", name)], points=points)
        assert ask(tmp_path / "state.sqlite", "client", name, keep_alerts=False) == 1
        assert any(name.encode() in path.read_bytes() for path in tmp_path.iterdir())
        assert forget_at_rest(store, outbox, "m", b"secret") == {1}
    outbox.close()
    assert not [path.name for path in tmp_path.iterdir() if name.encode() in path.read_bytes()]


def test_alerts_lose_him_and_keep_their_ids(tmp_path: Path) -> None:
    outbox = Outbox(tmp_path / "outbox.sqlite")
    about = [msgspec.structs.replace(alert(n).entity, id=id_) for n, id_ in enumerate(["ann", "bob", "ann"])]
    made = [msgspec.structs.replace(alert(n), entity=entity) for n, entity in enumerate(about)]
    org = msgspec.structs.replace(about[0], kind="org", id="o", members=("ann", "bob"))
    made.append(msgspec.structs.replace(alert(3), entity=org))
    outbox.join("s")
    outbox.put(made)
    outbox.advance("s", 1, [Refusal(made[0].id, "too long")])
    assert outbox.erase("client", "ann", keep_waiting=True) == 1
    assert [w.alert.id for w in outbox.undelivered("s")] == [one.id for one in made[1:]]
    assert outbox.refused("s") == ()
    assert outbox.erase("client", "ann") == 2
    assert [w.alert.entity for w in outbox.undelivered("s")] == [
        about[1],
        msgspec.structs.replace(org, members=("bob",)),
    ]
    assert outbox.backlog("s") == 2
    assert outbox.put(made) == 0
    outbox.close()


def test_an_alert_that_is_erased_while_a_sink_refuses_it_holds_nobody_up(tmp_path: Path) -> None:
    outbox = Outbox(tmp_path / "outbox.sqlite")
    outbox.join("s")
    outbox.put([alert(1)])
    outbox.erase("client", alert(1).entity.id)
    outbox.advance("s", 1, [Refusal(alert(1).id, "too long")])
    assert (outbox.position("s"), outbox.refused("s")) == (1, ())
    outbox.close()


def test_a_group_is_forgotten_with_its_open_ticks(saved: Path, tmp_path: Path) -> None:
    scene = Scene(tmp_path, saved, hour().streams, [Turn(stream, 60, 0.0) for stream in STREAMS])
    runner = scene.runner()
    judge = runner._main
    judge.restore()
    for stream in STREAMS:
        judge.advance(Chunk(stream, hour().streams[stream][:60], list(range(60)), 60, [people.END_US] * 60))
    groups = judge.pipeline.tables[1]
    assert "ring" in groups.ids
    waiting = msgspec.msgpack.decode(judge.pipeline.state().ticks["organisation"])["groups"]
    judge.drop(Forgetting(1, "organisation", "ring", False, {}))
    left = msgspec.msgpack.decode(judge.pipeline.state().ticks["organisation"])["groups"]
    assert left == [group for group in waiting if group != "ring"]
    assert len(left) < len(waiting)
    assert groups.find("ring") is None
    assert "ring" not in groups.ids
    runner.run()


def test_who_comes_again_has_another_slot_and_the_same_key(profile: Profile) -> None:
    """What is kept beside rows by their slots is nobody's then."""
    table = profile.entities("client")
    old, other = table.slot("ann"), table.slot("bob")
    key, row = table.keys[old], table.rows[old].tobytes()
    table.rows[old]["n"] = 7
    table.touched(np.array([old, other]))
    table.forget("ann")
    table.forget("nobody")
    assert [id_ for *_, id_ in table.changed_names()] == ["bob"]
    assert table.find("ann") is None
    new = table.slot("ann")
    assert new not in (old, other)
    assert (table.keys[new], table.rows[new].tobytes()) == (key, row)


def test_open_ticks_lose_his_queries(saved: Path) -> None:
    columns = {"groups": ["a", "b", "a"], "tick": [1, 2, 3], "bins": b"xxyyzz", "clients": ["ann", "bob", "ann"]}
    waiting = msgspec.msgpack.encode(columns)
    state = State({"s": 1}, 0, {"organisation": waiting, "subnet": waiting})
    for left in without(state, "client", "ann").ticks.values():
        assert msgspec.msgpack.decode(left) == {"groups": ["b"], "tick": [2], "bins": b"yy", "clients": ["bob"]}
    of_groups = without(state, "organisation", "b").ticks
    assert msgspec.msgpack.decode(of_groups["organisation"])["bins"] == b"xxzz"
    assert of_groups["subnet"] == waiting
    assert without(state, "client", "nobody") == state


def test_asking_where_there_is_no_store_makes_none(tmp_path: Path) -> None:
    with pytest.raises(StoreError, match="there is no store"):
        ask(tmp_path / "state.sqlite", "client", "ann", keep_alerts=False)
    assert not list(tmp_path.iterdir())
