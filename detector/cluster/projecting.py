"""Stage 1: reads the log, and sends each partition of judgement its records; commits what the broker has acknowledged.

A source's records reach a partition in their order and without holes, whoever sends them, since each sender begins at
the committed offset and commits only what was acknowledged. What is sent twice, the other stage skips.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from typing import Any

from aiokafka import AIOKafkaConsumer, AIOKafkaProducer
from aiokafka.errors import CommitFailedError, IllegalStateError, NoOffsetForPartitionError

from detector.cluster.entry import Entry
from detector.cluster.names import LARGEST_BYTES, Names
from detector.cluster.wire import Routes, messages
from detector.query import Chunk
from detector.settings import Settings
from detector.sources.bounds import SLACK_US, Clock, wall_clock
from detector.sources.kafka import KafkaSettings

READ_MS = 200
GATHER_S = 0.05  # under light load, so that messages are larger
HEARTBEATS = 5  # in a session
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
    ) -> None:
        self._source, self._entry, self._session_s = source, entry, settings.cluster.session_s
        self._names = Names(settings.cluster.name)
        self._topic_id, self._profile, self._routes = topic_id, profile, routes
        self._clock = clock

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
                if got:
                    await self._pass_on(producer, got)
                    await _commit(consumer, {tp: records[-1].offset + 1 for tp, records in got.items()})
                    await asyncio.sleep(GATHER_S)

    def _consumer(self) -> Any:
        source, session_ms = self._source, int(self._session_s * 1000)
        return AIOKafkaConsumer(
            source.topic,
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
            heartbeat_interval_ms=session_ms // HEARTBEATS,
        )

    async def _pass_on(self, producer: Any, got: dict[Any, Sequence[Any]]) -> None:
        chunks = [self.chunk(tp.partition, records) for tp, records in got.items()]
        sent = []
        for chunk in chunks:
            for target, value in await asyncio.to_thread(self._messages, chunk):
                sent.append(await producer.send(self._names.queries, value, partition=target))
        await asyncio.gather(*sent)

    def _messages(self, chunk: Chunk) -> list[tuple[int, bytes]]:
        return list(messages(self._profile, chunk, self._routes))

    def chunk(self, partition: int, records: Sequence[Any]) -> Chunk:
        """Records of one partition as a chunk. What a seek back repeats inside a batch is left out: offsets grow."""
        kept: list[Any] = []
        for record in records:
            if not kept or record.offset > kept[-1].offset:
                kept.append(record)
        now = self._clock()
        bounds = [(r.timestamp * 1000 if r.timestamp_type == LOG_APPEND_TIME else now) + SLACK_US for r in kept]
        stream = f"kafka:{self._topic_id}/{partition}"
        payloads = [record.value or b"" for record in kept]
        return Chunk(stream, payloads, [record.offset for record in kept], kept[-1].offset + 1, bounds)


async def _commit(consumer: Any, offsets: dict[Any, int]) -> None:
    try:
        await consumer.commit(offsets)
    except (CommitFailedError, IllegalStateError):
        return  # the partition was given away meanwhile; its new owner sends again what the other stage then skips
