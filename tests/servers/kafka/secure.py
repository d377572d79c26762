"""A SASL_SSL listener for the test node: its certificate, its users, its broker properties."""

from __future__ import annotations

import subprocess
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from kafka.admin import KafkaAdminClient, ScramMechanism, UserScramCredentialUpsertion

from tests.servers.kafka.server import KafkaServer, free_port

_LOGIN = "org.apache.kafka.common.security"
_SCRAM = (ScramMechanism.SCRAM_SHA_256, ScramMechanism.SCRAM_SHA_512)


@dataclass(frozen=True)
class SecureListener:
    """Where it answers, and the certificate that a client must trust."""

    bootstrap: str
    ca_file: Path


def add_secure_listener(server: KafkaServer, users: Mapping[str, str]) -> SecureListener:
    """Prepares a node that has not started yet; PLAIN knows `users` at once, SCRAM after `add_scram_users`."""
    port = free_port()
    ca_file, keystore = make_certificate(server.directory)
    plain = " ".join(f'user_{name}="{password}"' for name, password in users.items())
    listener = f"SASL_SSL://127.0.0.1:{port}"
    server.extra |= {
        "listeners": f"PLAINTEXT://{server.bootstrap},CONTROLLER://127.0.0.1:{server.controller_port},{listener}",
        "advertised.listeners": f"PLAINTEXT://{server.bootstrap},{listener}",
        "sasl.enabled.mechanisms": "PLAIN,SCRAM-SHA-256,SCRAM-SHA-512",
        "listener.name.sasl_ssl.plain.sasl.jaas.config": f"{_LOGIN}.plain.PlainLoginModule required {plain};",
        "listener.name.sasl_ssl.scram-sha-256.sasl.jaas.config": f"{_LOGIN}.scram.ScramLoginModule required;",
        "listener.name.sasl_ssl.scram-sha-512.sasl.jaas.config": f"{_LOGIN}.scram.ScramLoginModule required;",
        "ssl.keystore.type": "PEM",
        "ssl.keystore.location": keystore.as_posix(),
    }
    return SecureListener(f"127.0.0.1:{port}", ca_file)


def add_scram_users(server: KafkaServer, users: Mapping[str, str]) -> None:
    """Gives the users of a running node their SCRAM credentials."""
    with KafkaAdminClient(bootstrap_servers=[server.bootstrap]) as admin:
        for mechanism in _SCRAM:
            wanted = [UserScramCredentialUpsertion(name, mechanism, word) for name, word in users.items()]
            answer = admin.alter_user_scram_credentials(wanted)
            assert set(answer.values()) == {None}, answer


def make_certificate(directory: Path) -> tuple[Path, Path]:
    """A certificate for 127.0.0.1 that signs itself, and a PEM keystore with its key."""
    directory.mkdir(parents=True, exist_ok=True)
    key, certificate, keystore = (directory / name for name in ("key.pem", "certificate.pem", "keystore.pem"))
    command = ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=127.0.0.1"]
    names = ["-addext", "subjectAltName=IP:127.0.0.1", "-keyout", str(key), "-out", str(certificate)]
    subprocess.run([*command, *names], check=True, capture_output=True)
    keystore.write_text(key.read_text() + certificate.read_text())
    return certificate, keystore
