"""What a signal family promises: signals from a batch and bounded state per entity, and nothing else."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import numba
import numpy as np
from numpy.typing import NDArray

from detector.query import Batch

DIMS = 16  # of the projected input; 16 squares of 14-bit differences fit an unsigned 32-bit sum exactly
STAGES = 9  # stages a signal may be conditioned on

Rows = NDArray[Any]  # structured, one record an entity; a feature reads and writes the fields it asked for
Learned = Mapping[str, NDArray[Any]]
Column = NDArray[np.float64]


class Field(NamedTuple):
    """A field of the entity's row: little-endian dtype and shape. It starts as zeros, which must mean "nothing yet"."""

    name: str
    dtype: str
    shape: tuple[int, ...] = ()


class Signal(NamedTuple):
    """One number per query.

    name       `family.what`
    staged     the value is only comparable among queries of one stage (0 .. STAGES - 1), which `measure` gives too
    additive   depends on the query alone, so that counts of a group's members add up
    low, high  what an excess of low or high values means, completing "62% of its queries ..."; `{honest}` is the
               share of honest queries that are less extreme
    hides      the attacks that are seen late or not at all where the log does not carry the signal
    alone      may accuse by itself; else it only corroborates: it counts for no more than what one honest client in a
               hundred shows, stands among the reasons, and is seen by the one-class model
    habit      tells of the entity's habits rather than of the query: its values hang together, so that a share of odd
               queries among honest ones is no alternative to bet on, and they move on with n, so that nobody turns
    even       a place between 0 and 1, any as likely as any other where what is asked has no order: bins are equal, and
               the alternative is that law
    cuts       bin edges of a value that counts something rare, for which honest quantiles say nothing; else empty
    speaks_for, speaks_against  kinds of attack (detector.alert.Attack) that an excess makes likelier, or unlikely
               beside what speaks for them
    """

    name: str
    staged: bool
    additive: bool
    low: str
    high: str
    hides: str
    alone: bool = True
    habit: bool = False
    cuts: tuple[float, ...] = ()
    even: bool = False
    speaks_for: tuple[str, ...] = ("extraction",)
    speaks_against: tuple[str, ...] = ()


class Reference(NamedTuple):
    """What `fit` learns the training distribution from: x (n, DIMS) int16, projected; labels (n,) int32.

    lessons: honest queries, and queries that were made to teach; None where there are too few clients to teach on.
    residual, roughness: (n,), of x; empty where nobody asks for them. records: x of the training file, (m, DIMS); None
    where there was none and honest traffic stands in. key: 64 bits of the profile's secret.
    """

    x: NDArray[np.int16]
    labels: NDArray[np.int32]
    seed: int
    lessons: tuple[Batch, Batch] | None = None
    residual: NDArray[np.float64] = np.zeros(0)
    roughness: NDArray[np.float64] = np.zeros(0)
    records: NDArray[np.int16] | None = None
    key: int = 0


class Feature(NamedTuple):
    """A signal family.

    fields     row fields that `measure` may use, prefixed with the family's name
    learn      what must be known of the training distribution, as named arrays; they travel in the profile
    measure    (batch, rows, learned, values, stages): fills values (n, len(signals)) float64, ABSENT where a query
               does not carry the signal, and stages (n, len(signals)) int8. Goes through the queries in order and
               updates each query's row, so that cutting the stream into other batches changes no bit.
    unread     whether it is shown queries whose input could not be read, too
    """

    name: str
    signals: tuple[Signal, ...]
    fields: tuple[Field, ...]
    learn: Callable[[Reference], dict[str, NDArray[Any]]]
    measure: Callable[[Batch, Rows, Learned, NDArray[np.float64], NDArray[np.int8]], None]
    unread: bool = False


def nothing_to_learn(reference: Reference) -> dict[str, NDArray[Any]]:
    """For families that look at the query and its entity only."""
    return {}


def margin_of(batch: Batch) -> NDArray[np.float64]:
    """(n,): second largest probability over the largest: 1 on the boundary, 0 when sure, ABSENT where the log has none.
    No logarithm: exact everywhere.
    """
    first, second = batch.top[:, 0], batch.top[:, 1]
    return np.asarray(np.divide(second, first, out=np.full(len(first), np.nan), where=first > 0))


LABELS = 16  # labels told apart; where there are more, some share a place


@numba.njit(cache=True)
def place_of(label):  # type: ignore[no-untyped-def]
    """0 .. LABELS - 1; -1 without a label. Small numbers keep a place of their own."""
    if label < LABELS:
        return max(np.int64(label), -1)
    return np.int64(((np.uint64(label) * np.uint64(2654435769)) & np.uint64(0xFFFFFFFF)) >> np.uint64(28))  # Knuth 6.4


@numba.njit(cache=True)
def stage_of(seen):  # type: ignore[no-untyped-def]
    """log2 of how many were seen: 0-1, 2-3, 4-7, ... 128-255, and all above."""
    stage = 0
    while stage < STAGES - 1 and seen >= (2 << stage):
        stage += 1
    return stage
