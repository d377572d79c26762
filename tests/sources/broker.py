"""What tests do to a Kafka broker that the source under test only reads."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Mapping
from typing import Any, Self

from kafka import KafkaProducer, TopicPartition
from kafka.admin import KafkaAdminClient


class Broker:
    """Makes topics and records on one node."""

    def __init__(self, bootstrap: str) -> None:
        self.bootstrap = bootstrap
        self.admin: Any = KafkaAdminClient(bootstrap_servers=[bootstrap])
        self._numbers = itertools.count()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.admin.close()

    def topic(self, partitions: int = 1, *, name: str | None = None, configs: Mapping[str, str] | None = None) -> str:
        """Makes a topic, with a name that no other test has, and returns the name."""
        name = name or f"topic-{next(self._numbers)}"
        wanted = {"num_partitions": partitions, "replication_factor": 1, "configs": dict(configs or {})}
        self.admin.create_topics({name: wanted}, wait_for_metadata=True)
        return name

    def grow(self, topic: str, partitions: int) -> None:
        self.admin.create_partitions({topic: partitions})

    def delete(self, topic: str) -> None:
        self.admin.delete_topics([topic])

    def forget(self, topic: str, before: int, partition: int = 0) -> None:
        """Deletes the records before an offset, as retention would."""
        self.admin.delete_records({TopicPartition(topic, partition): before})

    def send(
        self, topic: str, values: Iterable[bytes | None], *, partition: int = 0, at_ms: int | None = None, **config: Any
    ) -> None:
        """Produces values in order, all acknowledged when this returns."""
        producer = KafkaProducer(bootstrap_servers=[self.bootstrap], linger_ms=5, **config)
        sent = [
            producer.send(topic, value, key=b"k" if value is None else None, partition=partition, timestamp_ms=at_ms)
            for value in values
        ]
        producer.flush()
        for future in sent:
            future.get(timeout=30)
        producer.close()
