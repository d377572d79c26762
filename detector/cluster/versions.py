"""What workers of earlier versions left of a partition, read as if this version had left it: one step a version.

Only the mark is rewritten. Rows and cases of all versions are read as they are: what was added to them has a default.
An older worker refuses what a newer one wrote, by the number that comes first.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import msgspec

from detector.errors import StoreError

VERSION = 3  # of the entries


class Numbered(msgspec.Struct, frozen=True, array_like=True):
    """A mark of any version: what comes behind its number is that version's own."""

    version: int


# The mark of a version as a list, and the last message of which what it found is durable -> the mark of the next.
Step = Callable[[list[Any], int], list[Any]]


def current(mark: bytes, told: int) -> tuple[bytes, int]:
    """The mark as this version writes it, and the version that wrote it. Raises StoreError for a later one."""
    found = msgspec.msgpack.decode(mark, type=Numbered).version
    if not 1 <= found <= VERSION:
        raise StoreError(
            f"the saved state is of version {found}, this worker reads none behind {VERSION}: "
            "run the querywarden that wrote it, or a later one"
        )
    if found == VERSION:
        return mark, found
    fields = msgspec.msgpack.decode(mark)
    for step in STEPS[found - 1 :]:
        fields = step(fields, told)
    return msgspec.msgpack.encode(fields), found


def _of_clients_alone(mark: list[Any], told: int) -> list[Any]:
    """Version 1 judged clients and nothing that spans them, and told an alert with the message that raised it. So what
    was told is not handed on again; groups, rings, storms and the population begin here. Its ticks closed by one
    stream: here they wait for all, of which the worker knows. It had each policy from when it was saved: now all have
    it from one log time on (policies.py).
    """
    _, profile, partitions, applied, watermarks, _, state = mark
    begun = {"clocks": state["clocks"], "closed": 0, "others": state.get("others", {})}
    met_from = max(state["clocks"].values(), default=0)
    silent = max(told - applied, 0)
    body = [watermarks, {}, [], [], begun, None, {}, silent, met_from]
    return [2, profile, partitions, applied, msgspec.msgpack.encode(body)]


def _added(mark: list[Any], told: int) -> list[Any]:
    """What version 3 has beside version 2 comes last, and has a default."""
    return [3, *mark[1:]]


STEPS: tuple[Step, ...] = (_of_clients_alone, _added)  # STEPS[n - 1] leads from version n to n + 1
assert len(STEPS) == VERSION - 1
