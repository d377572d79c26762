"""A real Kafka and a real Elasticsearch that these tests may kill, and a day in the range to be read."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from pathlib import Path

import msgspec
import pytest
from elasticsearch import Elasticsearch

from detector.logs.native import decode_many
from detector.profile import artefact, fit
from detector.profile.artefact import Profile
from detector.redteam import World, digits_world, simulate
from detector.run.replay import read_logs
from tests.conftest import handed_over
from tests.crash.stage import PARTITIONS, Record, Stage, keyed
from tests.servers.elasticsearch import ElasticsearchServer, elasticsearch_server
from tests.servers.kafka import kafka_server
from tests.servers.kafka.secure import SecureListener, add_scram_users, add_secure_listener
from tests.servers.kafka.server import KafkaServer
from tests.sinks.conftest import load_template

USERS = {"alice": "correct-horse"}
ATTACKS = {"jacobian": 3, "line-search": 3, "data-free": 2, "uniform": 2, "foreign@30%": 1, "data-free/4": 1}


@pytest.fixture(scope="session")
def kafka_node(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[KafkaServer, SecureListener]]:
    server = KafkaServer(tmp_path_factory.mktemp("kafka"))
    secure = add_secure_listener(server, USERS)
    with kafka_server(server):
        add_scram_users(server, USERS)
        yield server, secure


@pytest.fixture(scope="session")
def kafka(kafka_node: tuple[KafkaServer, SecureListener]) -> KafkaServer:
    return kafka_node[0]


@pytest.fixture
def secure(kafka_node: tuple[KafkaServer, SecureListener], monkeypatch: pytest.MonkeyPatch) -> Mapping[str, object]:
    """Settings of a source that comes in by SASL_SSL."""
    monkeypatch.setenv("TEST_KAFKA_PASSWORD", USERS["alice"])
    listener = kafka_node[1]
    return {
        "brokers": [listener.bootstrap],
        "tls": True,
        "ca_file": str(listener.ca_file),
        "sasl_mechanism": "SCRAM-SHA-512",
        "username": "alice",
        "password": {"env": "TEST_KAFKA_PASSWORD"},
    }


@pytest.fixture(scope="session")
def elasticsearch(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ElasticsearchServer]:
    for server in elasticsearch_server(tmp_path_factory.mktemp("elasticsearch")):
        with Elasticsearch(server.url) as client:
            load_template(client)
        yield server


@pytest.fixture(scope="session")
def digits() -> World:
    return digits_world()


@pytest.fixture(scope="session")
def profile(digits: World, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A promise of 10%, which 260 honest clients carry at two levels: clients and organisations."""

    def made() -> Profile:
        honest = tmp_path_factory.mktemp("range") / "honest.jsonl"
        simulate(digits, seed=11, honest=260).write(honest)
        options = fit.Options(promise=0.1, horizon_us=None)
        return fit.fit(lambda: read_logs([str(honest)]), decode_many, None, options, lambda text: None)

    folder = handed_over("range", tmp_path_factory, made)
    judged = {level.kind for level in artefact.load(folder).summary.levels if level.threshold is not None}
    assert judged == {"client", "organisation"}
    return folder


@pytest.fixture(scope="session")
def log(digits: World) -> list[Record]:
    """60 honest clients and 15 accounts that attack, in the order of time."""
    traffic = simulate(digits, seed=12, honest=60, attackers=ATTACKS, budget=500)
    return keyed(traffic.lines())


@pytest.fixture(scope="session")
def crowded(digits: World, log: list[Record]) -> list[Record]:
    """The same log with a dozen more that attack, one a minute: a storm."""
    traffic = simulate(digits, seed=13, honest=0, attackers={"uniform": 12}, budget=30)
    asked: dict[str, int] = {}
    crowd = []
    for line in traffic.lines():
        record = msgspec.json.decode(line)
        n = asked[record["client"]] = asked.get(record["client"], -1) + 1
        record["at"] = f"2026-01-20T10:{list(asked).index(record['client']):02}:{n:02}.000000Z"
        crowd.append(msgspec.json.encode(record))
    both = sorted([*log[:-PARTITIONS], *keyed(crowd)[:-PARTITIONS]], key=_at)
    return [*both, *log[-PARTITIONS:]]


def _at(record: Record) -> str:
    return str(msgspec.json.decode(record.line)["at"])


@pytest.fixture
def stage(
    kafka: KafkaServer,
    elasticsearch: ElasticsearchServer,
    profile: Path,
    tmp_path: Path,
    request: pytest.FixtureRequest,
) -> Iterator[Stage]:
    with Stage(kafka, elasticsearch, profile, tmp_path, re.sub(r"\W", "-", request.node.name)) as stage:
        yield stage
