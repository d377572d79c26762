"""Reads the partitions of a Kafka topic as streams, from the positions that the store holds."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from typing import Any

import structlog
from kafka import ConsumerRebalanceListener, OffsetAndMetadata, TopicPartition
from kafka.errors import OffsetOutOfRangeError

from detector.errors import SourceBusy, SourceError, SourceRefused
from detector.query import Chunk
from detector.sources.bounds import SLACK_US, Clock, wall_clock
from detector.sources.kafka import KafkaSettings, parse_start
from detector.sources.kafka_client import (
    ADMIN_TIMEOUT_MS,
    OFFSETS_TIMEOUT_MS,
    NoTopic,
    Topic,
    connect_admin,
    consumer,
    describe,
    may_be_another,
    position_of,
    told,
)

log = structlog.get_logger()

LOOK_EVERY_US = 60_000_000  # for new partitions, and whether the topic is still the same
LOOK_IDLE_US = 5_000_000  # when nothing comes: is it quiet, or is the broker away?
_LOG_APPEND_TIME = 1


class KafkaSource:
    """One topic, one stream a partition: `kafka:<topic id>/<partition>`.

    While no broker answers, `read` gives nothing and the log says so once; it goes on by itself. A topic that is
    deleted and made anew while it is read begins new streams at their beginnings.
    """

    def __init__(self, settings: KafkaSettings, *, clock: Clock = wall_clock) -> None:
        self._settings = settings
        self._clock = clock
        self._member = settings.group is not None and settings.partitions is None
        self._stored: dict[str, int] = {}  # positions from the store, and those reached since
        self._topic = Topic("", ())
        self._admin: Any = None
        self._consumer: Any = None
        self._arrived: dict[Any, bool] = {}  # assigned, not yet at their position; true: new, read from the beginning
        self._ends: dict[Any, int] = {}
        self._looked_at = 0
        self._quiet = False
        self._trouble: str | None = None  # what the log says is wrong now

    def open(self, positions: Mapping[str, int]) -> None:
        self.close()
        self._stored = dict(positions)
        try:
            self._admin = connect_admin(self._settings)
            self._topic = describe(self._admin, self._settings)
            self._consumer = consumer(self._settings)
            with told(self._settings):
                self._begin()
                self._place_arrived()
        except SourceError:
            self.close()
            raise
        self._looked_at = self._clock()

    def read(self, timeout_s: float) -> list[Chunk]:
        due_us = LOOK_IDLE_US if self._quiet else LOOK_EVERY_US
        if not 0 <= self._clock() - self._looked_at < due_us:
            self._look()
        try:
            with told(self._settings):
                self._place_arrived()
                records = self._poll(timeout_s)
        except SourceBusy as busy:
            self._say("broker away", error=str(busy))
            return []
        self._quiet = not records
        if records and may_be_another(self._consumer, self._settings, self._topic):
            before = self._topic.id
            self._look()
            if self._topic.id != before:
                return []  # polled from the new topic, and not from its beginning: it comes again
        return [self._chunk(partition, found) for partition, found in records.items()]

    def streams(self) -> list[str]:
        """Those too that are not at their position yet, or that a member of a group is not given yet (a dead one still
        holds them for a while): the ticks wait for them.
        """
        if not self._consumer:
            return []
        partitions = self._wanted(self._topic) if self._member else self._consumer.assignment()
        return [self._name(partition) for partition in sorted(partitions)]

    def positions(self) -> dict[str, int]:
        """Where each stream stands: everything before was returned by `read`, or may not be shown (aborted)."""
        return {self._name(partition): position_of(self._consumer, partition) for partition in self._placed()}

    def drained(self, streams: Collection[str]) -> set[str]:
        asked = [partition for partition in self._placed() if self._name(partition) in streams]
        if not asked:
            return set()
        try:
            with told(self._settings):
                ends = self._consumer.end_offsets(asked, timeout_ms=ADMIN_TIMEOUT_MS)
        except SourceBusy as busy:
            self._say("broker away", error=str(busy))
            return set()
        at_end = [partition for partition in asked if position_of(self._consumer, partition) >= ends[partition]]
        return {self._name(partition) for partition in at_end}

    def commit(self, positions: Mapping[str, int]) -> None:
        """Tells the brokers for their monitoring, when the settings name a group; nobody waits for the answer."""
        if self._settings.group is None:
            return
        offsets = {
            partition: OffsetAndMetadata(positions[self._name(partition)], "", -1)
            for partition in self._placed()
            if self._name(partition) in positions
        }
        if offsets:
            self._consumer.commit_async(offsets)

    def lag(self) -> dict[str, int]:
        lag = {}
        for partition in self._placed():
            end = self._consumer.highwater(partition)
            end = self._ends.get(partition, 0) if end is None else end
            lag[self._name(partition)] = max(0, end - position_of(self._consumer, partition))
        return lag

    @property
    def exhausted(self) -> bool:
        return False

    def close(self) -> None:
        if self._consumer is not None:
            self._consumer.close(autocommit=False, timeout_ms=ADMIN_TIMEOUT_MS)
        if self._admin is not None:
            self._admin.close()
        self._consumer = self._admin = None

    def _name(self, partition: Any) -> str:
        return f"kafka:{self._topic.id}/{partition.partition}"

    def _placed(self) -> list[Any]:
        return sorted(self._consumer.assignment() - self._arrived.keys()) if self._consumer else []

    def _chunk(self, partition: Any, records: list[Any]) -> Chunk:
        stream = self._name(partition)
        # A compacted or transactional log has holes; the consumer's position is behind those that end the batch.
        next_offset = position_of(self._consumer, partition)
        if records[0].timestamp_type == _LOG_APPEND_TIME == records[-1].timestamp_type:
            bounds = [record.timestamp * 1000 + SLACK_US for record in records]
        else:
            bounds = [self._clock() + SLACK_US] * len(records)
        self._stored[stream] = next_offset
        payloads = [record.value or b"" for record in records]  # a tombstone has no value
        return Chunk(stream, payloads, [record.offset for record in records], next_offset, bounds)

    def _poll(self, timeout_s: float) -> dict[Any, list[Any]]:
        try:
            records: dict[Any, list[Any]] = self._consumer.poll(timeout_ms=max(0, int(timeout_s * 1000)))
        except OffsetOutOfRangeError as gone:
            self._look()
            lost = {partition: at for partition, at in gone.args[0].items() if partition in self._placed()}
            self._stored.update({self._name(partition): at for partition, at in lost.items()})
            _arrive(self._consumer, self._arrived, lost, new=False)
            return {}
        return records

    def _begin(self) -> None:
        if self._member:
            # A member that joins before it knows the topic's partitions shares out none of them, and may never settle.
            self._consumer.partitions_for_topic(self._settings.topic)
            listener = _Listener(self._consumer, self._arrived)
            self._consumer.subscribe([self._settings.topic], listener=listener)
            return
        missing = set(self._settings.partitions or ()) - set(self._topic.partitions)
        if missing:
            raise SourceRefused(f"the topic {self._settings.topic} has no partitions {sorted(missing)}")
        wanted = self._wanted(self._topic)
        self._consumer.assign(wanted)
        _arrive(self._consumer, self._arrived, wanted, new=False)

    def _wanted(self, topic: Topic) -> list[Any]:
        chosen = self._settings.partitions
        numbers = [number for number in topic.partitions if chosen is None or number in chosen]
        return [TopicPartition(self._settings.topic, number) for number in numbers]

    def _place_arrived(self) -> None:
        assigned = self._consumer.assignment()
        arrived = {partition: new for partition, new in list(self._arrived.items()) if partition in assigned}
        if not arrived:
            return
        for partition in arrived if self._member else ():
            # Another member may have read on while the partition was its own.
            committed = self._consumer.committed(partition, timeout_ms=OFFSETS_TIMEOUT_MS)
            if committed is not None:
                self._stored[self._name(partition)] = max(committed, self._stored.get(self._name(partition), 0))
        self._place(arrived)
        for partition in arrived:
            self._arrived.pop(partition, None)
        self._consumer.resume(*arrived)

    def _place(self, partitions: Mapping[Any, bool]) -> None:
        """Sets the position of each: the store's, else the beginning if it is new, else where the settings say."""
        begins = self._consumer.beginning_offsets(list(partitions), timeout_ms=OFFSETS_TIMEOUT_MS)
        ends = self._consumer.end_offsets(list(partitions), timeout_ms=OFFSETS_TIMEOUT_MS)
        unknown = [partition for partition in partitions if self._name(partition) not in self._stored]
        starts = self._starts(unknown, begins, ends)
        for partition, new in partitions.items():
            stream, begin, end = self._name(partition), begins[partition], ends[partition]
            if stream in self._stored:
                at = self._checked(stream, self._stored[stream], begin, end)
            else:
                at = begin if new else starts[partition]
            self._consumer.seek(partition, at)
            self._stored[stream], self._ends[partition] = at, end

    def _starts(self, partitions: list[Any], begins: dict[Any, int], ends: dict[Any, int]) -> dict[Any, int]:
        start = parse_start(self._settings.start)
        if start.kind == "time":
            times = dict.fromkeys(partitions, start.value)
            found = self._consumer.offsets_for_times(times, timeout_ms=OFFSETS_TIMEOUT_MS) if times else {}
            return {p: ends[p] if found[p] is None or found[p].offset < 0 else found[p].offset for p in partitions}
        if start.kind == "offset":
            return {p: min(max(start.value, begins[p]), ends[p]) for p in partitions}
        known = any(stream.startswith(f"kafka:{self._topic.id}/") for stream in self._stored)
        return begins if start.kind == "earliest" or known else ends

    def _checked(self, stream: str, stored: int, begin: int, end: int) -> int:
        """The stored position, if the log still has it. Raises SourceRefused."""
        if stored > end:
            raise SourceRefused(
                f"{stream} ends at offset {end}, before the stored position {stored}: records that were read are gone "
                "from the log (an unclean election, a restored broker). Make the topic anew, or use an empty store"
            )
        if stored >= begin:
            return stored
        if self._settings.on_gap == "continue":
            log.error("records are missing", stream=stream, missing=begin - stored, next_offset=begin)
            return begin
        raise SourceRefused(
            f"{stream} begins at offset {begin}, and {stored} was to be read next: {begin - stored} records are gone "
            '(retention or deletion). Set on_gap = "continue" to go on without them, and keep the topic for longer'
        )

    def _look(self) -> None:
        """Asks for the topic: is a broker there, is it the same topic, has it new partitions?"""
        self._looked_at = self._clock()
        try:
            topic = describe(self._admin, self._settings)
            with told(self._settings):
                self._follow(topic)
        except NoTopic as gone:
            self._say("topic is gone", error=str(gone))
        except SourceBusy as busy:
            self._say("broker away", error=str(busy))
        else:
            if self._trouble is not None:
                log.info("broker is back", topic=self._settings.topic)
            self._trouble = None

    def _follow(self, topic: Topic) -> None:
        """Takes up new partitions, or all of them if the topic is another one now, at their beginnings."""
        anew = topic.id != self._topic.id
        if anew:
            log.warning("topic was made anew", topic=self._settings.topic, was=self._topic.id, now=topic.id)
        self._topic = topic
        if self._member:  # the group itself shares out new partitions
            fresh = self._consumer.assignment() if anew else set()
        else:
            wanted = self._wanted(topic)
            fresh = set(wanted) if anew else set(wanted) - self._consumer.assignment()
            if fresh:
                self._consumer.assign(wanted)
        _arrive(self._consumer, self._arrived, fresh, new=True)

    def _say(self, trouble: str, **fields: str) -> None:
        """Says in the log what is wrong, once for as long as it lasts."""
        if self._trouble != trouble:
            log.warning(trouble, topic=self._settings.topic, **fields)
        self._trouble = trouble


class _Listener:
    """Notes the partitions that the group gives to us. kafka-python calls it in its own thread, which may not wait."""

    def __init__(self, consumer: Any, arrived: dict[Any, bool]) -> None:
        self._consumer = consumer
        self._arrived = arrived

    def on_partitions_assigned(self, assigned: Iterable[Any]) -> None:
        _arrive(self._consumer, self._arrived, assigned, new=False)

    def on_partitions_revoked(self, revoked: Iterable[Any]) -> None:
        for partition in revoked:
            self._arrived.pop(partition, None)

    on_partitions_lost = on_partitions_revoked


ConsumerRebalanceListener.register(_Listener)


def _arrive(consumer: Any, arrived: dict[Any, bool], partitions: Iterable[Any], *, new: bool) -> None:
    """Notes partitions to be placed. Until then they are paused, at a position that keeps kafka-python content."""
    for partition in partitions:
        arrived[partition] = new
        consumer.seek(partition, 0)
        consumer.pause(partition)
