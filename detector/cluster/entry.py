"""How the clients of a worker, Faust's among them, are let in by the brokers: as the one of a single process is."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from faust.auth import Credentials, SASLCredentials, SSLCredentials

from detector.sources.kafka import KafkaSettings
from detector.sources.kafka_client import entry, tls_of

HEARTBEATS = 5  # in a session
HEARTBEAT_S = 3.0  # and no further apart: who joins is waited for by all others until each has heard of it

Entry = Mapping[str, Any]  # of aiokafka's settings


def heartbeat_s(session_s: float) -> float:
    """Between two words of a worker to its groups.

    >>> heartbeat_s(10.0), heartbeat_s(120.0)
    (2.0, 3.0)
    """
    return min(HEARTBEAT_S, session_s / HEARTBEATS)


def of(source: KafkaSettings) -> Entry:
    """Raises SettingsError for certificates that cannot be used."""
    return entry(source, tls_of(source))


def credentials(source: KafkaSettings) -> Credentials | None:
    """The same for Faust; None where brokers are spoken to in the clear."""
    tls = tls_of(source)
    if source.sasl_mechanism and source.password:
        return SASLCredentials(
            username=source.username,
            password=source.password.reveal(),
            ssl_context=tls,
            mechanism=source.sasl_mechanism,
        )
    return SSLCredentials(tls) if tls else None
