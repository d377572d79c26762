"""A real OpenSearch for tests: the server's own jars, started by the tests themselves."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest

from tests.servers.elasticsearch.jars import ServerUnavailable
from tests.servers.java import NoJava
from tests.servers.opensearch.server import OpenSearchServer

__all__ = ["OpenSearchServer", "opensearch_server"]


def opensearch_server(home: Path, *, settings: Mapping[str, object] | None = None) -> Iterator[OpenSearchServer]:
    """The body of a fixture: yields a started node with its data in `home`, and stops it.

    A machine that cannot have it fails the test and says what is missing: it never skips.
    """
    server = OpenSearchServer(home, settings=settings)
    try:
        server.start()
    except (NoJava, ServerUnavailable) as error:
        pytest.fail(str(error), pytrace=False)
    try:
        yield server
    finally:
        server.stop()
