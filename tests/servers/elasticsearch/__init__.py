"""A real Elasticsearch for tests: the server's own jars, started by the tests themselves."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest

from tests.servers.elasticsearch.home import User
from tests.servers.elasticsearch.jars import ServerUnavailable
from tests.servers.elasticsearch.server import NO_USERS, ElasticsearchServer
from tests.servers.java import NoJava

__all__ = ["ElasticsearchServer", "elasticsearch_server"]


def elasticsearch_server(
    home: Path,
    *,
    users: Mapping[str, User] = NO_USERS,
    tls: tuple[Path, Path] | None = None,
    settings: Mapping[str, object] | None = None,
) -> Iterator[ElasticsearchServer]:
    """The body of a fixture: yields a started node with its data in `home`, and stops it.

    A machine that cannot have it fails the test and says what is missing: it never skips.
    """
    server = ElasticsearchServer(home, users=users, tls=tls, settings=settings)
    try:
        server.start()
    except (NoJava, ServerUnavailable) as error:
        pytest.fail(str(error), pytrace=False)
    try:
        yield server
    finally:
        server.stop()
