"""Who is judged: keys, names and one fixed-size record of state for each entity of a level."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from detector.errors import ProfileError
from features.contract import Field, Rows

LAYOUT_VERSION = 2
BINS = 16
RETRIES = 32  # ids that an entity's retries are recognised among

BASE = (
    Field("salt", "<u8"),  # seeds the entity's own random choices; from its key
    Field("first_at", "<i8"),  # microseconds; epochs are counted from here
    Field("clock", "<i8"),  # the latest time seen: an entity's time never runs backwards
    Field("tape_at", "<i8"),  # clock at the last point of the tape
    Field("n", "<u4"),  # queries, ever; 0 marks a record that nothing was written to
    Field("epoch", "<u4"),
    Field("day", "<u4"),
    Field("asked_today", "<u4"),
    Field("tape_level", "<u4"),
    Field("n_counted", "<u4"),  # queries that were weighed
    Field("watch", "<f4"),  # what the one-class model said at the last look, in the score's unit
    Field("top", "<u2"),  # highest grid level of the kernels' channels within the horizon
    Field("peak", "<u2"),  # highest grid level of the score within the horizon
)
RETRY = (Field("retry_id", "<u4", (RETRIES,)), Field("retry_content", "<u2", (RETRIES,)))


class Name(NamedTuple):
    """An entity as people know it: the served model, the level, the id in the log."""

    model: str
    kind: str
    id: str


def entity_key(name: Name, secret: bytes) -> bytes:
    """16 bytes: BLAKE2b of the length-prefixed parts, keyed, so that keys tell nothing to who lacks the secret."""
    digest = hashlib.blake2b(digest_size=16, key=secret)
    for part in name:
        data = part.encode("utf-8", "surrogatepass")
        digest.update(len(data).to_bytes(4, "little") + data)
    return digest.digest()


def client_dtype(signals: int, fields: Iterable[Field]) -> np.dtype[np.void]:
    """A client's record: BASE, counts (2 epochs, signals, BINS), those before the last doubling, retries, `fields`."""
    return packed([*BASE, *_counts(signals), *RETRY, *fields])


def group_dtype(signals: int) -> np.dtype[np.void]:
    """A group's record: the last tick that was closed for it, then BASE and counts."""
    return packed([Field("tick", "<i8"), *BASE, *_counts(signals)])


def _counts(signals: int) -> tuple[Field, ...]:
    return Field("counts", "<u2", (2, signals, BINS)), Field("before", "<u2", (signals, BINS))


def packed(layout: list[Field]) -> np.dtype[np.void]:
    size = np.dtype([tuple(field) for field in layout]).itemsize
    if size % 8:
        layout.append(Field("reserved", "<u1", (-size % 8,)))
    return np.dtype([tuple(field) for field in layout])


def describe(dtype: np.dtype[np.void]) -> dict[str, Any]:
    """The layout in words, for the profile: a store whose rows were laid out otherwise is refused."""
    fields: Mapping[str, Any] = dtype.fields or {}
    return {
        "version": LAYOUT_VERSION,
        "bytes": dtype.itemsize,
        "fields": {name: f"{spec[0].base.str}{list(spec[0].shape)}@{spec[1]}" for name, spec in fields.items()},
    }


class Entities:
    """The entities of one model and level, and their rows. A row is found by its slot, a slot by the entity's id."""

    def __init__(self, model: str, kind: str, dtype: np.dtype[np.void], secret: bytes, capacity: int = 1024) -> None:
        self.model, self.kind, self.dtype = model, kind, dtype
        self.rows: Rows = np.zeros(capacity, dtype)
        self.dirty = np.zeros(capacity, np.bool_)
        self.weighed_by = np.zeros(capacity, np.int8)  # the level that has weighed an entity's queries last
        self.ids: list[str] = []
        self.keys: list[bytes] = []
        self._secret = secret
        self._slots: dict[str, int] = {}
        self._enlarge: Callable[[Rows], Rows] = _enlarged

    def kept_by(self, enlarge: Callable[[Rows], Rows]) -> None:
        """Lets `enlarge` say where rows lie from now on: it gives more rows, first those that it is given."""
        self._enlarge = enlarge
        self.rows = enlarge(self.rows)
        self._grow()

    def __len__(self) -> int:
        return len(self.ids)

    def slots(self, ids: Sequence[str]) -> NDArray[np.int64]:
        """The slots of entities, new ones for those that were not known."""
        found = list(map(self._slots.get, ids))
        if None in found:
            found = [self.slot(id_) for id_ in ids]
        return np.array(found, np.int64)

    def slot(self, id_: str) -> int:
        found = self._slots.get(id_)
        return self._add(id_) if found is None else found

    def find(self, id_: str) -> int | None:
        return self._slots.get(id_)

    def touched(self, slots: NDArray[np.int64]) -> None:
        """Notes that these rows were written."""
        self.dirty[slots] = True

    def changed(self) -> Iterator[tuple[bytes, bytes]]:
        """(key, record) of every row written since `settled`."""
        for slot in np.flatnonzero(self.dirty[: len(self)]):
            yield self.keys[slot], self.rows[slot].tobytes()

    def changed_names(self) -> Iterator[tuple[bytes, str, str, str]]:
        for slot in np.flatnonzero(self.dirty[: len(self)]):
            yield self.keys[slot], self.model, self.kind, self.ids[slot]

    def settled(self) -> None:
        self.dirty[:] = False

    def restore(self, id_: str, record: bytes) -> None:
        """Puts a saved record back; raises ProfileError when its size is not this layout's."""
        if len(record) != self.dtype.itemsize:
            raise ProfileError(
                f"the saved row of {self.kind} {id_} has {len(record)} bytes, this profile's rows have "
                f"{self.dtype.itemsize}: rows are never converted, see docs/operating.md"
            )
        slot = self.slot(id_)  # before `rows` is looked at: a new slot may enlarge it
        self.rows[slot] = np.frombuffer(record, self.dtype)[0]

    def forget(self, id_: str) -> None:
        """Lets go of an entity. Who comes again under this id is new, in another slot: what is kept beside rows by
        their slots is not taken for his. The old slot stays empty and nobody's.
        """
        slot = self._slots.pop(id_, None)
        if slot is not None:
            self.rows[slot] = np.zeros((), self.dtype)
            self.dirty[slot] = False
            self.ids[slot], self.keys[slot] = "", b""

    def _add(self, id_: str) -> int:
        slot = len(self.ids)
        if slot == len(self.rows):
            self.rows = self._enlarge(self.rows)
            self._grow()
        key = entity_key(Name(self.model, self.kind, id_), self._secret)
        self.ids.append(id_)
        self.keys.append(key)
        self._slots[id_] = slot
        self.rows[slot]["salt"] = np.frombuffer(key, "<u8")[0]
        return slot

    def _grow(self) -> None:
        """As many places beside rows as there are rows."""
        self.dirty = _lengthened(self.dirty, len(self.rows))
        self.weighed_by = _lengthened(self.weighed_by, len(self.rows))


def _enlarged(old: Rows) -> Rows:
    return _lengthened(old, 2 * len(old))


def _lengthened(old: NDArray[Any], length: int) -> NDArray[Any]:
    new = np.zeros(length, old.dtype)
    new[: len(old)] = old
    return new
