"""The score tape: a point whenever an entity's score rises by a grid step or falls by half a unit. All `decide` sees.

Below FLOOR all scores are one: what one honest client in thirty shows in a single channel is nobody's threshold.
"""

from __future__ import annotations

import math
from typing import TypeAlias

import msgspec

from detector.alert import Attack

STEP = 1 / 32  # of the score's unit, up to LINEAR; above it a step is a constant ratio
LINEAR = 4.0
LINEAR_LEVELS = int(LINEAR / STEP)  # 128
LOG_LEVELS = 16  # to each factor of e above LINEAR
TOP_LEVEL = 4095
TOP_SCORE = LINEAR * math.exp((TOP_LEVEL - LINEAR_LEVELS) / LOG_LEVELS)
FLOOR = 0.75
FALL = 16  # steps
REFRESH_US = 300_000_000  # an entity above level 0 leaves a point at least every five minutes in which it asks


PointId: TypeAlias = tuple[bytes, int, bool]  # key, n and budget of a point


class Exposed(msgspec.Struct, frozen=True, gc=False):
    """How much of the model had leaked to an entity at its last look (detector.exposure).

    odds     per measure (known.MEASURES), how rare it is on honest clients, hundredths of the score's unit
    queries  that it had learned from by then
    clone    permille of what a clone of known.CLONE queries knows
    equals   queries after which half of the honest clients know as much; 0 where no half ever did
    """

    odds: tuple[int, ...]
    queries: int
    clone: int
    equals: int


class Point(msgspec.Struct, frozen=True, gc=False):
    """Where an entity's score stood after its n-th query.

    key        16 bytes, the entity's key
    kind, id   the entity as alerts name it; `model` is the served model
    at         microseconds, the entity's clock at that query
    n          queries of the entity so far
    level      grid level of the score, see `level_of`
    query_id   the query that moved it there
    asked_today  queries of the entity on this day of log time (a step of the count grid when `budget`)
    budget     the point marks the count of the day, not the score
    evidence   per signal of the level, hundredths of a deciban; the tuple is empty for a budget point
    odds       per signal, how rare its evidence is on honest clients, hundredths of the score's unit
    shares     per signal, permille of the entity's queries in the bins that made the evidence
    tails      per signal, permille of *honest* queries in those bins, times the sign of the side (-: low, +: high)
    exposed    for a client: what leaked to it
    sequence   for a client: how rare what the sequence model says is on honest clients, hundredths of the score's unit
    members    for a group: the clients that asked in the tick; for a ring: its accounts; at most 32
    accounts   for a ring: how many they are
    together   for a ring: evidence that they are one hand, hundredths of a deciban
    attack     which attack the evidence speaks for (detector.evidence.naming)
    of_class   for a client: the class that it was judged in (detector.classes), "" for people
    """

    key: bytes
    model: str
    kind: str
    id: str
    at: int
    n: int
    level: int
    query_id: str
    asked_today: int = 0
    budget: bool = False
    evidence: tuple[int, ...] = ()
    odds: tuple[int, ...] = ()
    shares: tuple[int, ...] = ()
    tails: tuple[int, ...] = ()
    members: tuple[str, ...] = ()
    exposed: Exposed | None = None
    accounts: int = 0
    together: int = 0
    attack: Attack = "extraction"
    of_class: str = ""
    sequence: int = 0

    @property
    def score(self) -> float:
        return score_of(self.level)


def level_of(score: float) -> int:
    """The grid level of a score: 0 for all scores below FLOOR.

    >>> level_of(-3.0), level_of(1.0), level_of(score_of(200))
    (0, 32, 200)
    """
    if not score >= FLOOR:  # NaN too
        return 0
    if score < LINEAR:
        return int(score / STEP)
    if score >= TOP_SCORE:  # infinity too
        return TOP_LEVEL
    return LINEAR_LEVELS + int(LOG_LEVELS * math.log(score / LINEAR) + 1e-9)


def score_of(level: int) -> float:
    """The lowest score of a grid level; -inf for level 0, which holds everything below FLOOR."""
    if level <= 0:
        return -math.inf
    if level < LINEAR_LEVELS:
        return level * STEP
    return LINEAR * math.exp((level - LINEAR_LEVELS) / LOG_LEVELS)
