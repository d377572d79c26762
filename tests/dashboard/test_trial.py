"""What-if: what the columns say is what `decide` says, asked about every point of the tape."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec
from hypothesis import given
from hypothesis import strategies as st

from detector.alert import ATTACKS
from detector.dashboard.whatif.columns import Columns, Gathering, Slim
from detector.dashboard.whatif.trial import in_full, trial
from detector.decide import NO_CASE, Case, Decision, decide
from detector.policy import Dated, in_force
from detector.tape import Point
from tests import people, strategies

KINDS = (("client", ""), ("client", "automation"), ("organisation", ""), ("ring", ""))
WHO = [(f"{i}".encode() * 16, KINDS[i % 4][0], f"e{i}", KINDS[i % 4][1]) for i in range(5)]


def columns_of(points: Sequence[Point], cuts: int = 1) -> Columns:
    """The points, taken in so many parts."""
    gathering = Gathering()
    for part in range(cuts):
        gathering.take(slim(point) for point in points[part::cuts])
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


@st.composite
def tapes(draw: st.DrawFn) -> list[Point]:
    """Points of a few entities, each with a clock that never runs back; scores walk, so that there are runs."""
    found = []
    for key, kind, id_, of_class in draw(st.lists(st.sampled_from(WHO), max_size=4, unique=True)):
        at, n = people.START_US, 0
        for step in draw(st.lists(_steps, max_size=14)):
            gap, more, level, budget, asked, exposed, attack = step
            at, n = at + gap, n + more
            found.append(
                Point(
                    key, "m", kind, id_, at, n, 0 if budget else level, f"q{n}", asked, budget,
                    exposed=None if budget or kind != "client" else exposed,
                    attack=attack,
                    of_class=of_class,
                )
            )  # fmt: skip
    return sorted({(p.key, p.n, p.budget): p for p in found}.values(), key=lambda p: (p.at, p.n, p.budget, p.key))


_steps = st.tuples(
    st.sampled_from((0, 1_000_000, 300_000_000, 3_600_000_000, 90_000_000_000)),
    st.integers(1, 80),
    st.sampled_from((0, 24, 26, 30, 40, 80, 128, 140, 200, 400)),
    st.sampled_from((False, False, False, True)),
    st.integers(50, 400),
    st.none() | strategies.leaked,
    st.sampled_from(ATTACKS),
)
journals = strategies.journals(strategies.policies(st.sampled_from([(w[1], w[2]) for w in WHO])))


@given(tape=tapes(), journal=journals, cuts=st.integers(1, 3), later=st.sampled_from((0, people.START_US + 10**10)))
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
