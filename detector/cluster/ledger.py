"""What is durable of a partition: entries of a compacted topic, written in transactions that fence earlier owners.

The transactional id is the partition's, not the worker's. `open` makes the broker refuse every later write of an
earlier owner and ends what he had begun; only then is the partition read, so what is read is final.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Sequence
from typing import Any
from zlib import crc32

import msgspec
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition
from aiokafka.errors import OffsetOutOfRangeError, ProducerFenced

from detector.cluster.entry import Entry
from detector.cluster.forgetting import Forget
from detector.cluster.inbox import Message
from detector.cluster.names import LARGEST_BYTES, Names
from detector.cluster.partition import MARK, TOLD, Partition
from detector.cluster.passing import GROUPS, TOWN
from detector.cluster.policies import Entry as Entered
from detector.cluster.stages import Stage
from detector.errors import StoreError

TRANSACTION_MS = 300_000  # a snapshot of many rows; what a dead owner had begun is ended by the next one
# Of one batch of the producer. Its own 16 KiB hold two rows: 100,000 of them took six times as long, and five times the
# broker's work.
BATCH_BYTES = 1024 * 1024
READ_MS = 200
POINTS = 500  # of the tape in one message

__all__ = ["Ledger", "Owned", "ProducerFenced"]


class Ledger:
    """The partitions of a stage."""

    def __init__(self, entry: Entry, names: Names, stage: Stage) -> None:
        self.entry, self.names, self.stage = entry, names, stage
        self._passer: Any = None
        self._starting = asyncio.Lock()

    async def open(self, number: int) -> Owned:
        """Takes a partition over from whoever had it. Raises StoreError when its state is another profile's, and
        ProducerFenced when another has taken it meanwhile.
        """
        producer = AIOKafkaProducer(
            **self.entry,
            transactional_id=self.names.writer(self.stage.name, number),
            transaction_timeout_ms=TRANSACTION_MS,
            max_request_size=LARGEST_BYTES,
            max_batch_size=BATCH_BYTES,
        )
        try:
            await producer.start()  # from here on we are the only writer
            own = await self._opened(number, producer)
        except BaseException:
            await producer.stop()
            raise
        return own

    async def _opened(self, number: int, producer: Any) -> Owned:
        partition = self.stage.made(number)
        tp = TopicPartition(self.stage.kept, number)
        async with self._reader() as reader:
            reader.assign([tp])
            await reader.seek_to_beginning(tp)
            end = (await reader.end_offsets([tp]))[tp]
            while await reader.position(tp) < end:
                for record in (await reader.getmany(tp, timeout_ms=READ_MS)).get(tp, ()):
                    partition.restore(record.key, record.value)
        partition.restored()
        own = Owned(self, producer, number, partition, end)
        if partition.new:
            await own.begin()
        return own

    async def between(self, number: int, offsets: range) -> AsyncGenerator[list[Message], None]:
        """The messages of what the stage takes, some at a time. Raises StoreError when they are gone."""
        tp, at = TopicPartition(self.stage.taken, number), offsets.start
        async with AIOKafkaConsumer(**self.entry, auto_offset_reset="none") as reader:
            reader.assign([tp])
            reader.seek(tp, at)
            while at < offsets.stop:
                try:
                    records = (await reader.getmany(tp, timeout_ms=READ_MS)).get(tp, [])
                except OffsetOutOfRangeError as error:
                    raise StoreError(f"messages are missing between {at - 1} and {offsets.stop}") from error
                found = [(record.offset, record.value) for record in records if record.offset < offsets.stop]
                if found:
                    yield found
                if records:
                    at = records[-1].offset + 1

    async def passer(self) -> Any:
        """What parcels are sent by."""
        async with self._starting:
            if self._passer is None:
                passer = AIOKafkaProducer(**self.entry, enable_idempotence=True, max_request_size=LARGEST_BYTES)
                await passer.start()
                self._passer = passer
        return self._passer

    async def end(self, number: int) -> int:
        tp = TopicPartition(self.stage.kept, number)
        async with self._reader() as reader:
            return int((await reader.end_offsets([tp]))[tp])

    def _reader(self) -> Any:
        return AIOKafkaConsumer(**self.entry, isolation_level="read_committed")


class Owned:
    """A partition that is ours, and the only ways to make durable what it found."""

    def __init__(self, ledger: Ledger, producer: Any, number: int, partition: Partition, end: int) -> None:
        self.partition = partition
        self.number = number
        self._ledger, self._producer = ledger, producer
        self._end = end  # of our partition of the state, behind our last write

    async def begin(self) -> None:
        """Makes durable under which policy, and with which streams, a new partition begins: before anything is told."""
        async with self._producer.transaction():
            last = await self._producer.send(
                self._ledger.stage.kept, self.partition.mark(), key=MARK, partition=self.number
            )
        self._end = (await last).offset + 2
        self.partition.settled()

    async def tell(self) -> None:
        """Makes alerts, scores and letters durable, and that they were told: each is in its topic once. Then passes on
        what goes to other partitions: nobody else can have opened this one before.

        Raises ProducerFenced when someone else has opened the partition.
        """
        async with self._producer.transaction():
            last = await self._told()
        self._wrote(await last)
        await self._pass_on()

    async def snapshot(self) -> int:
        """Makes the whole state durable, with the place to go on from; returns how many entries it wrote.

        Rows, cases, mark, what was found, and the group's offset become visible together or not at all. Raises
        ProducerFenced.
        """
        partition, names, stage = self.partition, self._ledger.names, self._ledger.stage
        if partition.parcels:  # or a crash would lose what follows from messages that are not applied again
            await self.tell()
        written = 0
        async with self._producer.transaction():
            last = await self._told()
            for key, value in partition.entries():
                last = await self._producer.send(stage.kept, value, key=key, partition=self.number)
                written += 1
            source = TopicPartition(stage.taken, self.number)
            await self._producer.send_offsets_to_transaction({source: partition.applied + 1}, names.judging)
        self._wrote(await last)
        partition.settled()
        return written

    async def forget(self, whom: Sequence[Forget]) -> None:
        """Forgets entities behind all that was found before. Raises ProducerFenced."""
        if self.partition.telling or self.partition.parcels:
            await self.tell()
        for one in whom:
            self.partition.forget(one)
        await self.snapshot()
        self.partition.spread()
        await self._pass_on()

    async def enter(self, entries: Sequence[Entered]) -> None:
        """Writes to the topic of policies, which only the owner may do in a partition's name. Raises ProducerFenced."""
        async with self._producer.transaction():
            for key, value in entries:
                await self._producer.send(self._ledger.names.policies, value, key=key, partition=0)

    async def still_ours(self) -> bool:
        """False when another worker wrote the partition since our last write."""
        return await self._ledger.end(self.number) == self._end

    async def close(self) -> None:
        await self._producer.stop()

    async def _told(self) -> Any:
        """Sends what was found and how far that is; returns what to wait for when the transaction is over."""
        names, partition = self._ledger.names, self.partition
        found, upto = partition.telling, max(partition.applied, partition.told)
        for topic, alerts in ((names.alerts, found.alerts), (names.held, found.held)):
            for alert in alerts:
                place = crc32(alert.entity.id.encode("utf-8", "surrogatepass")) % partition.partitions
                await self._producer.send(topic, _ENCODER.encode(alert), partition=place)
        points = [found.points[i : i + POINTS] for i in range(0, len(found.points), POINTS)]
        for topic, values in ((names.tape, points), (names.letters, found.letters)):
            for value in values:
                await self._producer.send(topic, _ENCODER.encode(value), partition=self.number)
        kept = self._ledger.stage.kept
        return await self._producer.send(kept, _ENCODER.encode(upto), key=TOLD, partition=self.number)

    async def _pass_on(self) -> None:
        names, passer = self._ledger.names, await self._ledger.passer()
        topics = {GROUPS: names.sums, TOWN: names.town}
        sent = [await passer.send(topics[one.to], one.value, partition=one.partition) for one in self.partition.parcels]
        await asyncio.gather(*sent)
        self.partition.parcels.clear()

    def _wrote(self, last: Any) -> None:
        self._end = last.offset + 2  # behind the last entry and the transaction's own marker
        self.partition.all_told()


_ENCODER = msgspec.msgpack.Encoder()
