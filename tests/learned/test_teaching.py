"""Who teaches: nobody under suspicion, nobody much, and the same whatever the order of arrival."""

from __future__ import annotations

from collections import Counter

import msgspec
import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from detector.learned.looks import Look
from detector.learned.teaching import JUDGE, TEACHER, Caps, Teaching, forget, keep, role_of, rows, teach
from tests.learned import population as made

CAPS = Caps(all=12, entity=2, group=4)
SECRET = made.SECRET


def look(client: int, n: int, group: int = 0) -> Look:
    """Group 0 is none."""
    key = client.to_bytes(16, "big")
    return Look(key, n, client * 10 + n, np.array([client, n], np.float64), 0, b"g%d" % group if group else b"")


@st.composite
def arrivals(draw: st.DrawFn) -> list[Look]:
    clients = st.tuples(st.integers(1, 12), st.sampled_from((16, 32, 64, 128, 256)))
    chosen = draw(st.lists(clients, max_size=50, unique=True))
    return [look(client, n, client % 4) for client, n in chosen]


@given(came=arrivals(), data=st.data())
def test_what_is_kept_does_not_depend_on_the_order(came: list[Look], data: st.DataObject) -> None:
    """Not even across ticks: the sample is a function of the set of all that came."""
    at_once, by_and_by = Teaching(), Teaching()
    keep(at_once, came, SECRET, CAPS)
    shuffled = data.draw(st.permutations(came))
    while shuffled:
        size = data.draw(st.integers(1, 7))
        keep(by_and_by, shuffled[:size], SECRET, CAPS)
        shuffled = shuffled[size:]
    assert by_and_by == at_once


@given(arrivals())
def test_nobody_says_much(came: list[Look]) -> None:
    teaching = Teaching()
    keep(teaching, came, SECRET, CAPS)
    assert len(teaching.samples) <= CAPS.all
    assert max(Counter(s.key for s in teaching.samples).values(), default=0) <= CAPS.entity
    assert max(Counter(s.unit for s in teaching.samples).values(), default=0) <= CAPS.group


@given(arrivals())
def test_a_snapshot_brings_it_back(came: list[Look]) -> None:
    teaching = Teaching()
    keep(teaching, came[::2], SECRET, CAPS)
    again = msgspec.msgpack.decode(msgspec.msgpack.encode(teaching), type=Teaching)
    for one in (teaching, again):
        keep(one, came[1::2], SECRET, CAPS)
    assert again == teaching


def test_a_unit_has_one_role_and_siblings_share_it() -> None:
    roles = Counter(role_of(i.to_bytes(16, "big"), SECRET) for i in range(20_000))
    shares = {role: count / 20_000 for role, count in roles.items()}
    assert set(shares) == {TEACHER, JUDGE}
    assert abs(shares[TEACHER] - 0.5) < 0.02
    assert role_of(look(1, 16, 3).unit, SECRET) == role_of(look(2, 16, 3).unit, SECRET)
    assert role_of(b"x", SECRET) == role_of(b"x", SECRET)


def test_only_teachers_teach_and_none_under_suspicion() -> None:
    came = [look(i, 16) for i in range(1, 400)]
    suspects = {one.key for one in came[::3]}
    teaching = Teaching()
    teach(teaching, came, suspects, SECRET, Caps())
    taught = {s.key for s in teaching.samples}
    assert taught == {one.key for one in came if role_of(one.unit, SECRET) == TEACHER} - suspects


def test_who_came_under_suspicion_later_is_forgotten_and_so_is_the_past() -> None:
    came = [look(i, 16) for i in range(1, 100)]
    teaching = Teaching()
    keep(teaching, came, SECRET, Caps())
    forget(teaching, {came[50].key}, before=came[20].clock)
    assert {s.key for s in teaching.samples} == {one.key for one in came[20:]} - {came[50].key}


def test_the_vectors_come_in_the_order_of_their_hash() -> None:
    teaching = Teaching()
    keep(teaching, [look(i, 16) for i in range(1, 60)], SECRET, Caps())
    assert rows(teaching, 2).shape == (59, 2)
    assert [s.priority for s in teaching.samples] == sorted(s.priority for s in teaching.samples)
    assert not (np.diff(rows(teaching, 2)[:, 0]) > 0).all()


def test_the_sample_is_fair_to_entities() -> None:
    """An account that is looked at a hundred times as often has at most the cap."""
    teaching = Teaching()
    flood = [look(1, 16 << i) for i in range(20)] + [look(client, 16) for client in range(2, 400)]
    keep(teaching, flood, SECRET, Caps(all=100, entity=4, group=50))
    assert sum(s.key == look(1, 16).key for s in teaching.samples) <= 4
