"""Knows how the jars of a real OpenSearch are fetched from Maven Central and laid out."""

from __future__ import annotations

from pathlib import Path

from tests.servers.fetched import copy_jars, fetched, run
from tests.servers.java import java_home

VERSION = "3.6.0"
JAVA = 21  # what that version needs
HERE = Path(__file__).resolve().parent


def prepared() -> Path:
    """The folder with lib/ and classes/."""
    return fetched(f"opensearch-{VERSION}", _make)


def _make(build: Path) -> None:
    copy_jars(HERE / "pom.xml", f"os.version={VERSION}", build / "lib")
    javac = java_home(JAVA, compiler=True) / "bin" / "javac"
    source, classes = HERE / "OsNode.java", build / "classes"
    run([str(javac), "-nowarn", "-cp", f"{build / 'lib'}/*", "-d", str(classes), str(source)])
