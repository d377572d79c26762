"""The dashboard on books in memory, to look at its API by hand: `python -m tests.dashboard.serve [PORT]`."""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

from detector.dashboard.serving import serve
from detector.dashboard_settings import DashboardSettings
from detector.run import journal_log
from tests.dashboard.memory import MemoryBooks


def main(port: int) -> None:
    journal_log.configure()
    with tempfile.TemporaryDirectory() as folder:
        serve(DashboardSettings(port=port), MemoryBooks(), Path(folder), print)


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 9465)
