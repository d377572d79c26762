"""What-if: what the columns say is what `decide` says, asked about every point of the tape."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec
import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from detector.alert import ATTACKS, SEVERITIES
from detector.dashboard.whatif.columns import Columns, Gathering, Slim
from detector.dashboard.whatif.trial import in_full, trial
from detector.decide import NO_CASE, Case, Decision, decide
from detector.policy import (
    Budget,
    Dated,
    Declaration,
    ExposureBudget,
    Maintenance,
    Policy,
    Suppression,
    Threshold,
    in_force,
)
from detector.tape import Exposed, Point, level_of
from tests import people, strategies

KINDS = (("client", ""), ("client", "automation"), ("organisation", ""), ("ring", ""))


def columns_of(points: Sequence[Point], cuts: int = 1) -> Columns:
    """The points, taken in so many parts."""
    gathering = Gathering()
    for part in range(cuts):
        gathering.take((slim(point), None) for point in points[part::cuts])
    return gathering.columns


def slim(point: Point) -> Slim:
    return msgspec.msgpack.decode(msgspec.msgpack.encode(point), type=Slim)


def asked_of_all(
    points: Sequence[Point], journal: Sequence[Dated], alerts_from: int = 0
) -> list[tuple[Point, Decision]]:
    """As the pipeline asks: about every point, each under the policy of its time."""
    cases: dict[bytes, Case] = {}
    found = []
    for point in points:
        if point.at < alerts_from:
            continue
        cases[point.key], decision = decide(in_force(journal, point.at), cases.get(point.key, NO_CASE), point)
        if decision is not None:
            found.append((point, decision))
    return found


SCORES = (0.75, 0.9, 1.0, 1.25, 2.0, 3.5, 6.0)
LEVELS = (0, 24, *(level_of(score) + step for score in SCORES for step in (-1, 0, 2)), level_of(0.8 * 2.0))
HOUR_US = 3_600_000_000
GAPS = (0, 1, 300_000_000, 300_000_000, HOUR_US // 2, HOUR_US, 20 * HOUR_US)
MOMENTS = st.integers(0, 30).map(lambda hours: people.START_US + hours * HOUR_US)


ENTITIES, MOST = 40, 40


def tape_of(seed: int) -> list[Point]:
    """Points of many entities, about the thresholds and the times of the policies; no clock runs back."""
    rng = np.random.default_rng(seed)
    found = []
    for place in range(ENTITIES):
        (kind, of_class), at, n = KINDS[place % len(KINDS)], people.START_US, 1
        for _ in range(int(rng.integers(MOST))):
            at, n = at + int(rng.choice(GAPS)), n + int(rng.choice([0, 1, 1, 40]))
            budget = bool(rng.random() < 0.4)
            clone = int(rng.choice([-1, 0, 299, 300, 801]))
            found.append(
                Point(
                    _key(place), "m", kind, f"e{place}", at, n, 0 if budget else int(rng.choice(LEVELS)), f"q{n}",
                    int(rng.choice([50, 100, 101, 200, 300])), budget,
                    exposed=None if budget or kind != "client" or clone < 0 else Exposed((), 20, clone, 0),
                    attack=ATTACKS[int(rng.integers(len(ATTACKS)))],
                    of_class=of_class,
                )
            )  # fmt: skip
    return sorted({(p.key, p.n, p.budget): p for p in found}.values(), key=lambda p: (p.at, p.n, p.budget, p.key))


def _key(place: int) -> bytes:
    return place.to_bytes(16, "big")


tapes = st.integers(0, 2**32).map(tape_of)


@st.composite
def thresholds(draw: st.DrawFn) -> tuple[Threshold, ...]:
    names = sorted(draw(st.sets(strategies.severities, min_size=1, max_size=3)), key=SEVERITIES.index)
    heights = sorted(draw(st.lists(st.sampled_from(SCORES), min_size=len(names), max_size=len(names))))
    return tuple(map(Threshold, names, heights))


entities = st.integers(0, ENTITIES - 1).map(lambda place: (KINDS[place % len(KINDS)][0], f"e{place}"))
policies = st.builds(
    Policy,
    st.sampled_from("ab"),
    st.fixed_dictionaries({"client": thresholds()}, optional={g: thresholds() for g in ("client:automation", "ring")}),
    st.sampled_from((0.0, 0.1, 600.0, 5_400.0, 86_400.0, 1e300)),
    st.lists(st.builds(lambda who, until: Suppression(*who, until, "made"), entities, MOMENTS), max_size=2).map(tuple),
    st.sampled_from((Budget(), Budget(100, None), Budget(100, 200), Budget(None, 300))),
    st.lists(st.builds(lambda a, b: Maintenance(min(a, b), max(a, b), "made"), MOMENTS, MOMENTS), max_size=1).map(
        tuple
    ),
    exposure=st.sampled_from(
        (ExposureBudget(), ExposureBudget(0.3), ExposureBudget(0.3, 0.8), ExposureBudget(None, 0.3))
    ),
    classes=st.sampled_from(((), (Declaration("automation", "client", "e1", 2**60, 101, "ann", "bob", "made"),))),
)
journals = st.lists(st.builds(Dated, MOMENTS, policies), min_size=1, max_size=3).map(
    lambda found: sorted(found, key=lambda dated: dated.since)
)


@settings(max_examples=40)
@given(tape=tapes, journal=journals, cuts=st.integers(1, 3), later=st.sampled_from((0, people.START_US + 10**10)))
def test_a_trial_decides_what_decide_does(tape: list[Point], journal: list[Dated], cuts: int, later: int) -> None:
    columns = columns_of(tape, cuts)
    asked = asked_of_all(tape, journal, later)
    assert sorted(found_by(columns, journal, later)) == sorted(map(ruled, asked))
    in_their_own = [in_full(columns, journal, entity, later) for entity in range(columns.entities)]
    assert sorted(decision for found in in_their_own for _, decision in found) == sorted(told for _, told in asked)


def found_by(columns: Columns, journal: Sequence[Dated], alerts_from: int = 0) -> list[tuple[object, ...]]:
    found = trial(columns, journal, alerts_from)
    assert found.entity.tolist() == columns.points.entity[found.place].tolist()
    asked = [columns.point(place) for place in found.place.tolist()]
    rulings = [found.rulings[ruling] for ruling in found.ruling.tolist()]
    return [(*ruling, point.kind, point.id, point.n) for ruling, point in zip(rulings, asked, strict=True)]


def ruled(one: tuple[Point, Decision]) -> tuple[object, ...]:
    point, decision = one
    said = decision.kind, decision.action, decision.severity, decision.threshold
    return (*said, point.kind, point.id, point.n)
