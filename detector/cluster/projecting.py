"""Stage 1: reads the log, and sends each partition of judgement its records; commits what the broker has acknowledged.

How far a stream's clock has come is committed with the place: who goes on there goes on with it. While nothing comes
for long, and nothing is left, all partitions are told so every few seconds: ticks need not wait.

A source's records reach a partition in their order and without holes, whoever sends them, since each sender begins at
the committed offset and commits only what was acknowledged. What is sent twice, the other stage skips.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Collection, Sequence
from typing import Any

from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, ConsumerRebalanceListener
from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.errors import CommitFailedError, IllegalStateError, NoOffsetForPartitionError

from detector.cluster.entry import Entry, heartbeat_s
from detector.cluster.names import LARGEST_BYTES, Names
from detector.cluster.wire import Routes, at_rest, messages
from detector.query import Chunk
from detector.run.idle import Silence
from detector.settings import Settings
from detector.sources.bounds import SLACK_US, Clock, wall_clock
from detector.sources.kafka import KafkaSettings

READ_MS = 200
REST_S = 10.0  # between two words on a stream of which nothing comes
GATHER_S = 0.1  # from one look at the log to the next, so that messages are larger; more comes meanwhile under load
LOG_APPEND_TIME = 1


class Projecting:
    """topic_id: of the log, by which its streams are named."""

    def __init__(
        self,
        settings: Settings,
        source: KafkaSettings,
        entry: Entry,
        topic_id: str,
        profile: str,
        routes: Routes,
        *,
        clock: Clock = wall_clock,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._source, self._entry, self._session_s = source, entry, settings.cluster.session_s
        self._names = Names(settings.cluster.name)
        self._topic_id, self._profile, self._routes = topic_id, profile, routes
        self._clock = clock
        self._silence = Silence(monotonic)
        self._clocks: dict[Any, int] = {}  # of the streams that are ours; another dict after each rebalance
        self._now = monotonic
        self._said: dict[Any, float] = {}  # when it was last told of a stream that nothing comes

    async def run(self, stopping: Callable[[], bool]) -> None:
        """Until `stopping`. Any error ends it: the process must end then, and begin anew from what is committed."""
        producer = AIOKafkaProducer(**self._entry, enable_idempotence=True, max_request_size=LARGEST_BYTES)
        async with producer, self._consumer() as consumer:
            while not stopping():
                try:
                    got = await consumer.getmany(timeout_ms=READ_MS)
                except NoOffsetForPartitionError as error:  # a partition that came later
                    await consumer.seek_to_beginning(error.args[0])
                    continue
                clocks, began = self._clocks, self._now()
                if got:
                    await self._look_up(clocks, got)
                    await self._pass_on(producer, clocks, got)
                    await _commit(consumer, {tp: (r[-1].offset + 1, str(clocks[tp])) for tp, r in got.items()})
                    await asyncio.sleep(GATHER_S - (self._now() - began))
                await self._rest(producer, consumer, clocks)

    async def _look_up(self, clocks: dict[Any, int], streams: Collection[Any]) -> None:
        """Where the clocks of streams stood that we have got since: as committed with the place where we begin."""
        new = [tp for tp in streams if tp not in clocks]
        if not new:
            return
        admin = AIOKafkaAdminClient(**self._entry)
        await admin.start()
        try:
            committed = await admin.list_consumer_group_offsets(self._names.projecting, partitions=new)
        finally:
            await admin.close()
        for tp in new:
            told = committed[tp].metadata if tp in committed else ""
            clocks[tp] = int(told) if told else 0

    async def _rest(self, producer: Any, consumer: Any, clocks: dict[Any, int]) -> None:
        """Tells all partitions of streams that have fallen silent."""
        now = self._now()
        ours = {self.stream(tp.partition): tp for tp in consumer.assignment()}
        silent = [ours[name] for name in self._silence.silent(ours) if now - self._said.get(ours[name], 0.0) >= REST_S]
        if not silent:
            return
        await self._look_up(clocks, silent)
        ends = await consumer.end_offsets(silent)
        sent = []
        for tp in silent:
            if await consumer.position(tp) < ends[tp]:
                continue
            value = at_rest(self._profile, self.stream(tp.partition), ends[tp], clocks[tp])
            targets = range(self._routes.partitions)
            sent += [await producer.send(self._names.queries, value, partition=target) for target in targets]
            self._said[tp] = now
        await asyncio.gather(*sent)

    def _begun(self) -> None:
        """Partitions were assigned: whoever had them may have gone on."""
        self._clocks, self._said = {}, {}

    def _consumer(self) -> Any:
        source, session_ms = self._source, int(self._session_s * 1000)
        consumer = AIOKafkaConsumer(
            **self._entry,
            group_id=self._names.projecting,
            enable_auto_commit=False,
            auto_offset_reset="none",
            isolation_level="read_committed",
            max_poll_records=source.batch_size,
            fetch_max_bytes=source.fetch_max_bytes,
            max_partition_fetch_bytes=source.partition_fetch_max_bytes,
            fetch_max_wait_ms=source.fetch_max_wait_ms,
            session_timeout_ms=session_ms,
            heartbeat_interval_ms=int(1000 * heartbeat_s(self._session_s)),
        )
        consumer.subscribe([source.topic], listener=Assigned(self._begun))
        return consumer

    async def _pass_on(self, producer: Any, clocks: dict[Any, int], got: dict[Any, Sequence[Any]]) -> None:
        chunks = [(tp, self.chunk(tp.partition, records)) for tp, records in got.items()]
        sent = []
        for target, value in await asyncio.to_thread(self._shared_out, chunks, clocks):
            sent.append(await producer.send(self._names.queries, value, partition=target))
        for _, chunk in chunks:
            self._silence.heard(chunk.stream)
        await asyncio.gather(*sent)

    def _shared_out(self, chunks: Sequence[tuple[Any, Chunk]], clocks: dict[Any, int]) -> list[tuple[int, bytes]]:
        """The messages of all chunks; moves the clocks of their streams."""
        sent: list[tuple[int, bytes]] = []
        for tp, chunk in chunks:
            found, clocks[tp] = messages(self._profile, chunk, self._routes, clocks[tp])
            sent += found
        return sent

    def stream(self, partition: int) -> str:
        return stream_of(self._topic_id, partition)

    def chunk(self, partition: int, records: Sequence[Any]) -> Chunk:
        """Records of one partition as a chunk. What a seek back repeats inside a batch is left out: offsets grow."""
        kept: list[Any] = []
        for record in records:
            if not kept or record.offset > kept[-1].offset:
                kept.append(record)
        now = self._clock()
        bounds = [(r.timestamp * 1000 if r.timestamp_type == LOG_APPEND_TIME else now) + SLACK_US for r in kept]
        stream = self.stream(partition)
        payloads = [record.value or b"" for record in kept]
        return Chunk(stream, payloads, [record.offset for record in kept], kept[-1].offset + 1, bounds)


class Assigned(ConsumerRebalanceListener):  # type: ignore[misc]
    """Calls `begun` when partitions were assigned."""

    def __init__(self, begun: Callable[[], None]) -> None:
        self._begun = begun

    def on_partitions_revoked(self, revoked: Any) -> None:
        pass

    def on_partitions_assigned(self, assigned: Any) -> None:
        self._begun()


def stream_of(topic_id: str, partition: int) -> str:
    return f"kafka:{topic_id}/{partition}"


async def _commit(consumer: Any, offsets: dict[Any, tuple[int, str]]) -> None:
    try:
        await consumer.commit(offsets)
    except (CommitFailedError, IllegalStateError):
        return  # the partition was given away meanwhile; its new owner sends again what the other stage then skips
