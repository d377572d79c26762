"""Who is judged: keys that tell nothing, rows that come back as they were."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from detector.entities import Entities, Name, describe, entity_key
from detector.errors import ProfileError
from tests.layouts import CLIENT_ROW, GROUP_ROW

SECRET = b"s" * 32
ids = st.text(max_size=12)
layouts = pytest.mark.parametrize("layout", [CLIENT_ROW, GROUP_ROW], ids=["client", "group"])


def table(layout: np.dtype[np.void] = CLIENT_ROW, capacity: int = 4) -> Entities:
    return Entities("m", "client", layout, SECRET, capacity)


@layouts
@given(data=st.data())
def test_a_row_comes_back_bit_for_bit(layout: np.dtype[np.void], data: st.DataObject) -> None:
    piece = data.draw(st.binary(min_size=1, max_size=64))
    record = (piece * layout.itemsize)[: layout.itemsize]
    entities = table(layout)
    entities.restore("a", record)
    assert entities.rows[entities.slot("a")].tobytes() == record


def test_more_rows_come_back_than_a_new_table_holds() -> None:
    saved = table(capacity=50)
    saved.rows["n"][:50] = saved.slots([f"c{number}" for number in range(50)])
    again = table()
    for slot, id_ in enumerate(saved.ids):
        again.restore(id_, saved.rows[slot].tobytes())
    assert again.rows["n"][:50].tolist() == list(range(50))
    assert again.rows[:50].tobytes() == saved.rows[:50].tobytes()


def test_a_row_of_another_layout_is_refused() -> None:
    with pytest.raises(ProfileError, match="rows are never converted"):
        table().restore("a", bytes(CLIENT_ROW.itemsize - 8))


@given(st.lists(ids, max_size=30))
def test_an_entity_keeps_its_slot_and_its_row_while_the_table_grows(names: list[str]) -> None:
    entities = table(capacity=1)
    found = entities.slots(names)
    for name, slot in zip(names, found.tolist(), strict=True):
        entities.rows["n"][slot] = len(name)
    assert entities.slots(names).tolist() == found.tolist()
    assert entities.slots([*names, "another one, longer"])[:-1].tolist() == found.tolist()
    assert [entities.ids[slot] for slot in found] == names
    assert all(entities.rows[entities.slot(name)]["n"] == len(name) for name in names)
    assert len(entities) == len({*names, "another one, longer"})


def test_a_new_row_is_empty_but_for_its_salt() -> None:
    entities = table()
    row = entities.rows[entities.slot("a")]
    assert row["salt"] == np.frombuffer(entities.keys[0], "<u8")[0]
    row["salt"] = 0
    assert not any(row.tobytes())


@given(st.tuples(ids, ids, ids), st.tuples(ids, ids, ids))
def test_different_names_have_different_keys(a: tuple[str, str, str], b: tuple[str, str, str]) -> None:
    assert (entity_key(Name(*a), SECRET) == entity_key(Name(*b), SECRET)) == (a == b)


def test_a_key_depends_on_the_secret_and_carries_no_name() -> None:
    name = Name("m", "client", "alice")
    assert entity_key(name, SECRET) != entity_key(name, b"t" * 32)
    assert len(entity_key(name, SECRET)) == 16
    assert b"alice" not in entity_key(name, SECRET)


def test_what_was_written_since_the_last_snapshot_is_named_once() -> None:
    entities = table()
    first, second = entities.slots(["a", "b"])
    entities.touched(np.array([second, second]))
    assert [key for key, _ in entities.changed()] == [entities.keys[second]]
    assert [name[3] for name in entities.changed_names()] == ["b"]
    entities.settled()
    assert not list(entities.changed())
    entities.touched(np.array([first]))
    assert [record for _, record in entities.changed()] == [entities.rows[first].tobytes()]


def test_a_lookup_makes_no_entity() -> None:
    entities = table()
    assert entities.find("a") is None
    assert len(entities) == 0


def test_the_layout_is_told_by_name_type_and_place() -> None:
    told = describe(CLIENT_ROW)
    assert told["bytes"] == CLIENT_ROW.itemsize
    assert told["fields"]["salt"] == "<u8[]@0"
    assert told["fields"]["counts"].startswith("<u2[2, ")
