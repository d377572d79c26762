"""A real OpenSearch for tests: the server's own jars, started by the tests themselves."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path

from tests.servers.node import running
from tests.servers.opensearch.server import OpenSearchServer

__all__ = ["OpenSearchServer", "opensearch_server"]


def opensearch_server(home: Path, *, settings: Mapping[str, object] | None = None) -> Iterator[OpenSearchServer]:
    """The body of a fixture: yields a started node with its data in `home`, and stops it."""
    yield from running(OpenSearchServer(home, settings=settings))
