"""Says, before any test runs, whether this machine can start the test servers: `python -m tests.servers`."""

from __future__ import annotations

import shutil
import sys
from collections.abc import Iterator

from tests.servers.elasticsearch.jars import JAVA, VERSION
from tests.servers.fetched import ServerUnavailable, cache_folder
from tests.servers.java import NoJava, java_home
from tests.servers.kafka.server import cache
from tests.servers.opensearch.jars import VERSION as OPENSEARCH
from tests.servers.postgres import program


def missing() -> Iterator[str]:
    """A sentence for each thing that is not there."""
    try:
        java_home(JAVA, compiler=True)
    except NoJava as error:
        yield str(error)
    elasticsearch, opensearch = cache_folder() / f"elasticsearch-{VERSION}", cache_folder() / f"opensearch-{OPENSEARCH}"
    fetched = (cache() / "kafka" / "jars").exists() and elasticsearch.exists() and opensearch.exists()
    if not fetched and shutil.which("mvn") is None:
        yield "the servers' jars were not fetched yet, and Maven (mvn), which fetches them, is not on PATH"
    if shutil.which("node") is None or shutil.which("npm") is None:
        yield "Node 20 (node, npm), whose client of Splunk's collector the tests use, is not on PATH"
    try:
        program("initdb")
    except ServerUnavailable as error:
        yield str(error)
    if shutil.which("openssl") is None:
        yield "openssl, which makes the certificates of the TLS tests, is not on PATH"


def main() -> int:
    found = list(missing())
    for sentence in found:
        sys.stderr.write(f"The server tests cannot run: {sentence}.\n")
    if found:
        sys.stderr.write("Without them: `make check`, and `.venv/bin/python -m pytest` for the tests that need none.\n")
    return len(found)


if __name__ == "__main__":
    sys.exit(main())
