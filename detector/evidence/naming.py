"""Which attack it is: the name that an entity's evidence gives, and when it gives none.

A rule, not a model: `fit` has honest queries only, and a classifier of attacks that it made itself would name whatever
it had not made after the nearest of those. So a kind other than extraction needs a signal of its own
(Signal.speaks_for) that is as odd as one honest client in a hundred, on a share of the queries that is no accident,
and that leads.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from typing import NamedTuple

import msgspec

from detector.alert import NAMED, Attack
from detector.tape import Point
from features.contract import Signal

SURE = 100  # hundredths of the score's unit: one honest client in a hundred
PLAIN = 20_000  # hundredths of a deciban: of so much evidence a name is given also where one odd honest client dims it
# Permille of the queries. Extraction walks along a boundary now and then; it neither climbs nor meets training records.
LEAST: dict[Attack, int] = {"membership": 40, "inversion": 40, "evasion": 50}
LEAD = 30  # hundredths by which one kind must be odder than another
USUAL = 50  # what one honest client in ten shows speaks for nothing


def under_its_name(point: Point, signals: tuple[Signal, ...]) -> Point:
    """The point with the attack that its evidence speaks for."""
    attack = named(point, signals)
    return point if attack == point.attack else msgspec.structs.replace(point, attack=attack)


def named(point: Point, signals: tuple[Signal, ...]) -> Attack:
    """What the evidence at this point of the tape speaks for; a function of the point alone, so that a replay agrees.

    `extraction` where only signals speak that every way of copying a model moves, `unknown` where none does, or where
    two kinds are equally likely.
    """
    voices, copies = _places(signals)
    odds = point.odds or point.evidence  # a tape of an older version knows evidence only
    if not odds:
        return "extraction" if _leaked(point) else "unknown"
    found = sorted(((oddness, voice.kind) for voice in voices if (oddness := _sure(voice, point))), reverse=True)
    if found:
        torn = len(found) > 1 and found[0][0] - found[1][0] < LEAD
        return "unknown" if torn else found[0][1]
    return "extraction" if any(odds[f] >= USUAL for f in copies) or _leaked(point) else "unknown"


class _Voice(NamedTuple):
    """The place of the signal that speaks for a kind alone, of others that speak for it, and of those against it."""

    kind: Attack
    own: int
    others: tuple[int, ...]
    against: tuple[int, ...]


@cache
def _places(signals: tuple[Signal, ...]) -> tuple[tuple[_Voice, ...], tuple[int, ...]]:
    voices = []
    for kind in NAMED:
        own = speaker(kind, signals)
        if own is not None:
            others = tuple(f for f, signal in enumerate(signals) if kind in signal.speaks_for and f != own)
            against = tuple(f for f, signal in enumerate(signals) if kind in signal.speaks_against)
            voices.append(_Voice(kind, own, others, against))
    copies = tuple(f for f, signal in enumerate(signals) if signal.alone and "extraction" in signal.speaks_for)
    return tuple(voices), copies


def _sure(voice: _Voice, point: Point) -> int:
    """How odd the signal of this kind alone is, 0 where it does not carry the name."""
    own, odds = voice.own, point.odds
    if not odds or odds[own] < USUAL or point.tails[own] <= 0 or point.shares[own] < LEAST[voice.kind]:
        return 0
    if odds[own] < SURE and point.evidence[own] < PLAIN:
        return 0
    with_it = max((odds[f] for f in voice.others), default=odds[own])
    return 0 if any(odds[f] > with_it for f in voice.against) else odds[own]


def _leaked(point: Point) -> bool:
    return point.exposed is not None and max(point.exposed.odds, default=0) >= USUAL


def speaker(kind: str, signals: Sequence[Signal]) -> int | None:
    """The place of the signal that speaks for this kind and no other."""
    return next((f for f, signal in enumerate(signals) if signal.speaks_for == (kind,) and kind in NAMED), None)
