"""Whose looks are kept: whole or not at all, inside the first horizon, one of a group, whatever the order."""

from __future__ import annotations

import msgspec
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from detector.learned import witnesses as module
from detector.learned.looks import Look
from detector.learned.teaching import JUDGE, TEACHER, role_of
from detector.learned.witnesses import Ended, Witnesses, expire, witness
from tests.learned import population as made

H = 1_000
SECRET = made.SECRET
NAMES = [i.to_bytes(16, "big") for i in range(400)]
UNITS = {role: [unit for unit in NAMES if role_of(unit, SECRET) == role] for role in (TEACHER, JUDGE)}


def look(key: bytes, n: int, at: int = 0, group: bytes = b"") -> Look:
    return Look(key, n, at, np.array([n, len(group)], np.float64), 0, group)


def test_only_judges_are_kept() -> None:
    kept = Witnesses()
    witness(kept, [look(units[0], 16) for units in UNITS.values()], [], H, SECRET)
    assert list(kept.judges) == [UNITS[JUDGE][0]]


def test_a_judge_that_was_never_looked_at_counts_too() -> None:
    kept, key = Witnesses(), UNITS[JUDGE][0]
    witness(kept, [], [Ended(key, 0, 7, 3)], H, SECRET)
    assert kept.judges[key].kernel == 3
    assert kept.judges[key].looks == ()


def test_looks_after_the_horizon_are_not_kept() -> None:
    kept, key = Witnesses(), UNITS[JUDGE][0]
    witness(kept, [look(key, 16, 10), look(key, 32, H - 1), look(key, 64, H)], [Ended(key, 0, 40, 9)], H, SECRET)
    assert [n for n, _ in kept.judges[key].looks] == [16, 32]
    assert kept.judges[key].kernel == 9


def test_whoever_was_let_go_does_not_come_back_in_part(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MOST", 1)
    kept, pair = Witnesses(), UNITS[JUDGE][:2]
    witness(kept, [look(key, 16) for key in pair], [], H, SECRET)
    gone = next(key for key in pair if key not in kept.judges)
    monkeypatch.setattr(module, "MOST", 9)
    witness(kept, [look(gone, 32, 5)], [Ended(gone, 0, 40, 9)], H, SECRET)
    assert gone not in kept.judges


def test_one_stands_for_a_group() -> None:
    kept = Witnesses()
    group = UNITS[JUDGE][0]
    keys = [b"member" + bytes([i]) for i in range(6)]
    witness(kept, [look(key, n, n, group) for key in keys for n in (16, 32)], [], H, SECRET)
    assert list(kept.judges) == [group]
    assert len(kept.judges[group].looks) == 2


def test_the_old_are_let_go() -> None:
    kept, key = Witnesses(), UNITS[JUDGE][0]
    witness(kept, [look(key, 16)], [], H, SECRET)
    expire(kept, before=0)
    assert kept.judges
    expire(kept, before=1)
    assert not kept.judges


def life(i: int, doublings: int, group: int) -> list[Look]:
    return [look(i.to_bytes(16, "big"), 16 << j, j, b"g%d" % group if group else b"") for j in range(doublings)]


looks = st.builds(life, st.integers(0, 40), st.integers(1, 4), st.integers(0, 2))


@given(parts=st.lists(looks, max_size=20, unique_by=lambda part: part[0].key), data=st.data())
def test_the_order_within_a_tick_is_of_no_account(parts: list[list[Look]], data: st.DataObject) -> None:
    came = [one for part in parts for one in part]
    ended = [Ended(part[0].key, 0, part[-1].n, part[-1].n % 7, part[0].group) for part in parts[::2]]
    first, second = Witnesses(), Witnesses()
    witness(first, came, ended, H, SECRET)
    witness(second, data.draw(st.permutations(came)), data.draw(st.permutations(ended)), H, SECRET)
    assert first == second
    again = msgspec.msgpack.decode(msgspec.msgpack.encode(first), type=Witnesses)
    assert again == first
