"""Events of the audit on their way: out of the mirror's outbox, into the topic of alerts, from which workers deliver.

Each is there once. They go in transactions under an id of the mirror's own, so that whatever an earlier process had
begun is ended before it is looked at what has arrived; between a transaction and the mirror's note of it, nothing of
the topic is read. So what was written and not noted comes back by that topic, and is not written again.
"""

from __future__ import annotations

from collections.abc import Collection
from typing import Any
from zlib import crc32

import msgspec

from detector.alert import Alert
from detector.cluster.folders import WORKERS
from detector.cluster.names import LARGEST_BYTES, Names
from detector.mirror.keeping import Kept
from detector.mirror.taking import AUDIT
from detector.sources import kafka_client
from detector.sources.kafka import KafkaSettings

AT_ONCE = 100
TRANSACTION_MS = 60_000


class Telling:
    """Opened before the topic of alerts is read to its end. Raises SourceBusy or SourceRefused."""

    def __init__(self, source: KafkaSettings, names: Names, kept: Kept, partitions: int) -> None:
        self._source = msgspec.structs.replace(source, topic=names.alerts)
        self._kept, self._partitions = kept, partitions
        self._producer: Any = kafka_client.producer(
            self._source,
            transactional_id=f"{names.name}.mirror-{kept.name}",
            transaction_timeout_ms=TRANSACTION_MS,
            max_request_size=LARGEST_BYTES,
        )
        with kafka_client.told(self._source):
            self._producer.init_transactions()

    def look(self, arrived: Collection[str]) -> int:
        """Passes on what waits, but for ids that have arrived; returns how many. The topic was read to its end, as it
        was when this was opened.
        """
        outbox, told = self._kept.outbox, 0
        while waiting := outbox.undelivered(WORKERS, limit=AT_ONCE):
            events = [one.alert for one in waiting if one.alert.kind == AUDIT and one.alert.id not in arrived]
            if events:
                self._tell(events)
            outbox.advance(WORKERS, waiting[-1].seq)
            told += len(events)
        return told

    def _tell(self, events: Collection[Alert]) -> None:
        with kafka_client.told(self._source):
            self._producer.begin_transaction()
            sent = [
                self._producer.send(self._source.topic, msgspec.msgpack.encode(event), partition=self._place(event))
                for event in events
            ]
            self._producer.flush()
            for one in sent:
                one.get(timeout=self._source.connect_timeout_s)
            self._producer.commit_transaction()

    def _place(self, event: Alert) -> int:
        return crc32(event.entity.id.encode("utf-8", "surrogatepass")) % self._partitions

    def close(self) -> None:
        self._producer.close(timeout=kafka_client.ADMIN_TIMEOUT_MS / 1000)
