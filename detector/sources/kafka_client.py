"""How kafka-python is set up, and what its errors mean: try again, or never."""

from __future__ import annotations

import ssl
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from kafka import KafkaConsumer, KafkaProducer, TopicPartition
from kafka import errors as kafka_errors
from kafka.admin import KafkaAdminClient
from kafka.net.compat import KafkaNetClient

from detector.errors import SettingsError, SourceBusy, SourceRefused
from detector.sources.kafka import KafkaSettings
from detector.sources.kafka_refusal import check_entry

ADMIN_TIMEOUT_MS = 5_000  # of one question about the topic, which the reader waits for
OFFSETS_TIMEOUT_MS = 30_000
NEW_PARTITIONS_WITHIN_MS = 60_000
SESSION_TIMEOUT_MS = 10_000  # of a member of a group: after kill -9 its successor waits this long, not 45 s

_NEVER = (
    kafka_errors.SaslAuthenticationFailedError,
    kafka_errors.AuthorizationError,
    kafka_errors.UnsupportedSaslMechanismError,
)


class NoTopic(SourceRefused):
    """The brokers answer, and know no topic of this name."""


@dataclass(frozen=True, slots=True)
class Topic:
    """A topic as the brokers know it: a name that was deleted and made anew has another id."""

    id: str
    partitions: tuple[int, ...]


@contextmanager
def told(settings: KafkaSettings) -> Iterator[None]:
    """Turns kafka-python's errors into SourceBusy and SourceRefused."""
    where = ", ".join(settings.brokers)
    try:
        yield
    except _NEVER as error:
        raise SourceRefused(f"the Kafka brokers at {where} refuse this client: {error}") from error
    except kafka_errors.KafkaError as error:
        if getattr(error, "retriable", False):
            raise SourceBusy(f"the Kafka brokers at {where} do not answer: {error}") from error
        raise SourceRefused(f"the topic {settings.topic} at {where} cannot be read: {error}") from error


def consumer(settings: KafkaSettings) -> Any:
    """A connected consumer of nothing yet, which neither commits nor moves a position by itself."""
    return _connected(
        settings,
        KafkaConsumer,
        group_id=settings.group,
        enable_auto_commit=False,
        auto_offset_reset="none",
        isolation_level="read_committed",
        allow_auto_create_topics=False,
        max_poll_records=settings.batch_size,
        fetch_max_bytes=settings.fetch_max_bytes,
        max_partition_fetch_bytes=settings.partition_fetch_max_bytes,
        fetch_max_wait_ms=settings.fetch_max_wait_ms,
        metadata_max_age_ms=NEW_PARTITIONS_WITHIN_MS,
        session_timeout_ms=SESSION_TIMEOUT_MS,
        metrics_enabled=False,
    )


def producer(settings: KafkaSettings, **options: Any) -> Any:
    """Whoever sends a record by it knows that all brokers have it when it is acknowledged. options: of kafka-python."""
    return _connected(settings, KafkaProducer, acks="all", enable_idempotence=True, metrics_enabled=False, **options)


@contextmanager
def described(settings: KafkaSettings) -> Iterator[Callable[[], Topic]]:
    """A connection that is asked for the topic: `with described(settings) as describe: describe()`."""
    admin = connect_admin(settings)
    try:
        yield lambda: describe(admin, settings)
    finally:
        admin.close()


def connect_admin(settings: KafkaSettings) -> Any:
    return _connected(settings, KafkaAdminClient, request_timeout_ms=ADMIN_TIMEOUT_MS)


def describe(admin: Any, settings: KafkaSettings) -> Topic:
    """Asks a broker for the topic. Raises SourceBusy or SourceRefused."""
    with told(settings):
        (answer,) = admin.describe_topics([settings.topic])
        error = kafka_errors.for_code(answer["error_code"])
        if error is kafka_errors.UnknownTopicOrPartitionError:
            raise NoTopic(f"there is no topic {settings.topic} at {', '.join(settings.brokers)}")
        if error is not kafka_errors.NoError:
            raise error(settings.topic)
    if answer["topic_id"] is None:
        raise SourceRefused("these brokers give topics no id; querywarden needs Kafka 2.8 or newer")
    return Topic(str(answer["topic_id"]), tuple(sorted(p["partition_index"] for p in answer["partitions"])))


def may_be_another(consumer: Any, settings: KafkaSettings, topic: Topic) -> bool:
    """Whether the consumer's own metadata name another topic id, or are being renewed because a fetch failed.

    kafka-python fetches by name: after a deletion the first fetch that succeeds can come from the topic's successor.
    """
    cluster = consumer._cluster
    if cluster.need_update:
        return True
    found = cluster.topic_id(settings.topic)
    return found is not None and str(found) != topic.id


def position_of(consumer: Any, partition: TopicPartition) -> int:
    """Where the consumer stands, also behind records that it may not show.

    `consumer.position` would check every assigned partition each time: 0.14 ms with a hundred of them.
    """
    return int(consumer._subscription.assignment[partition].position.offset)


def _connected(settings: KafkaSettings, make: Callable[..., Any], **options: Any) -> Any:
    """Makes a client. kafka-python leaves its thread running when it cannot connect: it is stopped here."""
    network: list[Any] = []

    def net_client(**configs: Any) -> Any:
        network.append(KafkaNetClient(**configs))
        return network[-1]

    tls = tls_of(settings)
    if settings.tls or settings.sasl_mechanism:
        check_entry(settings, tls)
    client = None
    try:
        with told(settings):
            client = make(**_options(settings, tls), **options, kafka_client=net_client)
    finally:
        if client is None and network:
            network[-1].close()
    return client


def _options(settings: KafkaSettings, tls: ssl.SSLContext | None) -> dict[str, Any]:
    return {
        "bootstrap_timeout_ms": int(settings.connect_timeout_s * 1000),
        "reconnect_backoff_max_ms": 2_000,  # a broker that comes back is read again within seconds, not 30
        **entry(settings, tls),
    }


def entry(settings: KafkaSettings, tls: ssl.SSLContext | None) -> dict[str, Any]:
    """Whom a client speaks to, and how it is let in: kafka-python and aiokafka have the same names for it. tls: as
    `tls_of` gives it.
    """
    protocol = ("SASL_" if settings.sasl_mechanism else "") + ("SSL" if settings.tls else "PLAINTEXT")
    options: dict[str, Any] = {
        "bootstrap_servers": list(settings.brokers),
        "client_id": settings.client_id,
        "security_protocol": protocol,
    }
    if tls is not None:
        options["ssl_context"] = tls
    if settings.sasl_mechanism and settings.password:
        options["sasl_mechanism"] = settings.sasl_mechanism
        options["sasl_plain_username"] = settings.username
        options["sasl_plain_password"] = settings.password.reveal()
    return options


def tls_of(settings: KafkaSettings) -> ssl.SSLContext | None:
    """None without TLS. Raises SettingsError for certificates that cannot be used."""
    if not settings.tls:
        return None
    try:
        context = ssl.create_default_context(cafile=settings.ca_file)
        if settings.cert_file:
            context.load_cert_chain(settings.cert_file, settings.key_file)
    except OSError as error:  # ssl.SSLError is one too
        files = ", ".join(filter(None, (settings.ca_file, settings.cert_file, settings.key_file)))
        raise SettingsError(f"Kafka source: the certificates ({files}) cannot be used: {error}") from error
    return context
