"""Knows Splunk's own checker of apps, in an environment of its own: it is heavy, and nothing else here needs it."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

from tests.servers.fetched import cache_folder, run

PYPI = "splunk-appinspect==4.3.1"


def inspected(package: Path, report: Path) -> dict[str, Any]:
    """The report of `splunk-appinspect inspect --mode precert` on a packaged app."""
    told = ["--mode", "precert", "--data-format", "json", "--output-file", str(report)]
    run([str(program()), "inspect", str(package), *told])
    found: dict[str, Any] = json.loads(report.read_text())
    return found


def program() -> Path:
    """Fetched once into the cache."""
    folder = cache_folder() / "splunk-appinspect"
    if not (folder / "ready").exists():
        run([sys.executable, "-m", "venv", "--clear", str(folder)])
        run([str(folder / "bin" / "python"), "-m", "pip", "install", "--quiet", PYPI])
        (folder / "ready").touch()
    return folder / "bin" / "splunk-appinspect"
