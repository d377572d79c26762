"""Sums of what groups asked are judged as the queries themselves, whoever came first."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from detector.cluster.handing import Waits
from detector.cluster.tally import apart, summed
from detector.entities import BINS
from detector.evidence.kernels import FULL, NO_BIN
from detector.levels import MEMBERS, Asked, GroupLevel
from detector.profile.artefact import Profile
from detector.spanning import groups_of

KIND = "organisation"


def asked_of(rng: np.random.Generator, n: int, groups: int, clients: int, width: int) -> tuple[Asked, list[str]]:
    """n queries of some ticks, in no order, and the group of each."""
    bins = rng.integers(0, BINS + 1, (n, width)).astype(np.uint8)
    bins[bins == BINS] = NO_BIN
    ticks, at = rng.integers(5, 8, n), rng.integers(0, 10**6, n)
    who = [f"c{i}" for i in rng.integers(0, clients, n).tolist()]
    names = [f"g{i}" for i in rng.integers(0, groups, n).tolist()]
    return Asked(ticks, ticks, at, bins, [f"q{i}" for i in range(n)], who), names


def level_of(profile: Profile) -> GroupLevel:
    return groups_of(profile)[KIND]


def gather(level: GroupLevel, asked: Asked, names: list[str]) -> None:
    level.open.gather(asked._replace(slot=level.entities.slots(names)))


def rows(level: GroupLevel) -> dict[str, bytes]:
    return {id_: level.entities.rows[slot].tobytes() for slot, id_ in enumerate(level.entities.ids)}


@given(seed=st.integers(0, 2**32), n=st.integers(1, 600), groups=st.integers(1, 4), clients=st.integers(1, 50))
def test_sums_from_any_partitions_are_judged_as_the_queries(
    profile: Profile, seed: int, n: int, groups: int, clients: int
) -> None:
    """Some groups have so many counts that they are halved within a tick."""
    rng = np.random.default_rng(seed)
    whole, parts = level_of(profile), level_of(profile)
    width = len(profile.kit.additive)
    asked, names = asked_of(rng, n, groups, clients, width)
    for level in (whole, parts):
        slot = level.entities.slot("g0")
        level.entities.rows["counts"][slot, 0] = FULL - 3
        level.entities.rows["n"][slot] = FULL
    gather(whole, asked, names)
    for part in np.array_split(rng.permutation(n), 3):
        waits = Waits(width, 1)
        theirs = [names[i] for i in part.tolist()]
        waits.open.gather(asked.taken(part)._replace(slot=waits.names.slots(theirs)))
        sums = waits.due(10, members=True)
        parts.open.gather(apart(sums, parts.entities.slots, width))
    expected, found = whole.close(10), parts.close(10)
    assert sorted(found, key=lambda p: (p.at, p.id)) == sorted(expected, key=lambda p: (p.at, p.id))
    assert rows(parts) == rows(whole)


def test_a_sum_names_the_first_members_and_the_latest_query() -> None:
    n = 3 * MEMBERS
    ticks, names = np.full(n, 7), [f"c{i:03}" for i in range(n)]
    asked = Asked(ticks, np.zeros(n, np.int64), np.arange(n) % 50, np.zeros((n, 1), np.uint8), names[::-1], names)
    (found,) = summed(asked, ["g"], members=True)
    assert (found.tick, found.name, found.queries) == (7, "g", n)
    assert found.members == tuple(names[:MEMBERS])
    assert (found.at, found.query_id) == (49, max(names[::-1][i] for i in range(n) if i % 50 == 49))
    (unnamed,) = summed(asked, ["g"], members=False)
    assert unnamed.members == ()


def test_names_are_let_go_of_when_nothing_waits() -> None:
    waits = Waits(1, 1)
    many = [f"g{i}" for i in range(3_000)]
    n = len(many)
    ticks = np.arange(n)
    asked = Asked(ticks, waits.names.slots(many), ticks, np.zeros((n, 1), np.uint8), many, many)
    waits.open.gather(asked)
    assert len(waits.due(n - 2, members=True)) == n - 2
    assert waits.names.ids == many[-2:]
    assert [one.name for one in waits.due(n, members=True)] == many[-2:]
