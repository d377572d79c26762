"""Knows the files that an Elasticsearch node started from a class path expects in its home folder."""

from __future__ import annotations

import base64
import hashlib
import json
import os
import re
import shutil
import zipfile
from collections.abc import Mapping
from pathlib import Path

from tests.servers.elasticsearch.jars import VERSION

User = tuple[str, str]  # password, comma-separated roles

LOG4J2 = """\
status = error
shutdownHook = disable
appender.console.type = Console
appender.console.name = console
appender.console.layout.type = PatternLayout
appender.console.layout.pattern = [%d{ISO8601}][%-5p][%-25c{1.}] %m%n
rootLogger.level = info
rootLogger.appenderRef.console.ref = console
"""
MINI_ANALYSIS = f"""\
name=mini-analysis
description=for tests
version=1
elasticsearch.version={VERSION}
java.version=17
classname=MiniAnalysis
"""


def lay_out(home: Path, jars: Path, settings: Mapping[str, object], users: Mapping[str, User]) -> None:
    """Writes modules/ and config/ anew; data/ stays. Security is on when there are users."""
    for name in ("config", "data", "logs", "tmp"):
        (home / name).mkdir(parents=True, exist_ok=True)
    shutil.rmtree(home / "modules", ignore_errors=True)
    _module(home, jars, "transport-netty4")
    if users:
        _module(home, jars, "x-pack-core")
        # the security plugin holds its own copy of the transport, as in the distribution
        _module(home, jars, "x-pack-security", "transport-netty4.jar", "saml-types.jar")
        _module(home, jars, "mini-analysis")
        _users(home / "config", users)
    lines = [f"{key}: {json.dumps(value)}\n" for key, value in settings.items()]
    (home / "config" / "elasticsearch.yml").write_text("".join(lines))
    (home / "config" / "log4j2.properties").write_text(LOG4J2)


def _module(home: Path, jars: Path, name: str, *more: str) -> None:
    folder = home / "modules" / name
    folder.mkdir(parents=True)
    for jar in (f"{name}.jar", *more):
        try:
            os.link(jars / "plugins" / jar, folder / jar)
        except OSError:  # another file system
            shutil.copy(jars / "plugins" / jar, folder / jar)
    (folder / "plugin-descriptor.properties").write_text(_descriptor(jars, name))


def _descriptor(jars: Path, name: str) -> str:
    if name == "mini-analysis":
        return MINI_ANALYSIS
    with zipfile.ZipFile(jars / "plugins" / f"{name}.jar") as jar:
        text = jar.read(f"META-INF/es-plugins/{name}/plugin-descriptor.properties").decode()
    # the server runs from the class path, so its plugins cannot be Java modules
    return re.sub(r"(?m)^modulename=.*$", "", text)


def _users(config: Path, users: Mapping[str, User]) -> None:
    roles: dict[str, list[str]] = {}
    for name, (_, wanted) in users.items():
        for role in wanted.split(","):
            roles.setdefault(role.strip(), []).append(name)
    (config / "users").write_text("".join(f"{name}:{_file_realm_hash(u[0])}\n" for name, u in users.items()))
    (config / "users_roles").write_text("".join(f"{role}:{','.join(names)}\n" for role, names in roles.items()))


def _file_realm_hash(password: str) -> str:
    salt, rounds = os.urandom(32), 10_000
    digest = hashlib.pbkdf2_hmac("sha512", password.encode(), salt, rounds, 32)
    return f"{{PBKDF2}}{rounds}${base64.b64encode(salt).decode()}${base64.b64encode(digest).decode()}"
