"""Which attack it is: by a signal that speaks for one kind alone, by what all copying moves, or not at all."""

from __future__ import annotations

import msgspec
import pytest

from detector.evidence.naming import LEAD, LEAST, PLAIN, SURE, USUAL, named
from detector.tape import Exposed, Point
from features import KITS, NUMBERS
from tests.strategies import point

OWN = {"membership": "pursuit.member", "inversion": "pursuit.climb", "evasion": "pursuit.cross"}


def told(odds: dict[str, int], *, share: int = 300, tail: int = 3, exposed: Exposed | None = None) -> Point:
    names = NUMBERS.names
    return point(
        at=0, n=99, level=80, query_id="q", exposed=exposed,
        odds=tuple(odds.get(name, 0) for name in names), evidence=tuple(odds.get(name, 0) for name in names),
        shares=(share,) * len(names), tails=(tail,) * len(names),
    )  # fmt: skip


@pytest.mark.parametrize(("kind", "signal"), OWN.items())
def test_its_own_signal_names_a_kind(kind: str, signal: str) -> None:
    assert named(told({signal: SURE}), NUMBERS.signals) == kind
    assert named(told({signal: SURE, "spacing.nearest": 600, "boundary.margin": 600}), NUMBERS.signals) == kind


@pytest.mark.parametrize(("kind", "signal"), OWN.items())
def test_not_by_little_not_by_few_queries_and_not_by_what_is_missing(kind: str, signal: str) -> None:
    also = {signal: SURE, "spacing.nearest": 200}
    assert named(told(also | {signal: SURE - 1}), NUMBERS.signals) == "extraction"
    assert named(told(also, share=LEAST[kind] - 1), NUMBERS.signals) == "extraction"  # type: ignore[index]
    assert named(told(also, tail=-3), NUMBERS.signals) == "extraction"


def test_plain_evidence_names_also_where_an_odd_honest_client_made_it_less_rare() -> None:
    quiet = told({"pursuit.climb": USUAL})
    loud = msgspec.structs.replace(quiet, evidence=tuple(PLAIN for _ in quiet.odds))
    assert named(quiet, NUMBERS.signals) == "unknown"
    assert named(loud, NUMBERS.signals) == "inversion"


def test_who_is_torn_between_two_names_gives_none() -> None:
    both = {"pursuit.member": SURE + LEAD, "pursuit.climb": SURE + 1}
    assert named(told(both), NUMBERS.signals) == "unknown"
    assert named(told(both | {"pursuit.climb": SURE}), NUMBERS.signals) == "membership"


def test_foreign_inputs_speak_against_evasion_unless_walks_are_odder() -> None:
    assert named(told({"pursuit.cross": 200, "distance.residual": 400}), NUMBERS.signals) == "extraction"
    walks = {"pursuit.cross": 200, "distance.residual": 400, "spacing.step": 450}
    assert named(told(walks), NUMBERS.signals) == "evasion"


def test_what_only_timing_or_conduct_shows_is_unknown() -> None:
    assert named(told({"timing.gap": 500, "conduct.odd": 500}), NUMBERS.signals) == "unknown"
    assert named(told({}), NUMBERS.signals) == "unknown"


def test_what_was_learned_of_the_model_is_extraction() -> None:
    assert named(told({}, exposed=Exposed((0, 90, 0), 50, 100, 900)), NUMBERS.signals) == "extraction"


@pytest.mark.parametrize("kit", KITS.values(), ids=list(KITS))
def test_a_kind_has_at_most_one_signal_that_speaks_for_it_alone(kit: object) -> None:
    alone = [signal.speaks_for for signal in kit.signals if len(signal.speaks_for) == 1]  # type: ignore[attr-defined]
    others = [kinds for kinds in alone if kinds != ("extraction",)]
    assert len(others) == len(set(others))
