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

from detector.errors import StoreError
from detector.levels import PART
from detector.logs.contract import Decode, Decoded
from detector.query import Chunk

MOST_BYTES = 512 * 1024  # of payloads in one message; a single payload may be larger
KEY_BYTES = 64  # the longest key that BLAKE2b takes (RFC 7693)


class Records(msgspec.Struct, frozen=True, array_like=True):
    """Records of the stream `stream` in its order, all with something for one partition.

    offsets, bounds: int64, little-endian, one for each payload (Chunk). profile: who shared them out by its secret.
    """

    profile: str
    stream: str
    offsets: bytes
    bounds: bytes
    payloads: list[bytes]


class Routes:
    """Which partition a client is judged in: BLAKE2b of the id, keyed with the profile's secret, so that nobody can
    choose ids that crowd one partition.

    >>> from detector.logs.native import decode_many
    >>> Routes(b"secret", 6, decode_many).of("alice")
    1
    """

    def __init__(self, secret: bytes, partitions: int, decode: Decode) -> None:
        self.partitions = partitions
        self._secret = secret[:KEY_BYTES]
        self._decode = decode

    def of(self, client: str) -> int:
        digest = blake2b(client.encode("utf-8", "surrogatepass"), digest_size=8, key=self._secret).digest()
        return int.from_bytes(digest, "little") % self.partitions

    def of_nobody(self, payload: bytes) -> int:
        """Where a record goes, or a part of it, that names no client."""
        return crc32(payload) % self.partitions

    def targets(self, payloads: Sequence[bytes]) -> list[set[int]]:
        """For each payload the partitions that have a part of it: several where a record holds several clients."""
        known: dict[str, int] = {}
        found: list[set[int]] = [set() for _ in payloads]
        for start in range(0, len(payloads), PART):  # what is decoded at once is dropped at once
            queries, sources, refused = self._decode(payloads[start : start + PART])
            named = [(source, query.client) for query, source in zip(queries, sources, strict=True)]
            for source, client in [*named, *((source, error.client) for source, error in refused)]:
                found[start + source].add(self._place(client, payloads[start + source], known))
        return found

    def only(self, partition: int) -> Decode:
        """The same format, of which one partition sees its own clients."""

        def decoded(payloads: Sequence[bytes]) -> Decoded:
            queries, sources, refused = self._decode(payloads)
            known: dict[str, int] = {}
            mine = [
                i
                for i, query in enumerate(queries)
                if self._place(query.client, payloads[sources[i]], known) == partition
            ]
            left = [one for one in refused if self._place(one[1].client, payloads[one[0]], known) == partition]
            if len(mine) < len(queries):
                queries, sources = [queries[i] for i in mine], [sources[i] for i in mine]
            return queries, sources, left

        return decoded

    def _place(self, client: str | None, payload: bytes, known: dict[str, int]) -> int:
        if client is None:
            return self.of_nobody(payload)
        found = known.get(client)
        if found is None:
            found = known[client] = self.of(client)
        return found


def messages(profile: str, chunk: Chunk, routes: Routes) -> Iterator[tuple[int, bytes]]:
    """Stage 1, pure: a chunk to (target partition, message), in an order that keeps the source's within each target.

    Raises StoreError where the chunk's offsets do not grow: a watermark could not tell what is repeated.
    """
    if any(later <= earlier for earlier, later in zip(chunk.offsets, chunk.offsets[1:], strict=False)):
        raise StoreError(f"{chunk.stream}: offsets do not grow")
    cells: dict[int, list[int]] = {}
    for index, targets in enumerate(routes.targets(chunk.payloads)):
        for target in targets:
            cells.setdefault(target, []).append(index)
    for target, rows in cells.items():
        for part in _cut(rows, chunk.payloads):
            yield target, _ENCODER.encode(_records(profile, chunk, part))


def read(value: bytes, profile: str) -> Records:
    """A message. Raises StoreError for one that is none, or that was shared out by another profile."""
    try:
        records = _DECODER.decode(value)
    except msgspec.MsgspecError as error:
        raise StoreError(f"a message between the stages cannot be read: {error}") from error
    if records.profile != profile:
        raise StoreError(
            f"a message was sent by a worker with the profile {records.profile}, this one has {profile}: "
            "another profile needs another cluster.name, see docs/cluster.md"
        )
    return records


def chunk_of(records: Records, after: int) -> Chunk | None:
    """What of a message comes behind the watermark `after` of its source, as a chunk; None where nothing does."""
    offsets = np.frombuffer(records.offsets, "<i8")
    if len(offsets) != len(records.payloads) or (np.diff(offsets) <= 0).any():
        raise StoreError(f"{records.stream}: the offsets of a message between the stages do not grow")
    start = int(np.searchsorted(offsets, after, side="right"))
    if start == len(offsets):
        return None
    bounds = np.frombuffer(records.bounds, "<i8")[start:].tolist()
    return Chunk(records.stream, records.payloads[start:], offsets[start:].tolist(), int(offsets[-1]) + 1, bounds)


def _records(profile: str, chunk: Chunk, rows: Sequence[int]) -> Records:
    return Records(
        profile,
        chunk.stream,
        np.array([chunk.offsets[i] for i in rows], "<i8").tobytes(),
        np.array([chunk.bounds_at[i] for i in rows], "<i8").tobytes(),
        [chunk.payloads[i] for i in rows],
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
