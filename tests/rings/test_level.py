"""Rings at ticks: the same whatever the order of arrival, the cutting and the restarts; whole, and innocent crowds."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from detector.entities import Entities
from detector.levels import TICK_US, Asked
from detector.profile.artefact import account_row, ring_row
from detector.rings.accounts import ACCOUNT, RING, counts_of
from detector.rings.judging import Together
from detector.rings.level import RING_TICK_US, TICKS, Learned, RingLevel
from detector.rings.likelihood import likelihoods
from detector.rings.linking import Limits
from detector.tape import Point
from features import NUMBERS
from tests.rings.accounts import honest_bins, ring_bins, ring_law

LEARNED = Learned(Limits(), Together(0.0, 20.0, 20.0, 0.3), 100)
FOREVER_US = 2**60
Query = tuple[int, str, NDArray[np.uint8]]  # ring tick, client, bins


def level(epoch_us: int = FOREVER_US) -> RingLevel:
    tables = Entities("made", ACCOUNT, account_row(NUMBERS), b"s"), Entities("made", RING, ring_row(NUMBERS), b"s")
    return RingLevel(NUMBERS, *tables, ring_law(), LEARNED, epoch_us)


def asked(queries: Sequence[Query]) -> Asked:
    tick = np.array([tick * TICKS for tick, _, _ in queries], np.int64)
    bins = np.stack([bins for _, _, bins in queries])
    names = [client for _, client, _ in queries]
    return Asked(tick, tick, tick * TICK_US, bins, [f"q-{name}" for name in names], names)


def crowd(seed: int, honest: int, ring: int, queries: int = 20, ticks: int = 4) -> list[Query]:
    """Accounts that ask in ticks of their own, in the order of ticks."""
    rng = np.random.default_rng(seed)
    found: list[Query] = []
    for number in range(honest + ring):
        name, bins = (f"h{number}", honest_bins) if number < honest else (f"r{number}", ring_bins)
        found += [(int(rng.integers(ticks)), name, one) for one in bins(rng, queries)]
    return sorted(found, key=lambda query: query[0])


def run(queries: Sequence[Query], of: RingLevel | None = None) -> tuple[RingLevel, list[Point]]:
    of = of or level()
    of.gather(asked(queries))
    return of, of.close(queries[-1][0] * TICKS + 1, ended=True)


def test_a_ring_is_found_whole_and_nobody_else_is_in_it() -> None:
    of, points = run(crowd(1, honest=60, ring=30))
    (ring,) = of.members().values()
    assert ring == sorted(f"r{number}" for number in range(60, 90))
    last = points[-1]
    assert (last.kind, last.accounts, len(last.members)) == (RING, 30, 30)
    assert last.score > 1.0
    assert set(last.members) == set(ring)


def test_the_rings_name_stays_while_it_grows() -> None:
    of, _ = run(crowd(2, honest=20, ring=12))
    (before,) = of.members()
    later = [(tick + 9, f"late-{name}", bins) for tick, name, bins in crowd(3, honest=0, ring=12)]
    run(later, of)
    assert list(of.members()) == [before]
    assert len(of.members()[before]) == 24


def test_fewer_than_four_accounts_are_not_judged() -> None:
    of, points = run(crowd(4, honest=20, ring=3))
    assert not points
    assert not of.members()


def test_an_honest_crowd_makes_no_ring_that_stands_out() -> None:
    _, points = run(crowd(6, honest=150, ring=0))
    assert max((point.score for point in points), default=0.0) < 1.0


@settings(max_examples=20)
@given(chance=st.randoms(use_true_random=False), cut=st.integers(1, 400))
def test_neither_order_nor_cutting_nor_restarts_change_anything(chance: object, cut: int) -> None:
    queries = crowd(7, honest=15, ring=12)
    whole, points = run(queries)
    order = list(range(len(queries)))
    chance.shuffle(order)  # type: ignore[attr-defined]
    order.sort(key=lambda i: queries[i][0] // 2)  # a query may come a tick late, while its tick is open
    pieces, found = level(), []
    for start in range(0, len(order), cut):
        part = [queries[i] for i in order[start : start + cut]]
        pieces.gather(asked(part))
        upcoming = order[start + cut :]
        passed = min((queries[i][0] for i in upcoming), default=queries[-1][0])
        found += pieces.close(passed * TICKS + (not upcoming), ended=not upcoming)
        pieces = restarted(pieces)
    assert found == points
    assert rows(pieces) == rows(whole)
    assert pieces.members() == whole.members()


@settings(max_examples=15)
@given(seed=st.integers(0, 1_000))
def test_what_is_kept_of_a_pool_is_what_its_members_make(seed: int) -> None:
    of, _ = run(crowd(seed, honest=25, ring=10))
    for ring, pool in of.linking.pools.items():
        counts = counts_of(of.accounts.rows, np.array(sorted(pool.members)))
        assert np.array_equal(pool.counts, counts.sum(0))
        assert pool.apart == likelihoods(counts, ring_law()).sum()
        assert pool.likely == likelihoods(pool.counts[None], ring_law())[0]
        assert set(of.accounts.rows["ring"][sorted(pool.members)].tolist()) == {ring}


def test_a_ring_that_fell_silent_is_let_go_and_its_case_can_be_resolved() -> None:
    ticks = 50
    of, points = run(crowd(8, honest=5, ring=12), level(epoch_us=ticks * RING_TICK_US))
    assert points[-1].level > 0
    of, later = run([(10 * ticks, "h0", bins) for bins in honest_bins(np.random.default_rng(0), 10)], of)
    assert not of.members()
    assert [(point.id, point.level, point.accounts) for point in later] == [(points[-1].id, 0, 0)]


def restarted(of: RingLevel) -> RingLevel:
    """A new process that reads the saved rows in another order."""
    found = level()
    for old, new in ((of.accounts, found.accounts), (of.rings, found.rings)):
        for slot in reversed(range(len(old))):
            new.restore(old.ids[slot], old.rows[slot].tobytes())
    found.restore(of.saved())
    return found


def rows(of: RingLevel) -> dict[str, bytes]:
    return {id_: table.rows[slot].tobytes() for table in (of.accounts, of.rings) for slot, id_ in enumerate(table.ids)}
