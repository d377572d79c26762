"""Who teaches, who scales, who calibrates: disjoint, fixed by the seed, siblings together."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from detector.profile import sets
from detector.profile.sets import CALIBRATE, LEARN, SCALE

needs = st.integers(1, 4) | st.integers(5, 40)


class People(NamedTuple):
    clients: list[str]
    groups: list[str | None]
    closed: np.ndarray


@st.composite
def people(draw: st.DrawFn) -> People:
    who = draw(
        st.lists(
            st.tuples(st.none() | st.sampled_from([f"o{i}" for i in range(12)]), st.booleans()),
            min_size=1,
            max_size=60,
        )
    )
    return People([f"c{i}" for i in range(len(who))], [g for g, _ in who], np.array([c for _, c in who]))


def draw(some: People, *, seed: int = 0, need: int = 3, name: str | None = "organisation") -> sets.Sets:
    groups = {name: [{g} if g else set() for g in some.groups]} if name else {}
    return sets.draw(some.clients, groups, some.closed, seed, [need])


@given(some=people(), seed=st.integers(-5, 5), need=needs)
def test_sets_are_fixed_by_the_seed_and_do_not_depend_on_the_order(some: People, seed: int, need: int) -> None:
    drawn = draw(some, seed=seed, need=need)
    turned = People(some.clients[::-1], some.groups[::-1], some.closed[::-1])
    again = draw(turned, seed=seed, need=need)
    assert drawn.of.tolist() == again.of[::-1].tolist()
    assert drawn.stands.tolist() == again.stands[::-1].tolist()
    assert set(drawn.of.tolist()) <= {LEARN, SCALE, CALIBRATE}


@given(some=people(), need=needs)
def test_siblings_stay_together_where_whole_groups_are_drawn(some: People, need: int) -> None:
    drawn = draw(some, need=need)
    if drawn.drawn == "client":
        return
    assert drawn.drawn == "organisation"
    for group in set(some.groups) - {None}:
        assert len({drawn.of[i] for i, own in enumerate(some.groups) if own == group}) == 1


@given(some=people(), need=needs)
def test_one_stands_for_each_calibrating_unit_and_only_closed_windows_do(some: People, need: int) -> None:
    drawn = draw(some, need=need)
    assert (drawn.of[drawn.stands] == CALIBRATE).all()
    assert some.closed[drawn.stands].all()
    whole = drawn.drawn != "client"
    units = [g if g is not None and whole else c for g, c in zip(some.groups, some.clients, strict=True)]
    calibrating = [u for u, of in zip(units, drawn.of, strict=True) if of == CALIBRATE]
    standing = [u for u, stands in zip(units, drawn.stands, strict=True) if stands]
    assert sorted(standing) == sorted(set(calibrating))


@pytest.mark.parametrize(
    ("need", "sizes"),
    [(10, (60, 40, 100)), (100, (60, 40, 100)), (120, (48, 32, 120)), (180, (42, 28, 130))],
)
def test_half_calibrates_more_where_the_promise_needs_it_and_six_of_ten_others_teach(
    need: int, sizes: tuple[int, int, int]
) -> None:
    some = People([f"c{i}" for i in range(200)], [None] * 200, np.ones(200, np.bool_))
    drawn = draw(some, need=need)
    assert tuple(np.count_nonzero(drawn.of == s) for s in (LEARN, SCALE, CALIBRATE)) == sizes


def test_open_windows_teach_and_scale() -> None:
    some = People([f"c{i}" for i in range(100)], [None] * 100, np.arange(100) < 40)
    drawn = draw(some)
    assert np.count_nonzero(drawn.stands) == 20
    assert (drawn.of[40:] != CALIBRATE).all()


def test_groups_are_drawn_whole_only_where_there_are_enough_of_them() -> None:
    some = People([f"c{i}" for i in range(80)], [f"o{i // 2}" for i in range(80)], np.ones(80, np.bool_))
    assert draw(some, need=20).drawn == "organisation"
    assert draw(some, need=21).drawn == "client"
    assert draw(some, need=20, name=None).drawn == "client"


def test_a_client_named_like_a_group_is_not_of_it() -> None:
    clients, groups = [f"c{i}" for i in range(40)] + ["o1"], ["o1"] * 2 + [f"o{i}" for i in range(2, 40)] + [None]
    drawn = draw(People(clients, groups, np.ones(41, np.bool_)), need=1)
    assert np.count_nonzero(drawn.stands) == 20  # of 40 units


def test_another_seed_draws_others() -> None:
    some = People([f"c{i}" for i in range(200)], [None] * 200, np.ones(200, np.bool_))
    assert draw(some, seed=1).of.tolist() != draw(some, seed=2).of.tolist()


def test_clients_that_share_a_group_of_any_kind_stay_together_where_units_are_left_for_it() -> None:
    clients = [f"c{i}" for i in range(120)]
    offices, networks = (
        [{f"o{i // 2}"} for i in range(120)],
        [{f"n{(i + 1) // 2}"} if i < 60 else set() for i in range(120)],
    )
    chained = sets.draw(clients, {"office": offices, "network": networks}, np.ones(120, np.bool_), 0, [10, 10])
    assert chained.whole == ("office", "network")
    assert len(set(chained.of[:60].tolist())) == 1  # office and network by turns make one chain of the first sixty
    apart = sets.draw(clients, {"office": offices, "network": networks}, np.ones(120, np.bool_), 0, [10, 20])
    assert apart.whole == ("office",)
    assert len(set(apart.of[:60].tolist())) == 3


def test_a_client_seen_in_many_groups_joins_them() -> None:
    groups = [{f"n{i // 2}"} for i in range(80)]
    groups[0] = {f"n{i}" for i in range(10)}
    drawn = sets.draw([f"c{i}" for i in range(80)], {"network": groups}, np.ones(80, np.bool_), 0, [10])
    assert len(set(drawn.unit[:20].tolist())) == 1
    assert len(set(drawn.unit.tolist())) == 31
