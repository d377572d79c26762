"""One Kafka node for all tests of this folder."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from detector.secret import Secret
from tests.servers.kafka import kafka_server
from tests.servers.kafka.secure import SecureListener, add_scram_users, add_secure_listener
from tests.servers.kafka.server import KafkaServer
from tests.sources.broker import Broker

USERS = {"alice": "correct-horse"}


class Node:
    """A running node that can be reached in the clear and, as alice, by SASL_SSL."""

    def __init__(self, server: KafkaServer, secure: SecureListener) -> None:
        self.server = server
        self.secure = secure


@pytest.fixture(scope="session")
def kafka_node(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Node]:
    server = KafkaServer(tmp_path_factory.mktemp("kafka"))
    secure = add_secure_listener(server, USERS)
    with kafka_server(server):
        add_scram_users(server, USERS)
        yield Node(server, secure)


@pytest.fixture(scope="session")
def kafka(kafka_node: Node) -> Iterator[Broker]:
    with Broker(kafka_node.server.bootstrap) as broker:
        yield broker


@pytest.fixture
def password(monkeypatch: pytest.MonkeyPatch) -> Secret:
    monkeypatch.setenv("TEST_KAFKA_PASSWORD", USERS["alice"])
    return Secret(env="TEST_KAFKA_PASSWORD")
