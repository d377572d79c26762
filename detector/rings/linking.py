"""Who is in a ring with whom: link, grow, merge. What is linked accuses nobody; that is detector.rings.judging.

An account whose counts changed chooses anew: the pool in which its counts are likeliest to be the same hand's, or one
other account, or none. Then pools look for accounts that were too few to choose them, and for each other. All that is
remembered between two ticks is which ring each account is in; the rest follows from the accounts' counts. So a store
that was restored goes on where it was, and what is linked does not depend on the order of arrival.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

import msgspec
import numpy as np
from numpy.typing import NDArray

from detector.alert import stable_id
from detector.entities import Entities
from detector.evidence.law import Law
from detector.rings.accounts import ALONE, LEAST, counts_of
from detector.rings.candidates import Index, Signature, signature
from detector.rings.likelihood import Counts, gains, likelihoods

POOLS, ACCOUNTS = 32, 32  # looked at from each drawer
REVIEWED, REVIEW_US = 32, 600_000_000  # members asked in their turn, which moves on with time
NOTHING = -1


class Limits(msgspec.Struct, frozen=True):
    """Nats of detector.rings.likelihood: two accounts are linked from `link` on, an account joins a pool, and pools
    merge, from `join` on; a member stays down to `stay`. As odds 3,000, 1,100 and 55 to 1.
    """

    link: float = 8.0
    join: float = 7.0
    stay: float = 4.0


class Pool(NamedTuple):
    """A ring's members (slots), their counts together, the likelihood of these and that of each member's own, summed;
    and where they are filed.
    """

    members: frozenset[int]
    counts: Counts
    likely: float
    apart: float
    filed: Signature


class Linking:
    """The rings among the accounts of one model. forget_us: an account silent for so long is in no ring."""

    def __init__(self, accounts: Entities, law: Law, limits: Limits, forget_us: int) -> None:
        self.accounts, self._law, self._limits, self._forget_us = accounts, law, limits, forget_us
        self.pools: dict[int, Pool] = {}
        self._singles, self._filed = Index(), Index()
        self._awake: dict[int, int] = {}  # slot -> when it asked last, in that order
        self._touched: set[int] = set()

    def restore(self) -> None:
        """Makes everything anew from the accounts' rows."""
        self.pools.clear()
        self._singles, self._filed = Index(), Index()
        rows = self.accounts.rows[: len(self.accounts)]
        awake = np.flatnonzero((rows["n"] >= LEAST) & (rows["clock"] >= rows["clock"].max(initial=0) - self._forget_us))
        awake = awake[np.argsort(rows["clock"][awake], kind="stable")]
        self._awake = dict(zip(awake.tolist(), rows["clock"][awake].tolist(), strict=True))
        members: dict[int, list[int]] = {}
        for slot in awake.tolist():
            ring = int(rows["ring"][slot])
            if ring == ALONE:
                self._file(slot)
            else:
                members.setdefault(ring, []).append(slot)
        for ring, slots in members.items():
            counts = counts_of(self.accounts.rows, np.array(slots))
            self._put(ring, frozenset(slots), counts.sum(0), float(likelihoods(counts, self._law).sum()))
        self._touched.clear()

    def moved(self, slots: NDArray[np.int64], before: Counts, after: Counts) -> None:
        """The counts of accounts (n, F, BINS) changed: those of their pools do, too."""
        rings = self.accounts.rows["ring"][slots]
        pooled = np.flatnonzero(rings != ALONE)
        likelier = likelihoods(after[pooled], self._law) - likelihoods(before[pooled], self._law)
        for place, more in zip(pooled.tolist(), likelier.tolist(), strict=True):
            pool = self.pools[int(rings[place])]
            counts = pool.counts + after[place] - before[place]
            self._put(int(rings[place]), pool.members, counts, pool.apart + more)

    def settle(self, changed: Iterable[int], now: int) -> list[int]:
        """Takes the accounts (slots) whose counts changed up to log time `now`, microseconds; returns the rings of
        which something changed, also those that are no more, ascending.
        """
        self._expire(now)
        keys, rows = self.accounts.keys, self.accounts.rows
        ripe = [slot for slot in sorted(changed, key=lambda slot: keys[slot]) if rows["n"][slot] >= LEAST]
        for slot in ripe:
            self._awake.pop(slot, None)
            self._awake[slot] = now
            self._choose(slot)
        for ring in sorted(self._touched):
            if ring in self.pools:
                self._grow(ring)
        for ring in sorted(self._touched):
            if ring in self.pools:
                self._merge(ring)
        for ring in sorted(self._touched):
            if ring in self.pools:
                self._review(ring, now)
        found = sorted(self._touched)
        self._touched.clear()
        return found

    def _expire(self, now: int) -> None:
        """Lets go of accounts that have been silent for long."""
        silent = []
        for slot, clock in self._awake.items():
            if clock >= now - self._forget_us:
                break
            silent.append(slot)
        for slot in sorted(silent, key=lambda slot: self.accounts.keys[slot]):
            del self._awake[slot]
            counts = counts_of(self.accounts.rows, np.array([slot]))
            self._leave(slot, counts[0], float(likelihoods(counts, self._law)[0]))

    # -- one account

    def _choose(self, slot: int) -> None:
        counts = counts_of(self.accounts.rows, np.array([slot]))
        own = float(likelihoods(counts, self._law)[0])
        under = signature(counts[0], self._law)
        was = self._leave(slot, counts[0], own)
        pools = self._filed.near(under, POOLS)
        if was in self.pools and was not in pools:
            pools.append(was)
        ring, gain = self._best(counts[0], own, pools)
        if ring != NOTHING and gain >= (self._limits.stay if ring == was else self._limits.join):
            self._join(ring, [slot], counts[0], own)
            return
        near = np.array(self._singles.near(under, ACCOUNTS), np.int64)
        others = counts_of(self.accounts.rows, near)
        likely = likelihoods(others, self._law)
        gained = gains(counts[0], own, others, likely, self._law)
        best = int(np.argmax(gained)) if len(near) else NOTHING
        if best != NOTHING and gained[best] >= self._limits.link:
            other = int(near[best])
            apart = own + float(likely[best])
            self._join(self._name(slot, other), [slot, other], counts[0] + others[best], apart)
        else:
            self._singles.file(slot, self.accounts.keys[slot], under)

    def _leave(self, slot: int, counts: Counts, own: float) -> int:
        """Takes the account out of its ring, or from among those that stand alone; returns the ring."""
        self._singles.drop(slot)
        ring = int(self.accounts.rows["ring"][slot])
        if ring != ALONE:
            pool = self.pools[ring]
            self._set(slot, ALONE)
            self._put(ring, pool.members - {slot}, pool.counts - counts, pool.apart - own)
        return ring

    def _best(self, counts: Counts, own: float, pools: list[int]) -> tuple[int, float]:
        """The pool that gains most, the lowest number among equals."""
        if not pools:
            return NOTHING, 0.0
        pools = sorted(pools)
        others = np.stack([self.pools[ring].counts for ring in pools])
        likely = np.array([self.pools[ring].likely for ring in pools])
        found = gains(counts, own, others, likely, self._law)
        best = int(np.argmax(found))
        return pools[best], float(found[best])

    def _name(self, *slots: int) -> int:
        """A number for the ring that these found: of the first of them, so that it is the same when they meet again."""
        rows, keys = self.accounts.rows, self.accounts.keys
        first = min(slots, key=lambda slot: (int(rows["first_at"][slot]), keys[slot]))
        number = int(stable_id("ring", keys[first].hex())[:15], 16) + 1
        while number in self.pools:
            number += 1
        return number

    # -- one pool

    def _grow(self, ring: int) -> None:
        """Takes in accounts that stand alone."""
        pool = self.pools[ring]
        near = np.array(self._singles.near(pool.filed, ACCOUNTS), np.int64)
        if not len(near):
            return
        others = counts_of(self.accounts.rows, near)
        likely = likelihoods(others, self._law)
        found = gains(pool.counts, pool.likely, others, likely, self._law)
        gained = np.flatnonzero(found >= self._limits.join)
        if len(gained):
            self._join(ring, near[gained].tolist(), others[gained].sum(0), float(likely[gained].sum()))

    def _review(self, ring: int, now: int) -> None:
        """Asks some members, each in its turn, whether they would still stay: a pool moves on while they are silent."""
        pool, keys = self.pools[ring], self.accounts.keys
        members = sorted(pool.members, key=lambda slot: keys[slot])
        start = now // REVIEW_US * REVIEWED % len(members)
        slots = np.array((members[start:] + members[:start])[:REVIEWED])
        counts = counts_of(self.accounts.rows, slots)
        own, without = likelihoods(counts, self._law), likelihoods(pool.counts - counts, self._law)
        for slot in slots[pool.likely - without - own < self._limits.stay].tolist():
            self._choose(slot)

    def _merge(self, ring: int) -> None:
        """Unites with the pool that gains most; the older name stays."""
        pool = self.pools[ring]
        others = [other for other in self._filed.near(pool.filed, POOLS) if other != ring]
        other, gain = self._best(pool.counts, pool.likely, others)
        if other == NOTHING or gain < self._limits.join:
            return
        kept, gone = sorted((ring, other), key=self._since)
        absorbed = self.pools[gone]
        self._put(gone, frozenset(), absorbed.counts, absorbed.apart)
        self._join(kept, sorted(absorbed.members), absorbed.counts, absorbed.apart)

    def _since(self, ring: int) -> tuple[int, int]:
        rows = self.accounts.rows
        return min(int(rows["first_at"][slot]) for slot in self.pools[ring].members), ring

    def _join(self, ring: int, slots: list[int], counts: Counts, apart: float) -> None:
        for slot in slots:
            self._singles.drop(slot)
            self._set(slot, ring)
        pool = self.pools.get(ring)
        if pool is not None:
            counts, apart = counts + pool.counts, apart + pool.apart
        self._put(ring, frozenset(slots) | (pool.members if pool else frozenset()), counts, apart)

    def _put(self, ring: int, members: frozenset[int], counts: Counts, apart: float) -> None:
        """The ring has these members from now on; one is none."""
        self._touched.add(ring)
        if len(members) >= 2:
            under = signature(counts, self._law)
            self.pools[ring] = Pool(members, counts, float(likelihoods(counts[None], self._law)[0]), apart, under)
            self._filed.file(ring, ring.to_bytes(8, "big"), under)
            return
        self.pools.pop(ring, None)
        self._filed.drop(ring)
        for slot in members:
            self._set(slot, ALONE)
            self._file(slot)

    def _set(self, slot: int, ring: int) -> None:
        self.accounts.rows["ring"][slot] = ring
        self.accounts.dirty[slot] = True

    def _file(self, slot: int) -> None:
        under = signature(counts_of(self.accounts.rows, np.array([slot]))[0], self._law)
        self._singles.file(slot, self.accounts.keys[slot], under)
