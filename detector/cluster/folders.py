"""Whose a folder is: that of a worker, with alerts on their way to the sinks, or that of a mirror, which delivers none.

Neither may take over the other's: an alert that a mirror has read would be known to a worker's outbox, and not be told.
"""

from __future__ import annotations

from detector.errors import StoreError
from detector.run.outbox import Outbox

WORKERS = "(workers)"  # in the place of a sink of a mirror: what is to be told goes to the workers


def settle_mirror(outbox: Outbox) -> None:
    """Takes an outbox for a mirror. Raises StoreError for one that sinks were given from."""
    others = outbox.db.read("SELECT sink FROM sink_positions WHERE sink <> ? ORDER BY sink", WORKERS)
    if others:
        raise StoreError(
            f"{outbox.db.path.parent} is the folder of a worker (its sinks: {', '.join(sink for (sink,) in others)}): "
            "give the dashboard of workers one of its own (store.path)"
        )
    outbox.join(WORKERS, "oldest")


def refuse_mirror(outbox: Outbox) -> None:
    """Raises StoreError for the outbox of a mirror."""
    if outbox.db.read("SELECT 1 FROM sink_positions WHERE sink = ?", WORKERS):
        raise StoreError(
            f"{outbox.db.path.parent} is the folder of the dashboard of workers: give each worker one of its own "
            "(store.path)"
        )
