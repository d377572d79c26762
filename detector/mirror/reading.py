"""The workers' topics, read from the places that a mirror keeps, each partition by itself: without a group, since a
mirror needs all of them, and commits to nobody but its own store.
"""

from __future__ import annotations

import time
from collections.abc import Collection, Mapping, Sequence
from typing import Any, NamedTuple

import msgspec
import structlog
from kafka import TopicPartition
from kafka.admin import OffsetSpec
from kafka.errors import OffsetOutOfRangeError

from detector.errors import SourceRefused, StoreError
from detector.mirror.standing import Gap
from detector.sources import kafka_client
from detector.sources.kafka import KafkaSettings
from detector.sources.kafka_client import Topic

TIMEOUT_MS = 30_000
AT_ONCE = 200  # records of one poll: one may hold hundreds of points

log = structlog.get_logger(__name__)


class Record(NamedTuple):
    topic: str
    key: bytes | None
    value: bytes | None


class Reading:
    """places: by stream, as the store keeps them; a stream that it does not know is read from its beginning, and so are
    those of the topics `again`, and of `anew`, of which no place is kept.

    Raises SourceBusy or SourceRefused; StoreError where topics were made anew since.
    """

    def __init__(
        self,
        source: KafkaSettings,
        topics: Sequence[str],
        places: Mapping[str, int],
        *,
        anew: Collection[str],
        again: Collection[str] = (),
    ) -> None:
        self._source = msgspec.structs.replace(source, topic=topics[0], group=None, batch_size=AT_ONCE)
        self.gaps: list[Gap] = []  # found and not noted yet
        self._anew = anew
        admin = kafka_client.connect_admin(self._source)
        try:
            self._ids = {topic: _described(admin, self._source, topic) for topic in topics}
            self._check(places)
            self._partitions = [TopicPartition(topic, n) for topic, made in self._ids.items() for n in made.partitions]
            with kafka_client.told(self._source):
                ends = admin.list_partition_offsets(dict.fromkeys(self._partitions, OffsetSpec.LATEST))
        finally:
            admin.close()
        self._ends = {at: end.offset for at, end in ends.items()}  # also behind transactions that are open
        self._consumer = kafka_client.consumer(self._source)
        self._consumer.assign(self._partitions)
        goes_on = {self._stream(one) for one in self._partitions if one.topic not in again}
        with kafka_client.told(self._source):
            self._place(self._partitions, {stream: at for stream, at in places.items() if stream in goes_on})

    def poll(self, timeout_s: float) -> list[Record]:
        """What has come, in the order of each partition; `places` are then behind all of it. Raises SourceBusy."""
        with kafka_client.told(self._source):
            try:
                found = self._consumer.poll(timeout_ms=int(timeout_s * 1000))
            except OffsetOutOfRangeError as gone:
                lost: Mapping[Any, int] = gone.args[0]
                self._place(list(lost), {self._stream(one): at for one, at in lost.items()})
                return []
        return [Record(at.topic, one.key, one.value) for at, records in found.items() for one in records]

    def places(self) -> dict[str, int]:
        return {self._stream(one): self._at(one) for one in self._partitions if one.topic not in self._anew}

    def begun(self, topic: str | None = None) -> bool:
        """Whether all is read that there was when this was opened, of one topic or of all."""
        ours = (one for one in self._partitions if topic in (None, one.topic))
        return all(self._at(one) >= self._ends[one] for one in ours)

    def _at(self, partition: Any) -> int:
        return kafka_client.position_of(self._consumer, partition)

    def behind(self) -> dict[tuple[str, int], int]:
        """How many messages of each partition were not read, by topic and number. Raises SourceBusy."""
        with kafka_client.told(self._source):
            ends = self._consumer.end_offsets(self._partitions, timeout_ms=TIMEOUT_MS)
        return {(one.topic, one.partition): max(0, end - self._at(one)) for one, end in ends.items()}

    def close(self) -> None:
        self._consumer.close(autocommit=False, timeout_ms=kafka_client.ADMIN_TIMEOUT_MS)

    def _stream(self, partition: Any) -> str:
        return f"kafka:{self._ids[partition.topic].id}/{partition.partition}"

    def _check(self, places: Mapping[str, int]) -> None:
        ids = {topic.id for topic in self._ids.values()}
        if any(stream.removeprefix("kafka:").rpartition("/")[0] not in ids for stream in places):
            raise StoreError(
                "the topics of these workers were made anew since the store was written: give their dashboard a store "
                "of its own (store.path)"
            )

    def _place(self, partitions: Sequence[Any], places: Mapping[str, int]) -> None:
        begins = self._consumer.beginning_offsets(partitions, timeout_ms=TIMEOUT_MS)
        ends = self._consumer.end_offsets(partitions, timeout_ms=TIMEOUT_MS)
        for one in partitions:
            at = places.get(self._stream(one), begins[one])
            if at > ends[one]:
                raise SourceRefused(
                    f"{one.topic}/{one.partition} ends at {ends[one]}, before {at}, up to which it was read: brokers "
                    "have lost what they had acknowledged. Give the dashboard of these workers a store of its own"
                )
            if at < begins[one]:
                self._say(Gap(one.topic, one.partition, begins[one] - at, time.time()))
                at = begins[one]
            self._consumer.seek(one, at)

    def _say(self, gap: Gap) -> None:
        log.error("Messages are gone that were not read", topic=gap.topic, partition=gap.partition, most=gap.most)
        self.gaps.append(gap)


def _described(admin: Any, source: KafkaSettings, topic: str) -> Topic:
    return kafka_client.describe(admin, msgspec.structs.replace(source, topic=topic))
