"""An hour and more of a made-up log: honest clients, three copiers, an organisation that copies, and rubbish."""

from __future__ import annotations

import zlib
from functools import cache
from typing import NamedTuple

from tests import people

STREAMS = ("made:0", "made:1", "made:2")
LEVELS = ("client", "organisation")
RUBBISH = b"rubbish"
EVERY = 40  # records of a stream there is a line of rubbish
MINUTE_US = 60_000_000


class Hour(NamedTuple):
    """The records in the order of time, and the same parted over STREAMS by client, as a topic's key parts them."""

    lines: list[bytes]
    streams: dict[str, list[bytes]]

    def __repr__(self) -> str:
        return "an hour"


@cache
def hour() -> Hour:
    start = people.START_US
    asked = people.honest(5, 8, days=0.05, volume=30)
    asked += people.noise("n1", seed=1, n=50, group="o1")
    asked += people.children("k1", seed=2, n=80, at=start + 6 * MINUTE_US)
    asked += people.noise("n2", seed=9, n=15, at=start + 66 * MINUTE_US)  # behind the window of a storm
    for account in range(4):
        asked += people.noise(f"r{account}", seed=3 + account, n=25, at=start + account * 7_000_000, group="ring")
    asked = people.in_order(asked)
    found = Hour([], {stream: [] for stream in STREAMS})
    for one, line in zip(asked, people.log_of(asked), strict=True):
        mine = found.streams[STREAMS[zlib.crc32(one.client.encode()) % len(STREAMS)]]
        new = [line, RUBBISH] if len(mine) % EVERY == 0 else [line]
        mine.extend(new)
        found.lines.extend(new)
    return found
