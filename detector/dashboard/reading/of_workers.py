"""How workers stand: what their mirror says of them, since no port tells of all of them."""

from __future__ import annotations

import msgspec

from detector.dashboard.reading.health import AWAY
from detector.dashboard.shapes import Behind, HealthWord
from detector.mirror.standing import Standing

FRESH_S = 30.0  # a mirror says something every few seconds


def of_workers(word: HealthWord, cluster: str, standing: Standing | None, now: float) -> HealthWord:
    """What is told of a store, with what its mirror said last of the workers. Sinks are theirs: what one lists here is
    where this dashboard's own events go, and how many alerts not all sinks have is where `deliver` is.
    """
    if standing is None:
        return msgspec.structs.replace(word, state=AWAY, reasons=(NOTHING,), cluster=cluster)
    fresh = now - standing.at < FRESH_S
    reasons = standing.reasons(now) if fresh else (OLD, *standing.reasons(standing.at))
    return msgspec.structs.replace(
        word,
        reachable=fresh,
        state=AWAY if not fresh else "degraded" if reasons else "ok",
        reasons=reasons,
        lag_s=standing.lag_s if fresh else None,
        rate=standing.rate if fresh else None,
        watermark_at=standing.log_at or word.watermark_at,
        seen_at=standing.at,
        sinks=tuple(msgspec.structs.replace(one, state="ok" if fresh else AWAY) for one in word.sinks),
        cluster=cluster,
        workers=standing.workers if fresh else None,
        behind=tuple(Behind(one.who, one.topic, one.partition, one.messages, one.since) for one in standing.behind),
    )


NOTHING = "the mirror of the workers has said nothing yet"
OLD = "the mirror of the workers is away: what stands here is what it said last"
