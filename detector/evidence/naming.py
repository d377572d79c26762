"""Which attack it is: the name that an entity's evidence gives, and when it gives none.

A rule, not a model: `fit` has honest queries only, and a classifier of attacks that it made itself would name whatever
it had not made after the nearest of those. So a kind other than extraction needs a signal of its own
(Signal.speaks_for) that is as odd as one honest client in a hundred, on a share of the queries that is no accident,
and that leads.
"""

from __future__ import annotations

from collections.abc import Sequence

from detector.alert import NAMED, Attack
from detector.tape import Point
from features.contract import Signal

SURE = 100  # hundredths of the score's unit: one honest client in a hundred
PLAIN = 20_000  # hundredths of a deciban: of so much evidence a name is given also where one odd honest client dims it
# Permille of the queries. Extraction walks along a boundary now and then; it neither climbs nor meets training records.
LEAST: dict[Attack, int] = {"membership": 40, "inversion": 40, "evasion": 50}
LEAD = 30  # hundredths by which one kind must be odder than another
USUAL = 50  # what one honest client in ten shows speaks for nothing


def named(point: Point, signals: Sequence[Signal]) -> Attack:
    """What the evidence at this point of the tape speaks for; a function of the point alone, so that a replay agrees.

    `extraction` where only signals speak that every way of copying a model moves, `unknown` where none does, or where
    two kinds are equally likely.
    """
    odds = point.odds or point.evidence  # a tape of an older version knows evidence only
    found = sorted(((oddness, kind) for kind in NAMED if (oddness := _sure(kind, point, signals))), reverse=True)
    if found:
        torn = len(found) > 1 and found[0][0] - found[1][0] < LEAD
        return "unknown" if torn else found[0][1]
    copies = any(
        odd >= USUAL and signal.alone and "extraction" in signal.speaks_for
        for odd, signal in zip(odds, signals, strict=False)
    )
    leaked = point.exposed is not None and max(point.exposed.odds, default=0) >= USUAL
    return "extraction" if copies or leaked else "unknown"


def _sure(kind: Attack, point: Point, signals: Sequence[Signal]) -> int:
    """How odd the signal of this kind alone is, 0 where it does not carry the name."""
    own = speaker(kind, signals)
    if own is None or own >= len(point.odds) or point.tails[own] <= 0:
        return 0
    if point.shares[own] < LEAST[kind] or point.odds[own] < (USUAL if point.evidence[own] >= PLAIN else SURE):
        return 0
    against = max((odd for odd, s in zip(point.odds, signals, strict=False) if kind in s.speaks_against), default=0)
    others = [odd for f, odd in enumerate(point.odds) if f != own and kind in signals[f].speaks_for]
    with_it = max(others, default=point.odds[own])
    return 0 if against > with_it else point.odds[own]


def speaker(kind: str, signals: Sequence[Signal]) -> int | None:
    """The place of the signal that speaks for this kind and no other."""
    return next((f for f, signal in enumerate(signals) if signal.speaks_for == (kind,) and kind in NAMED), None)
