"""What travels between the two stages: records of one source partition that belong to one partition of judgement.

A message holds whole columns (offsets, bounds, payloads), never a single record. The payloads travel as they were
logged and are decoded on both sides: so what is judged is byte for byte what `replay` reads, and nothing of the
pipeline is written twice. The price is a second decode, and that the topic between holds what the log holds.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from hashlib import blake2b
from zlib import crc32

import msgspec
import numpy as np

from detector import columns
from detector.errors import StoreError
from detector.levels import PART, TICK_US
from detector.logs.contract import Decode, Decoded
from detector.query import I64, Chunk

MOST_BYTES = 512 * 1024  # of payloads in one message; a single payload may be larger
OF_FIRST = b"\x95"  # how a message of version 1 begins: an array of five (MessagePack)
MOST_KNOWN = 65_536  # clients whose place is remembered
KEY_BYTES = 64  # the longest key that BLAKE2b takes (RFC 7693)


class Records(msgspec.Struct, frozen=True, array_like=True):
    """Records of the stream `stream` in its order, all with something for one partition; none at all, where only the
    time is told.

    offsets, bounds, clocks: int64, little-endian, one for each payload (Chunk). profile: who shared them out by its
    secret. upto: the stream's next offset; clock: where its clock stood then. All that the partition has to get of the
    stream before that is in this message or in earlier ones. idle: nothing had come for long, and nothing was left.

    Messages of version 1 have no clocks: of the time they say no more than what their records do.
    """

    profile: str
    stream: str
    offsets: bytes
    bounds: bytes
    clocks: bytes
    payloads: list[bytes]
    upto: int
    clock: int
    idle: bool = False

    @property
    def timed(self) -> bool:
        return bool(self.clocks) or not self.payloads


class First(msgspec.Struct, frozen=True, array_like=True):
    """A message of version 1."""

    profile: str
    stream: str
    offsets: bytes
    bounds: bytes
    payloads: list[bytes]


class Routes:
    """Which partition a client is judged in: BLAKE2b of the id, keyed with the profile's secret, so that nobody can
    choose ids that crowd one partition.

    >>> from detector.logs.native import decode_many
    >>> Routes(b"secret", 6, decode_many, "model").of("alice")
    1
    """

    def __init__(self, secret: bytes, partitions: int, decode: Decode, model: str) -> None:
        self.partitions, self._model = partitions, model
        self._secret = secret[:KEY_BYTES]
        self._decode = decode
        self._known: dict[str, int] = {}  # where clients are judged whom we have seen lately

    def of(self, client: str) -> int:
        digest = blake2b(client.encode("utf-8", "surrogatepass"), digest_size=8, key=self._secret).digest()
        return int.from_bytes(digest, "little") % self.partitions

    def of_group(self, kind: str, name: str) -> int:
        """Where a group is judged."""
        return self.of(f"{kind}\0{name}")

    def of_nobody(self, payload: bytes) -> int:
        """Where a record goes, or a part of it, that names no client."""
        return crc32(payload) % self.partitions

    def shared(self, payloads: Sequence[bytes], bounds: Sequence[int]) -> tuple[list[set[int]], list[int]]:
        """For each payload the partitions that have a part of it (several where a record holds several clients), and
        the latest time of its queries that count, as the pipeline moves its clock by them.
        """
        found: list[set[int]] = [set() for _ in payloads]
        latest = [0] * len(payloads)
        for start in range(0, len(payloads), PART):  # what is decoded at once is dropped at once
            part, bound = payloads[start : start + PART], bounds[start : start + PART]
            queries, sources, refused = self._decode(part)
            named = [(source, query.client) for query, source in zip(queries, sources, strict=True)]
            for source, client in [*named, *((source, error.client) for source, error in refused)]:
                found[start + source].add(self._place(client, part[source]))
            queries, sources = columns.with_unread(queries, sources, refused, bound, self._model)
            for query, source in zip(queries, sources, strict=True):
                if query.model == self._model and query.client is not None and query.at <= bound[source]:
                    latest[start + source] = max(latest[start + source], query.at)
        return found, latest

    def only(self, partition: int) -> Decode:
        """The same format, of which one partition sees its own clients."""

        def decoded(payloads: Sequence[bytes]) -> Decoded:
            queries, sources, refused = self._decode(payloads)
            places = (
                self._place(query.client, payloads[source]) for query, source in zip(queries, sources, strict=True)
            )
            mine = [i for i, place in enumerate(places) if place == partition]
            left = [one for one in refused if self._place(one[1].client, payloads[one[0]]) == partition]
            if len(mine) < len(queries):
                queries, sources = [queries[i] for i in mine], [sources[i] for i in mine]
            return queries, sources, left

        return decoded

    def _place(self, client: str | None, payload: bytes) -> int:
        if client is None:
            return self.of_nobody(payload)
        known = self._known
        found = known.get(client)
        if found is None:
            if len(known) >= MOST_KNOWN:
                known.clear()
            found = known[client] = self.of(client)
        return found


def messages(profile: str, chunk: Chunk, routes: Routes, clock: int) -> tuple[list[tuple[int, bytes]], int]:
    """Stage 1, pure: a chunk to (target partition, message), in an order that keeps the source's within each target.
    clock: the stream's before the chunk; returned as it stands after it. When it has come to another tick, those hear
    of it, too, for whom nothing came.

    Raises StoreError where the chunk's offsets do not grow: a watermark could not tell what is repeated.
    """
    if any(later <= earlier for earlier, later in zip(chunk.offsets, chunk.offsets[1:], strict=False)):
        raise StoreError(f"{chunk.stream}: offsets do not grow")
    targets, latest = routes.shared(chunk.payloads, chunk.bounds_at)
    clocks = np.maximum.accumulate(np.maximum(np.array(latest, np.int64), clock))
    after = int(clocks[-1])
    cells: dict[int, list[int]] = {}
    for index, found in enumerate(targets):
        for target in found:
            cells.setdefault(target, []).append(index)
    if after // TICK_US > clock // TICK_US:
        for target in range(routes.partitions):
            cells.setdefault(target, [])
    sent = []
    for target, rows in cells.items():
        parts = list(_cut(rows, chunk.payloads)) or [[]]
        for number, part in enumerate(parts, 1):
            whole = number == len(parts)
            upto, at = (chunk.next_offset, after) if whole else (chunk.offsets[part[-1]] + 1, int(clocks[part[-1]]))
            sent.append((target, _ENCODER.encode(_records(profile, chunk, clocks, part, upto, at))))
    return sent, after


def at_rest(profile: str, stream: str, upto: int, clock: int) -> bytes:
    """What all partitions are told of a stream of which nothing comes."""
    return _ENCODER.encode(Records(profile, stream, b"", b"", b"", [], upto, clock, idle=True))


def read(value: bytes, profile: str) -> Records:
    """A message. Raises StoreError for one that is none, or that was shared out by another profile."""
    try:
        records = _of_first(_FIRST.decode(value)) if value[:1] == OF_FIRST else _DECODER.decode(value)
    except msgspec.MsgspecError as error:
        raise StoreError(f"a message between the stages cannot be read: {error}") from error
    if records.profile != profile:
        raise StoreError(
            f"a message was sent by a worker with the profile {records.profile}, this one has {profile}: "
            "another profile needs another cluster.name, see docs/cluster.md"
        )
    return records


def reach(records: Records) -> int:
    """A log time up to which the records may move the clock of their stream."""
    return records.clock if records.timed else int(np.frombuffer(records.bounds, "<i8").max())


def _of_first(first: First) -> Records:
    offsets = np.frombuffer(first.offsets, "<i8")
    upto = int(offsets[-1]) + 1 if len(offsets) else 0
    return Records(first.profile, first.stream, first.offsets, first.bounds, b"", first.payloads, upto, 0)


def chunk_of(records: Records, after: int) -> Chunk | None:
    """What of a message comes behind the watermark `after` of its source, as a chunk; None where nothing does."""
    offsets = np.frombuffer(records.offsets, "<i8")
    clocks = np.frombuffer(records.clocks, "<i8") if records.timed else offsets
    if len({len(offsets), len(clocks), len(records.payloads)}) > 1 or (np.diff(offsets) <= 0).any():
        raise StoreError(f"{records.stream}: the offsets of a message between the stages do not grow")
    start = int(np.searchsorted(offsets, after, side="right"))
    if start == len(offsets):
        return None
    bounds = np.frombuffer(records.bounds, "<i8")[start:].tolist()
    at = offsets[start:].tolist(), int(offsets[-1]) + 1
    known = clocks[start:].tolist() if records.timed else None
    return Chunk(records.stream, records.payloads[start:], *at, bounds, known)


def _records(profile: str, chunk: Chunk, clocks: I64, rows: Sequence[int], upto: int, clock: int) -> Records:
    return Records(
        profile,
        chunk.stream,
        np.array([chunk.offsets[i] for i in rows], "<i8").tobytes(),
        np.array([chunk.bounds_at[i] for i in rows], "<i8").tobytes(),
        clocks[list(rows)].astype("<i8").tobytes(),
        [chunk.payloads[i] for i in rows],
        upto,
        clock,
    )


def _cut(rows: Iterable[int], payloads: Sequence[bytes]) -> Iterator[list[int]]:
    part: list[int] = []
    size = 0
    for i in rows:
        if part and size + len(payloads[i]) > MOST_BYTES:
            yield part
            part, size = [], 0
        part.append(i)
        size += len(payloads[i])
    if part:
        yield part


_ENCODER = msgspec.msgpack.Encoder()
_DECODER = msgspec.msgpack.Decoder(Records)
_FIRST = msgspec.msgpack.Decoder(First)
