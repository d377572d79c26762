"""Which tests stay together where workers share those that need servers: `pytest -m server -n 2 --dist loadscope`."""

from __future__ import annotations

from pathlib import PurePosixPath

from xdist.scheduler import LoadScopeScheduling

TOGETHER = ("sinks", "sources")  # folders whose tests leave their servers as they found them


class Sharing(LoadScopeScheduling):  # type: ignore[misc]
    """All tests of such a folder are one worker's, so that its servers start once. Any other test goes to whoever is
    free, each worker having servers of its own: what one kills, the other does not miss. The largest lot comes first.
    """

    def _split_scope(self, nodeid: str) -> str:
        folder = PurePosixPath(nodeid.partition("::")[0]).parent.name
        return folder if folder in TOGETHER else nodeid
