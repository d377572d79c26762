"""How workers and their mirror stand, as far as the brokers tell: kept in the mirror's store, for whoever reads it."""

from __future__ import annotations

import msgspec

from detector.reasons import rfc3339
from detector.run.store import Reader

NAME = "mirror"  # of the extra in the store
MIRROR = "mirror"  # who reads all topics for this store
STUCK_S = 120.0  # a place that does not move for so long, while something is left, and longer than a few snapshots
SNAPSHOTS = 4
GAP_S = 30 * 86_400.0  # for which a gap is told of


class Gap(msgspec.Struct, frozen=True):
    """Messages that brokers had dropped (retention) before the mirror read them, at most so many; wall clock."""

    topic: str
    partition: int
    most: int
    at: float

    @property
    def text(self) -> str:
        return (
            f"up to {self.most:,} messages of {self.topic}/{self.partition} were dropped by the brokers before they "
            f"were read ({_time(self.at)}): what they told is missing here"
        )


class Behind(msgspec.Struct, frozen=True):
    """How far whoever reads a partition is behind its end, in messages (markers of transactions count as such).

    since: wall clock, seconds, since when its place has not moved while something is left; None: it moves.
    """

    who: str
    topic: str
    partition: int
    messages: int
    since: float | None = None


class Standing(msgspec.Struct, frozen=True, kw_only=True):
    """at: wall clock of this word. workers: processes that the brokers count; None: they could not be asked.

    rate: records of the log a second that were shared out; log_at: log time, microseconds, of the newest of them;
    lag_s: how far the log's clock is behind the wall clock where something of it is left.
    whole: wall clock when the mirror had read all that there was at its start. trouble: why the brokers do not answer.
    stuck_s: how long a place may stand.
    """

    at: float
    workers: int | None = None
    behind: tuple[Behind, ...] = ()
    rate: float | None = None
    log_at: int | None = None
    lag_s: float | None = None
    gaps: tuple[Gap, ...] = ()
    whole: float = 0.0
    trouble: str = ""
    stuck_s: float = STUCK_S

    def reasons(self, now: float) -> tuple[str, ...]:
        """What a person should know, a sentence each."""
        found = [f"the brokers do not answer: {self.trouble}"] if self.trouble else []
        if self.workers == 0:
            found.append("no worker runs: nothing is judged and nothing delivered")
        stuck = [one for one in self.behind if one.since is not None and now - one.since >= self.stuck_s]
        found += [
            f"{one.who} stands still in {one.topic}/{one.partition} since {_time(one.since or 0.0)}, "
            f"{one.messages:,} messages before its end"
            for one in stuck
        ]
        return (*found, *(gap.text for gap in self.gaps))


def standing(reader: Reader) -> Standing | None:
    """What a mirror said last; None where none has said anything."""
    body = reader.saved_extra(NAME)
    return None if body is None else msgspec.msgpack.decode(body, type=Standing)


def _time(wall: float) -> str:
    return f"{rfc3339(int(wall * 1e6))[:19]}Z"
