"""Finds a Java that is new enough: JAVA_HOME, then PATH, then the usual folders."""

from __future__ import annotations

import glob
import os
import re
import shutil
import subprocess
from collections.abc import Iterator
from functools import cache
from pathlib import Path

USUAL = (
    "/usr/lib/jvm/*",
    "/opt/java*",
    "/opt/jdk*",
    "/usr/java/*",
    "/Library/Java/JavaVirtualMachines/*/Contents/Home",
)


class NoJava(Exception):
    """No fitting Java on this machine; the message says what was looked at."""


@cache
def java_home(minimum: int, *, compiler: bool = False) -> Path:
    """The home folder of a Java of at least version `minimum`, with `javac` where `compiler` is asked for."""
    seen = []
    for home in _homes():
        version = _major(home / "bin" / "java")
        has_compiler = (home / "bin" / "javac").exists()
        seen.append(f"{home} (version {version}{'' if has_compiler else ', no javac'})")
        if version >= minimum and (has_compiler or not compiler):
            return home
    raise NoJava(
        f"these tests need Java {minimum} or newer{' with javac (a JDK)' if compiler else ''}: set JAVA_HOME. "
        f"Found: {'; '.join(seen) or 'none'}"
    )


def _homes() -> Iterator[Path]:
    if home := os.environ.get("JAVA_HOME"):
        yield Path(home)
    if found := shutil.which("java"):
        yield Path(found).resolve().parent.parent
    for pattern in USUAL:
        yield from (Path(home) for home in sorted(glob.glob(pattern), reverse=True))


def _major(java: Path) -> int:
    if not java.exists():
        return 0
    answer = subprocess.run([str(java), "-version"], capture_output=True, text=True, check=False).stderr
    match = re.search(r'version "(\d+)', answer)
    return int(match.group(1)) if match else 0
