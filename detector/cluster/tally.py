"""What members of a group asked in a tick, as sums: all that leaves the partition of a client for what spans clients.

Sums carry no order. Taken apart again they are queries in an order of their own, which are judged to the same row.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any

import msgspec
import numpy as np
from numpy.typing import NDArray

from detector.entities import BINS
from detector.evidence.kernels import NO_BIN
from detector.levels import MEMBERS, Asked, run_starts
from detector.query import I64, U8

FEW = 255  # queries, of which each count fits one byte
AT_ONCE = 1_024  # sums that are counted together


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
    starts = run_starts(asked.tick, asked.slot)
    stops = np.append(starts[1:], len(asked.tick))
    for first in range(0, len(starts), AT_ONCE):
        part = slice(first, first + AT_ONCE)
        counts = counted(asked.bins[starts[first] : stops[part][-1]], stops[part] - starts[part])
        for start, stop, of in zip(starts[part].tolist(), stops[part].tolist(), counts, strict=True):
            ids, who = asked.query_ids[start:stop], asked.clients[start:stop]
            at, query_id = max(zip(asked.at[start:stop].tolist(), ids, strict=True))
            called = tuple(sorted(set(who))[:MEMBERS]) if members else ()
            packed = _packed(of, stop - start)
            yield Sum(int(asked.tick[start]), names[int(asked.slot[start])], stop - start, packed, at, query_id, called)


def apart(sums: Sequence[Sum], slots: Callable[[Sequence[str]], I64], width: int) -> Asked:
    """The queries of sums, as far as they matter: each signal's bins by themselves, the latest time and id for all."""
    queries = np.array([one.queries for one in sums], np.int64)
    counts = np.array([_unpacked(one.counts, one.queries, width) for one in sums], np.int64)
    ids, clients = [], []
    for one in sums:
        ids += [one.query_id] * one.queries
        clients += [*one.members, *[one.members[0] if one.members else ""] * (one.queries - len(one.members))]
    tick = np.repeat(np.array([one.tick for one in sums], np.int64), queries)
    at = np.repeat(np.array([one.at for one in sums], np.int64), queries)
    slot = np.repeat(slots([one.name for one in sums]), queries)
    return Asked(tick, slot, at, of_counts(counts.reshape(-1, width, BINS), queries), ids, clients)


def counted(bins: U8, runs: I64) -> I64:
    """(n, F) in runs of so many queries -> (runs, F, BINS)."""
    width = bins.shape[1]
    cells = (np.repeat(np.arange(len(runs)), runs)[:, None] * width + np.arange(width)) * BINS + bins
    found = np.bincount(cells[bins != NO_BIN], minlength=len(runs) * width * BINS)
    return found.reshape(len(runs), width, BINS)


def of_counts(counts: I64, queries: I64) -> U8:
    """(runs, F, BINS), of so many queries each -> (n, F): in each run bins in their order, NO_BIN where there are no
    more.
    """
    width = counts.shape[1]
    bins = np.full((int(queries.sum()), width), NO_BIN, np.uint8)
    cells = np.repeat(np.arange(counts.size), counts.ravel())
    columns = cells // BINS  # one for each run and signal
    there = counts.sum(axis=2).ravel()
    rank = np.arange(len(cells)) - np.repeat(np.cumsum(there) - there, there)
    starts = np.cumsum(queries) - queries
    bins[starts[columns // width] + rank, columns % width] = cells % BINS
    return bins


def _packed(counts: NDArray[np.int64], queries: int) -> bytes:
    return counts.astype("<u1" if queries <= FEW else "<u4").tobytes()


def _unpacked(counts: bytes, queries: int, width: int) -> NDArray[Any]:
    return np.frombuffer(counts, "<u1" if queries <= FEW else "<u4").reshape(width, BINS)
