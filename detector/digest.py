"""The digest: who asked most oddly, ranked, for people to look at where a log is too small for alerts with a promise.

It names nobody and promises nothing. Beside each score stands what it can be held against: how many of the clients that
calibrated came as high, how high the client itself was before, and whether it has turned from its own past.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import NamedTuple

import msgspec
import numpy as np

from detector.alert import Reason
from detector.entities import Entities
from detector.evidence import polya, sums
from detector.evidence.law import TURN, Law
from detector.logs.contract import Decode
from detector.pipeline import Step
from detector.profile.artefact import Profile
from detector.query import Chunk
from detector.reasons import reasons, rfc3339
from detector.run.replay import replay
from detector.tape import FLOOR, Point
from features.kit import Kit


class Turned(msgspec.Struct, frozen=True):
    """The signal in which an entity, at the end of the log, differs most from its own past; score: as all scores."""

    signal: str
    score: float


class Ranked(msgspec.Struct, frozen=True):
    """An entity, at its highest.

    before: its highest score before the span that is ranked, 0 for all that is usual; None for one that is new in it.
    as_high: of the `calibrated` honest entities of its level, those that came as high within their horizon.
    """

    kind: str
    id: str
    score: float
    at: str
    queries: int
    query_id: str
    before: float | None
    turned: Turned | None
    as_high: int
    calibrated: int
    reasons: tuple[Reason, ...]


class Digest(NamedTuple):
    """ranked: the highest score first; usual: how many others asked, and never rose above what is usual."""

    ranked: list[Ranked]
    usual: int


def digest(profile: Profile, chunks: Iterator[Chunk], decode: Decode, since: int | None = None) -> Digest:
    """Replays a log and ranks by what came from log time `since` (microseconds) on; None: by all of it."""
    top: dict[tuple[str, str], Point] = {}
    before: dict[tuple[str, str], float] = {}

    def keep(step: Step) -> None:
        for point in step.points:
            who = point.kind, point.id
            if point.budget or point.level == 0:
                continue
            if since is not None and point.at < since:
                before[who] = max(before.get(who, 0.0), point.score)
            elif who not in top or point.level > top[who].level:
                top[who] = point

    done = replay(profile, profile.summary.policy, chunks, decode, keep)
    tables = {table.kind: table for table in done.pipeline.tables}
    order = sorted(top.values(), key=lambda point: (-point.level, point.at, point.kind, point.id))
    ranked = [_ranked(profile, tables[point.kind], point, before, since) for point in order]
    clients = tables["client"]
    asked = int(np.count_nonzero(clients.rows["clock"][: len(clients)] >= (since or 0)))
    return Digest(ranked, asked - sum(one.kind == "client" for one in ranked))


def lines(profile: Profile, found: Digest, top: int, *, as_json: bool = False) -> list[str]:
    """What `querywarden digest` prints: for people, or one JSON object a line."""
    shown = found.ranked[:top]
    if as_json:
        return [msgspec.json.encode(one).decode() for one in shown]
    said = [line for place, one in enumerate(shown, 1) for line in _told(place, one)]
    more = f"{len(found.ranked) - len(shown):,} more stand above what is usual; " if len(found.ranked) > top else ""
    said.append(f"{more}{found.usual:,} clients asked as usual.")
    level = profile.level("client")
    if level.share is None:
        said.append("This is an order to look in, not a list of attackers: nothing is promised.")
    return said


def _ranked(
    profile: Profile, table: Entities, point: Point, before: dict[tuple[str, str], float], since: int | None
) -> Ranked:
    slot = int(table.slots([point.id])[0])
    past = since is not None and int(table.rows["first_at"][slot]) < since
    suprema = profile.suprema[point.kind]
    return Ranked(
        kind=point.kind,
        id=point.id,
        score=round(point.score, 3),
        at=rfc3339(point.at),
        queries=point.n,
        query_id=point.query_id,
        before=round(before.get((point.kind, point.id), 0.0), 3) if past else None,
        turned=_turned(table, slot, profile.laws[point.kind], profile.kit) if point.kind == "client" else None,
        as_high=int(np.count_nonzero(suprema >= point.level)),
        calibrated=len(suprema),
        reasons=reasons(point, profile.kit.signals),
    )


def _turned(table: Entities, slot: int, law: Law, kit: Kit) -> Turned | None:
    """What the channel `turn` says of the entity at the end of the log, in the signals that have a mark; None where all
    stay below the tape's floor.
    """
    line, desk = sums.lines(len(kit.signals), 1), sums.desk(len(kit.signals))
    polya.laid(desk[0], law)
    sums.refresh(table.rows[slot], line[0], law.tables[0])
    sums.find_all(line[0], law.tables[0], desk[0])
    doubled = polya.doubled_of(polya.longest_of(line[0]))
    marked = table.rows["before"][slot].any(1)
    rare = [polya.rarity(desk[0], f, TURN, doubled) if marked[f] else -np.inf for f in range(len(marked))]
    best = int(np.argmax(rare))
    score = rare[best] - law.slope * doubled
    return Turned(kit.names[best], round(score, 3)) if score >= FLOOR else None


def _told(place: int, one: Ranked) -> Sequence[str]:
    was = "new" if one.before is None else f"before {one.before:.2f}"
    head = f"{place:3}. {one.kind} {one.id}: {one.score:.2f} after {one.queries:,} queries, {one.at[:19]}Z; {was}"
    held = f"     {one.as_high} of {one.calibrated} honest ones that calibrated came as high."
    if one.turned:
        held += f" It turned from its own past: {one.turned.signal} ({one.turned.score:.2f})."
    why = [f"     {reason.evidence_db:+.0f} dB  {reason.text}" for reason in one.reasons[:3]]
    return [head, held, *why]
