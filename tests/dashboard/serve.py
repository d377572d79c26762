"""The dashboard on books in memory, to look at its API by hand: `python -m tests.dashboard.serve [PORT [SETTINGS]]`.

SETTINGS: those of `[dashboard]`, as JSON.
"""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

import msgspec

from detector.dashboard.serving import serve
from detector.dashboard_settings import DashboardSettings
from detector.run import journal_log
from tests.dashboard.memory import MemoryBooks


def main(port: int, settings: str) -> None:
    journal_log.configure()
    given = msgspec.json.decode(settings, type=DashboardSettings)
    with tempfile.TemporaryDirectory() as folder:
        serve(msgspec.structs.replace(given, port=port), MemoryBooks(), Path(folder), print)


if __name__ == "__main__":
    main(*(int(port) if port else 9465 for port in sys.argv[1:2] or [""]), *(sys.argv[2:3] or ["{}"]))
