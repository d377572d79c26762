"""Knows how the jars of a real OpenSearch are fetched from Maven Central: once per cache folder."""

from __future__ import annotations

import contextlib
import shutil
import tempfile
from pathlib import Path

from tests.servers.elasticsearch.jars import COPY, ServerUnavailable, run
from tests.servers.java import java_home

VERSION = "3.6.0"
JAVA = 21  # what that version needs
HERE = Path(__file__).resolve().parent


def prepared(cache: Path) -> Path:
    """The folder with lib/ and classes/; made first (half a minute, needs a network) where it is missing."""
    ready = cache / f"opensearch-{VERSION}"
    if ready.exists():
        return ready
    mvn = shutil.which("mvn")
    if mvn is None:
        raise ServerUnavailable("the OpenSearch tests need Maven (mvn) on PATH to fetch the server's jars")
    cache.mkdir(parents=True, exist_ok=True)
    build = Path(tempfile.mkdtemp(prefix=f".{ready.name}-", dir=cache))
    try:
        run([mvn, "-q", "-B", "-f", str(HERE / "pom.xml"), f"-Dos.version={VERSION}", COPY, _into(build / "lib")])
        javac = java_home(JAVA, compiler=True) / "bin" / "javac"
        run(
            [
                str(javac),
                "-nowarn",
                "-cp",
                f"{build / 'lib'}/*",
                "-d",
                str(build / "classes"),
                str(HERE / "OsNode.java"),
            ]
        )
        with contextlib.suppress(OSError):  # another process was first: its copy serves as well
            build.rename(ready)
    finally:
        shutil.rmtree(build, ignore_errors=True)
    return ready


def _into(folder: Path) -> str:
    return f"-DoutputDirectory={folder}"
