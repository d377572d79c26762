"""A real Elasticsearch for tests: the server's own jars, started by the tests themselves."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path

from tests.servers.elasticsearch.home import User
from tests.servers.elasticsearch.server import NO_USERS, ElasticsearchServer
from tests.servers.node import running

__all__ = ["ElasticsearchServer", "elasticsearch_server"]


def elasticsearch_server(
    home: Path,
    *,
    users: Mapping[str, User] = NO_USERS,
    tls: tuple[Path, Path] | None = None,
    settings: Mapping[str, object] | None = None,
) -> Iterator[ElasticsearchServer]:
    """The body of a fixture: yields a started node with its data in `home`, and stops it."""
    yield from running(ElasticsearchServer(home, users=users, tls=tls, settings=settings))
