"""Asks the brokers how workers stand: how many there are, and how far each group is behind in each partition."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import msgspec
from kafka import TopicPartition

from detector.cluster.names import Names
from detector.cluster.proposing import clock_of
from detector.errors import SourceBusy
from detector.mirror.standing import GAP_S, MIRROR, SNAPSHOTS, STUCK_S, Behind, Gap, Standing
from detector.run.health import Rate
from detector.sources import kafka_client
from detector.sources.kafka import KafkaSettings

TIMEOUT_MS = 10_000
LISTED = "kafka.admin._groups"  # who logs about members of groups


class Place(NamedTuple):
    """What a group has committed of a partition; said: with it."""

    next_offset: int
    said: str


class Watching:
    """gaps: that were noted before; snapshot_s: between two saves of a worker. Raises SourceBusy or SourceRefused when
    it cannot begin.
    """

    def __init__(
        self,
        source: KafkaSettings,
        names: Names,
        gaps: Sequence[Gap],
        snapshot_s: float,
        *,
        wall: Callable[[], float] = time.time,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._source, self._names, self._gaps = source, names, [*gaps]
        self._wall, self._now = wall, monotonic
        self._stuck_s = max(STUCK_S, SNAPSHOTS * snapshot_s)
        self._who = {names.projecting: "project", names.judging: "judge", names.delivering: "deliver"}
        logging.getLogger(LISTED).addFilter(_Undecoded())
        self._admin: Any = kafka_client.connect_admin(source)
        self._consumer: Any = kafka_client.consumer(msgspec.structs.replace(source, group=None))
        self._rate = Rate(monotonic())
        self._shared: dict[TopicPartition, int] = {}  # of the log, as it was looked at last
        self._moved: dict[tuple[str, str, int], tuple[int, float]] = {}  # its place, and when it moved last

    def look(self, own: Callable[[], Mapping[tuple[str, int], int]], gaps: Sequence[Gap]) -> Standing:
        """own: asks how far the mirror is behind; gaps: that were found since."""
        now = self._wall()
        self._gaps = [gap for gap in (*self._gaps, *gaps) if now - gap.at < GAP_S]
        word = Standing(at=now, gaps=tuple(self._gaps), stuck_s=self._stuck_s)
        try:
            with kafka_client.told(self._source):
                return self._asked(word, own())
        except SourceBusy as busy:
            return msgspec.structs.replace(word, trouble=str(busy))

    def _asked(self, word: Standing, own: Mapping[tuple[str, int], int]) -> Standing:
        members = self._admin.describe_groups([self._names.judging])[self._names.judging].get("members") or ()
        committed = self._committed()
        partitions = [at for places in committed.values() for at in places]
        begins = self._consumer.beginning_offsets(partitions, timeout_ms=TIMEOUT_MS)
        ends = self._consumer.end_offsets(partitions, timeout_ms=TIMEOUT_MS)
        behind = [Behind(MIRROR, topic, number, left) for (topic, number), left in own.items()]
        for group, places in committed.items():
            for at, place in places.items():
                next_offset = begins[at] if place is None else place.next_offset
                left = max(0, ends[at] - next_offset - (1 if self._transactional(at.topic) else 0))
                since = self._stands(group, at, next_offset, left, word.at)
                behind.append(Behind(self._who[group], at.topic, at.partition, left, since))
        log = committed[self._names.projecting]
        return msgspec.structs.replace(
            word,
            workers=len(members),
            behind=tuple(sorted(behind, key=lambda one: (one.who, one.topic, one.partition))),
            rate=self._shared_out(log),
            log_at=max((_clock(place) for place in log.values()), default=0) or None,
            lag_s=_lag(log, ends, word.at),
        )

    def _committed(self) -> dict[str, dict[TopicPartition, Place | None]]:
        """By group, of every partition that it reads; None where it has committed nothing."""
        names = self._names
        read = {
            names.projecting: (self._source.topic,),
            names.judging: (names.queries, names.sums, names.town),
            names.delivering: (names.alerts, names.held),
        }
        found: dict[str, dict[TopicPartition, Place | None]] = {}
        for group, topics in read.items():
            said = self._admin.list_group_offsets(group).get(group, {})
            found[group] = {}
            for topic in topics:
                for number in sorted(self._consumer.partitions_for_topic(topic) or ()):
                    at = TopicPartition(topic, number)
                    place = said.get(at)
                    known = place is not None and place.offset >= 0
                    found[group][at] = Place(place.offset, place.metadata or "") if known else None
        return found

    def _transactional(self, topic: str) -> bool:
        """What ends it is the marker of a transaction, which nobody reads."""
        return topic in (self._names.alerts, self._names.held)

    def _stands(self, group: str, at: TopicPartition, next_offset: int, left: int, now: float) -> float | None:
        key = group, at.topic, at.partition
        known, moved = self._moved.get(key, (-1, now))
        if known != next_offset or not left:
            moved = now
        self._moved[key] = next_offset, moved
        return moved if left and moved < now else None

    def _shared_out(self, log: Mapping[TopicPartition, Place | None]) -> float:
        """Records of the log a second."""
        places = {at: place.next_offset for at, place in log.items() if place is not None}
        new = sum(max(0, next_offset - self._shared.get(at, next_offset)) for at, next_offset in places.items())
        self._shared |= places
        return self._rate.add(new, self._now())

    def close(self) -> None:
        self._consumer.close(autocommit=False, timeout_ms=kafka_client.ADMIN_TIMEOUT_MS)
        self._admin.close()


def _clock(place: Place | None) -> int:
    return clock_of(place.said) if place is not None else 0


def _lag(log: Mapping[TopicPartition, Place | None], ends: Mapping[TopicPartition, int], now: float) -> float | None:
    """None where something is left of which nobody knows the time."""
    left = [place for at, place in log.items() if place is None or place.next_offset < ends[at]]
    if any(not _clock(place) for place in left):
        return None
    return max((max(0.0, now - _clock(place) / 1e6) for place in left), default=0.0)


class _Undecoded(logging.Filter):
    """What kafka-python says of members of a group whom it does not understand: Faust's have words of their own."""

    def filter(self, record: logging.LogRecord) -> bool:
        return "Unable to decode member_metadata" not in record.getMessage()
