"""Storms in what-if: what it says was told and held is what production tells and holds, alert by alert."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import NamedTuple

import msgspec
import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from detector.alert import ATTACKS, NO_PROMISE
from detector.dashboard.whatif.columns import Columns, Gathering, Slim
from detector.dashboard.whatif.leading import Leading
from detector.dashboard.whatif.trial import in_full, trial
from detector.dashboard.whatif.weather import weather
from detector.decide import Decision
from detector.docket import Docket
from detector.levels import TICK_US
from detector.policy import Dated, Policy, Storm, Threshold
from detector.reasons import alert
from detector.storm import Storms, signal_of
from detector.tape import Exposed, Point
from features import NUMBERS
from tests import people

SIGNALS = NUMBERS.signals
START = people.START_US // TICK_US
ENTITIES, SPAN = 60, 400
ODDS = (0, 40, 49, 50, 51, 99, 100, 101, 150, 300)
LEVELS = (0, 26, 31, 33, 40, 80)


class Told(NamedTuple):
    """points: in the order in which they were decided, each with its tick; asked: queries by tick."""

    points: list[tuple[Point, int]]
    asked: Counter[int]


def tape_of(seed: int) -> Told:
    """Of entities that mostly come at about the same time, on few signals; who is late is decided in a later tick."""
    rng = np.random.default_rng(seed)
    lead = rng.integers(len(SIGNALS), size=3)
    found = []
    for place in range(ENTITIES):
        kind, of_class = (("client", ""), ("client", ""), ("client", "automation"), ("organisation", ""))[place % 4]
        n, tick = 1, int(rng.choice([rng.integers(SPAN), 50 + rng.integers(10)]))
        for _ in range(int(rng.integers(1, 8))):
            odds = rng.choice(ODDS, size=len(SIGNALS), p=[0.91] + [0.01] * 9)
            odds[lead[rng.integers(3)]] = 200
            evidence = np.where(rng.random(len(SIGNALS)) < 0.95, 300, 99)
            asked_at = tick + int(rng.integers(3)) * (rng.random() < 0.2)
            found.append(
                (
                    Point(
                        place.to_bytes(16, "big"), "m", kind, f"e{place}", (START + tick) * TICK_US + place, n,
                        int(rng.choice(LEVELS)), f"q{n}",
                        evidence=tuple(evidence.tolist()), odds=tuple(odds.tolist()),
                        shares=(10,) * len(SIGNALS), tails=(1,) * len(SIGNALS),
                        exposed=Exposed((int(rng.choice(ODDS)), 0, int(rng.choice(ODDS))), 20, 100, 0)
                        if rng.random() < 0.1
                        else None,
                        attack=ATTACKS[int(rng.choice(len(ATTACKS), p=[0.6, 0.1, 0.1, 0.1, 0.1]))],
                        of_class=of_class,
                        sequence=int(rng.choice(ODDS, p=[0.91] + [0.01] * 9)),
                    ),
                    START + asked_at,
                )
            )  # fmt: skip
            n, tick = n + 1, asked_at + int(rng.choice([0, 1, 30, 100]))
    found.sort(key=lambda one: (one[1], one[0].n, one[0].key))
    asked = Counter({START + tick: int(rng.integers(50)) for tick in range(SPAN) if rng.random() < 0.9})
    return Told(found, asked)


def columns_of(told: Told) -> Columns:
    gathering = Gathering(SIGNALS)
    gathering.take(((slim(point), tick) for point, tick in told.points), told.asked)
    return gathering.columns


def slim(point: Point) -> Slim:
    return msgspec.msgpack.decode(msgspec.msgpack.encode(point), type=Slim)


def produced(told: Told, journal: Sequence[Dated], per_query: float, every: int) -> tuple[dict[str, bool], int]:
    """The alerts of a docket and its storms, which close some ticks at once: by id, whether each was held."""
    docket, storms = Docket(journal, SIGNALS, "p", None), Storms("m", "p", per_query)
    found: dict[str, bool] = {}
    broke_out = 0
    last = max([tick for _, tick in told.points] + [*told.asked]) + 1
    for low in range(START, last + 1, every):
        ticks = range(low, low + every)
        storms.asked(Counter({tick: told.asked[tick] for tick in ticks}).elements())
        mine = [(point, tick) for point, tick in told.points if tick in ticks]
        for waiting in docket.judge([point for point, _ in mine], [tick for _, tick in mine]):
            storms.put(waiting)
        for one, hold in docket.release(storms.close(low + every, docket.policies)):
            if one.kind == "population":
                broke_out += one.action == "open"
            else:
                found[one.id] = hold
    return found, broke_out


LOW = (Threshold("low", 0.8), Threshold("high", 1.0), Threshold("critical", 2.4))
THRESHOLDS = {"client": LOW, "client:automation": LOW, "organisation": LOW[:1]}
policies = st.builds(
    lambda cool, storm: Policy("p", THRESHOLDS, cool, storm=storm),
    st.sampled_from((0.0, 600.0)),
    st.builds(Storm, st.sampled_from((60.0, 300.0, 1_000.0)), st.sampled_from((0, 2, 3, 5, 8))),
)
journals = st.lists(st.tuples(st.integers(0, SPAN), policies), min_size=1, max_size=3).map(
    lambda found: [Dated((START + at) * TICK_US, policy) for at, policy in sorted(found, key=lambda one: one[0])]
)
STORMY: set[bool] = set()


@settings(max_examples=60)
@given(
    told=st.integers(0, 2**32).map(tape_of),
    journal=journals,
    per_query=st.sampled_from((0.0, 1e-3, 1e-2)),
    every=st.sampled_from((1, 7, 10_000)),
)
def test_what_is_held_is_what_production_holds(told: Told, journal: list[Dated], per_query: float, every: int) -> None:
    columns = columns_of(told)
    found = trial(columns, journal)
    sky = weather(columns, found, journal, per_query)
    said = {
        (entity, place): decision.alert_id
        for entity in range(columns.entities)
        for place, decision in in_full(columns, journal, entity)
    }
    mine = zip(found.entity.tolist(), found.place.tolist(), sky.held.tolist(), strict=True)
    held, storms = produced(told, journal, per_query, every)
    assert {said[entity, place]: hold for entity, place, hold in mine} == held
    assert len(sky.storms) == storms
    STORMY.add(any(held.values()))


def test_some_of_these_were_storms() -> None:
    assert {False, True} == STORMY or not STORMY


@given(told=st.integers(0, 2**32).map(tape_of), opens=st.booleans())
def test_what_leads_an_alert_is_told_without_making_it(told: Told, opens: bool) -> None:
    points = [point for point, _ in told.points]
    leading = Leading(SIGNALS)
    leads = leading.of([slim(point) for point in points])
    for kind in ATTACKS:
        found = leading.leads(leads.first, leads.own, kind, opens=opens)
        for point, place in zip(points, found.tolist(), strict=True):
            decision = Decision(kind, "open" if opens else "escalate", "low", 1.0, "case", "alert")
            made = alert(Policy("p", {}), point, decision, SIGNALS, promise=NO_PROMISE, profile="p")
            assert leading.names[place] == signal_of(made)
