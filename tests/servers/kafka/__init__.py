"""A real Kafka for tests: where one comes from, and how it is left behind clean."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.servers.kafka.server import KafkaServer, KafkaServerError

__all__ = ["KafkaServer", "KafkaServerError", "kafka_server"]


@contextmanager
def kafka_server(node: KafkaServer | Path) -> Iterator[KafkaServer]:
    """A running node, stopped at the end. A path makes one with the usual settings that keeps its data there.

    Raises NoJava or KafkaServerError when this machine cannot have one: a test must fail then, not skip.
    """
    server = node if isinstance(node, KafkaServer) else KafkaServer(node)
    try:
        yield server.start()
    finally:
        server.stop()
