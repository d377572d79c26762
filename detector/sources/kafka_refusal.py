"""Asks one broker, step by step, whether it lets this client in, and raises what it says when it does not.

kafka-python 3.0 cannot tell a wrong password or certificate from a broker that is away: over TLS it loses the answer
that comes together with the end of the connection, and then tries again until its time is up.
"""

from __future__ import annotations

import socket
import ssl
import struct
from typing import Any

from kafka.net.sasl import get_sasl_mechanism

from detector.errors import SourceRefused
from detector.sources.kafka import KafkaSettings

_HANDSHAKE, _AUTHENTICATE = 17, 36  # keys of SaslHandshake (version 1) and SaslAuthenticate (version 0)
_CORRELATION = 1


def check_entry(settings: KafkaSettings, tls: ssl.SSLContext | None) -> None:
    """Raises SourceRefused when a broker refuses; says nothing when none can be reached, which is no refusal."""
    for broker in settings.brokers:
        host, _, port = broker.rpartition(":")
        try:
            connection = socket.create_connection((host.strip("[]"), int(port)), timeout=settings.connect_timeout_s)
        except (OSError, ValueError):
            continue
        with connection:
            try:
                _enter(connection, host.strip("[]"), settings, tls)
            except ssl.SSLCertVerificationError as error:
                raise SourceRefused(f"the certificate of {broker} is not accepted: {error}") from error
            except (OSError, struct.error):
                continue  # cut off in the middle: away again
        return


def _enter(connection: socket.socket, host: str, settings: KafkaSettings, tls: ssl.SSLContext | None) -> None:
    if tls is not None:
        connection = tls.wrap_socket(connection, server_hostname=host)
    try:
        if settings.sasl_mechanism and settings.password:
            _authenticate(connection, settings, settings.sasl_mechanism, settings.password.reveal())
    finally:
        connection.close()


def _authenticate(connection: socket.socket, settings: KafkaSettings, name: str, password: str) -> None:
    answer = _ask(connection, _HANDSHAKE, 1, _string(name.encode()))
    if struct.unpack_from(">h", answer)[0]:
        raise SourceRefused(f"the Kafka brokers at {', '.join(settings.brokers)} do not offer {name}")
    mechanism: Any = get_sasl_mechanism(name)(
        sasl_mechanism=name, sasl_plain_username=settings.username, sasl_plain_password=password
    )
    while not mechanism.is_done():
        token = mechanism.auth_bytes()
        answer = _ask(connection, _AUTHENTICATE, 0, struct.pack(">i", len(token)) + token)
        error, said = struct.unpack_from(">hh", answer)
        message, rest = answer[4 : 4 + max(0, said)], answer[4 + max(0, said) :]
        if error:
            found = message.decode(errors="replace") or f"error {error}"
            raise SourceRefused(f"the Kafka brokers at {', '.join(settings.brokers)} refuse this client: {found}")
        mechanism.receive(rest[4:])


def _ask(connection: socket.socket, key: int, version: int, body: bytes) -> bytes:
    """Sends a request and returns the body of the answer."""
    request = struct.pack(">hhi", key, version, _CORRELATION) + _string(b"querywarden") + body
    connection.sendall(struct.pack(">i", len(request)) + request)
    with connection.makefile("rb") as answers:
        (size,) = struct.unpack(">i", answers.read(4))
        return answers.read(size)[4:]


def _string(text: bytes) -> bytes:
    return struct.pack(">h", len(text)) + text
