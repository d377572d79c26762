"""A Kafka topic: the settings of the source, and what they say when they cannot be meant."""

from __future__ import annotations

import re
from datetime import datetime
from importlib.util import find_spec
from typing import TYPE_CHECKING, Literal

import msgspec

from detector.errors import MissingExtra, SettingsError
from detector.secret import Secret

if TYPE_CHECKING:
    from detector.sources.kafka_reader import KafkaSource


class KafkaSettings(
    msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, tag_field="type", tag="kafka"
):
    """A topic whose records are inference logs.

    brokers: `host:port` of some brokers, which name the others. topic: one topic.
    partitions: read these only; default all, also those that are added later. The positions are the store's, which has
    one writer, so partitions are assigned by hand and nothing is rebalanced.
    group: with `partitions`, only the name under which the store's positions are told to the broker, for monitoring.
    Without `partitions` a membership: the brokers share the partitions out among the members of the group.
    start: where a partition begins of which the store has no position: "latest", "earliest", a time (RFC 3339, such as
    "2026-03-01T00:00:00Z") or "offset:N" (moved to the nearest offset that the partition has). When the store knows
    the topic already, a partition that it does not know is new, and "latest" begins it at its beginning.
    on_gap: when records that were to be read next are gone from the log (retention, deletion): "refuse" to go on, or
    "continue" with what is left and log how many are missing.
    tls: encrypt; ca_file: who may have signed the broker's certificate (default: whom the system trusts);
    cert_file, key_file: this client's own certificate. All PEM.
    sasl_mechanism: PLAIN, SCRAM-SHA-256 or SCRAM-SHA-512, with username and password.
    batch_size: records at a time. fetch_max_bytes, partition_fetch_max_bytes, fetch_max_wait_ms: as in Kafka.
    connect_timeout_s: how long to try to reach the first broker.

    Records of aborted transactions are not read.

    >>> KafkaSettings(brokers=("127.0.0.1:9092",), topic="inference").start
    'latest'
    """

    brokers: tuple[str, ...]
    topic: str
    group: str | None = None
    partitions: tuple[int, ...] | None = None
    start: str = "latest"
    on_gap: Literal["refuse", "continue"] = "refuse"
    tls: bool = False
    ca_file: str | None = None
    cert_file: str | None = None
    key_file: str | None = None
    sasl_mechanism: Literal["PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512"] | None = None
    username: str | None = None
    password: Secret | None = None
    batch_size: int = 4000
    fetch_max_bytes: int = 50 * 1024 * 1024
    partition_fetch_max_bytes: int = 1024 * 1024
    fetch_max_wait_ms: int = 500
    connect_timeout_s: float = 10.0
    client_id: str = "querywarden"

    def __post_init__(self) -> None:
        parse_start(self.start)
        for broken, message in (
            (not self.brokers, "brokers names no broker"),
            (not re.fullmatch(r"[A-Za-z0-9._-]{1,249}", self.topic), f'"{self.topic}" cannot be the name of a topic'),
            (self.partitions == (), "partitions names none; leave it out to read all"),
            (self.batch_size < 1, "batch_size must be at least 1"),
            (
                self.sasl_mechanism and not (self.username and self.password),
                "sasl_mechanism needs username and password",
            ),
            (self.username and not self.sasl_mechanism, "username needs sasl_mechanism"),
            (self.password and not self.sasl_mechanism, "password needs sasl_mechanism"),
            ((self.ca_file or self.cert_file) and not self.tls, "ca_file and cert_file need tls = true"),
            (self.key_file and not self.cert_file, "key_file needs cert_file"),
        ):
            if broken:
                raise SettingsError(f"Kafka source: {message}")

    def connect(self) -> KafkaSource:
        """Raises MissingExtra without the packages of the extra [kafka]."""
        _need_client()
        from detector.sources.kafka_reader import KafkaSource

        return KafkaSource(self)


class Start(msgspec.Struct, frozen=True):
    """Where to begin: `kind` says what `value` is, milliseconds since 1970 or an offset."""

    kind: Literal["latest", "earliest", "time", "offset"]
    value: int = 0


def parse_start(text: str) -> Start:
    """Reads the setting `start` (`--from` on the command line). Raises SettingsError.

    >>> parse_start("offset:17")
    Start(kind='offset', value=17)
    >>> parse_start("1970-01-01T00:00:02+00:00")
    Start(kind='time', value=2000)
    """
    if text == "latest":
        return Start("latest")
    if text == "earliest":
        return Start("earliest")
    if match := re.fullmatch(r"offset:(\d+)", text):
        return Start("offset", int(match.group(1)))
    try:
        at = datetime.fromisoformat(text)
    except ValueError:
        at = None
    if at is None or at.tzinfo is None:
        raise SettingsError(
            f'start = "{text}" is none of "latest", "earliest", "offset:N" and a time with its zone, such as '
            '"2026-03-01T00:00:00Z"'
        )
    return Start("time", max(0, int(at.timestamp() * 1000)))


def probe(settings: KafkaSettings) -> str:
    """Reaches the brokers without reading a record; returns a sentence on what answered.

    Raises SourceBusy (it may come back) or SourceRefused (a human must act).
    """
    _need_client()
    from detector.sources import kafka_client

    with kafka_client.described(settings) as describe:
        topic = describe()
    chosen = len(settings.partitions) if settings.partitions is not None else len(topic.partitions)
    return f"{', '.join(settings.brokers)} answered: topic {settings.topic} ({topic.id}), {chosen} of " + (
        f"{len(topic.partitions)} partitions to read"
    )


def _need_client() -> None:
    if find_spec("kafka") is None or find_spec("crc32c") is None:
        raise MissingExtra("the Kafka source", "kafka")
