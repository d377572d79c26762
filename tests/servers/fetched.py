"""Knows where what the tests fetch is kept, and that it is fetched once."""

from __future__ import annotations

import contextlib
import os
import shutil
import subprocess
import tempfile
from collections.abc import Callable
from pathlib import Path

COPY = "dependency:copy-dependencies"


class ServerUnavailable(Exception):
    """This machine cannot have the server, or what it is tested with; the message says what is missing."""


def cache_folder() -> Path:
    """$QUERYWARDEN_TEST_CACHE, else build/servers in the repository."""
    here = Path(__file__).resolve().parents[2] / "build" / "servers"
    return Path(os.environ.get("QUERYWARDEN_TEST_CACHE") or here).resolve()


def fetched(name: str, fill: Callable[[Path], None]) -> Path:
    """The folder `name` of the cache; where it is missing `fill` makes it first (half a minute, needs a network)."""
    ready = cache_folder() / name
    if ready.exists():
        return ready
    ready.parent.mkdir(parents=True, exist_ok=True)
    build = Path(tempfile.mkdtemp(prefix=f".{ready.name}-", dir=ready.parent))
    try:
        fill(build)
        with contextlib.suppress(OSError):  # another process was first: its copy serves as well
            build.rename(ready)
    finally:
        shutil.rmtree(build, ignore_errors=True)
    return ready


def copy_jars(pom: Path, version: str, folder: Path) -> None:
    """What the pom names, from Maven Central. version: `NAME=VERSION` of a property of the pom."""
    run([program("mvn", "Maven"), "-q", "-B", "-f", str(pom), f"-D{version}", COPY, f"-DoutputDirectory={folder}"])


def program(name: str, called: str) -> str:
    found = shutil.which(name)
    if found is None:
        raise ServerUnavailable(f"this test needs {called} ({name}) on PATH")
    return found


def run(command: list[str]) -> None:
    done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False)
    if done.returncode:
        raise ServerUnavailable(f"what this test needs cannot be made: {command[0]}\n{done.stdout}")
