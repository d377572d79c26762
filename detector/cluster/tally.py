"""What members of a group asked in a tick, as sums: all that leaves the partition of a client for what spans clients.

Sums carry no order. Taken apart again they are queries in an order of their own, which are judged to the same row.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

import msgspec
import numpy as np
from numpy.typing import NDArray

from detector.entities import BINS
from detector.evidence.kernels import NO_BIN
from detector.levels import MEMBERS, Asked, run_starts
from detector.query import I64, U8

FEW = 255  # queries, of which each count fits one byte


class Sum(msgspec.Struct, frozen=True, array_like=True):
    """Queries of one group, or of one account, in one tick.

    counts: (F, BINS) of the additive signals, one byte each up to FEW queries, else uint32. at, query_id: of the
    latest; members: of its clients the first by name.
    """

    tick: int
    name: str
    queries: int
    counts: bytes
    at: int
    query_id: str
    members: tuple[str, ...] = ()


def summed(asked: Asked, names: Sequence[str], *, members: bool) -> Iterator[Sum]:
    """Sums of queries that are sorted by tick and slot; names: by slot."""
    starts = run_starts(asked.tick, asked.slot).tolist()
    for start, stop in zip(starts, [*starts[1:], len(asked.tick)], strict=True):
        rows = range(start, stop)
        at, query_id = max((int(asked.at[i]), asked.query_ids[i]) for i in rows)
        who = sorted({asked.clients[i] for i in rows})[:MEMBERS] if members else ()
        counts = _packed(counted(asked.bins[start:stop]), stop - start)
        yield Sum(int(asked.tick[start]), names[int(asked.slot[start])], stop - start, counts, at, query_id, tuple(who))


def apart(sums: Sequence[Sum], slots: Callable[[Sequence[str]], I64], width: int) -> Asked:
    """The queries of sums, as far as they matter: each signal's bins by themselves, the latest time and id for all."""
    queries = np.array([one.queries for one in sums], np.int64)
    bins = [of_counts(_unpacked(one.counts, one.queries, width), one.queries) for one in sums]
    ids, clients = [], []
    for one in sums:
        ids += [one.query_id] * one.queries
        clients += [*one.members, *[one.members[0] if one.members else ""] * (one.queries - len(one.members))]
    tick = np.repeat(np.array([one.tick for one in sums], np.int64), queries)
    at = np.repeat(np.array([one.at for one in sums], np.int64), queries)
    slot = np.repeat(slots([one.name for one in sums]), queries)
    return Asked(tick, slot, at, np.concatenate([np.empty((0, width), np.uint8), *bins]), ids, clients)


def counted(bins: U8) -> I64:
    """(n, F) -> (F, BINS)."""
    width = bins.shape[1]
    there = bins != NO_BIN
    places = (bins.astype(np.int64) + np.arange(width) * BINS)[there]
    return np.bincount(places, minlength=width * BINS).reshape(width, BINS)


def of_counts(counts: I64, queries: int) -> U8:
    """(F, BINS) -> (n, F): bins in their order, NO_BIN where a query had none."""
    bins = np.full((queries, len(counts)), NO_BIN, np.uint8)
    for f, row in enumerate(counts):
        found = np.repeat(np.arange(BINS, dtype=np.uint8), row)
        bins[: len(found), f] = found
    return bins


def _packed(counts: NDArray[np.int64], queries: int) -> bytes:
    return counts.astype("<u1" if queries <= FEW else "<u4").tobytes()


def _unpacked(counts: bytes, queries: int, width: int) -> I64:
    found = np.frombuffer(counts, "<u1" if queries <= FEW else "<u4").astype(np.int64)
    return found.reshape(width, BINS)
