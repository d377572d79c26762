"""A classifier that learns from verdicts orders cases; it says nothing before it knows both answers."""

from __future__ import annotations

from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from detector.learned.kinds import CLASSIFIERS, Step
from detector.learned.triage import ANSWERS, LEAST, SEQUENCE, Answer, Evidence, Triage, evidence_of, taught, vector
from detector.tape import Exposed, Point

NAMES = ("spacing.nearest", "timing.regularity")


def evidence(spacing: int, timing: int, *, queries: int = 64) -> Evidence:
    return Evidence(NAMES, (spacing, timing), (spacing, timing), (), 0, queries, 40, "extraction")


COPIER, SCRIPT = evidence(400, 0), evidence(0, 400)
JUDGED: Sequence[tuple[Evidence, Answer]] = [(COPIER, "attack"), (SCRIPT, "automation")] * LEAST
evidences = st.builds(evidence, st.integers(-500, 5000), st.integers(-500, 5000), queries=st.integers(1, 10**9))
verdicts = st.lists(st.tuples(evidences, st.sampled_from(ANSWERS)), max_size=60)


def test_what_was_called_an_attack_stands_before_what_was_not() -> None:
    triage = taught(JUDGED)
    copier, script = triage.word(COPIER), triage.word(SCRIPT)
    assert copier is not None
    assert script is not None
    assert copier.probability > 0.8 > 0.2 > script.probability
    assert copier.verdicts == 2 * LEAST


def test_it_says_what_speaks_for_which_answer() -> None:
    word = taught(JUDGED).word(SCRIPT)
    assert word is not None
    assert {part.name: part.decibans < 0 for part in word.because} == dict.fromkeys(NAMES, True)


def test_contributions_of_a_linear_model_sum_to_its_word() -> None:
    from math import log10

    triage = taught(JUDGED)
    word, mean = triage.word(COPIER, most=99), triage.word(evidence(400, 0, queries=64), most=0)
    assert word is not None
    assert mean is not None
    assert mean.because == ()
    usual = 10 * log10(word.probability / (1 - word.probability)) - sum(part.decibans for part in word.because)
    again = triage.word(SCRIPT, most=99)
    assert again is not None
    other = 10 * log10(again.probability / (1 - again.probability)) - sum(part.decibans for part in again.because)
    assert usual == pytest.approx(other)


@pytest.mark.parametrize("answer", ANSWERS)
def test_one_answer_alone_is_no_knowledge(answer: Answer) -> None:
    assert taught([(COPIER, answer)] * 20).word(COPIER) is None


def test_it_speaks_when_it_knows_enough_of_both() -> None:
    fewer = [*[(COPIER, "attack")] * LEAST, *[(SCRIPT, "honest")] * (LEAST - 1)]
    assert taught(fewer).word(COPIER) is None
    assert taught([*fewer, (SCRIPT, "honest")]).word(COPIER) is not None


@given(verdicts, evidences)
def test_the_same_verdicts_give_the_same_bits_and_asking_changes_nothing(
    given_: list[tuple[Evidence, Answer]], of: Evidence
) -> None:
    asked = Triage()
    for one, answer in given_:
        asked.word(of)
        asked.learn(one, answer)
    word = asked.word(of)
    assert word == taught(given_).word(of) == taught([one for one in given_ if one[1] != "unsure"]).word(of)
    assert word is None or 0.0 < word.probability < 1.0


@pytest.mark.parametrize("kind", CLASSIFIERS)
def test_every_classifier_that_is_listed_can_be_taught(kind: str) -> None:
    word = taught(JUDGED, Step(kind)).word(COPIER)
    assert word is not None
    assert 0.0 < word.probability < 1.0


def test_evidence_of_a_point_is_a_vector_of_the_same_names_with_exposure_and_without() -> None:
    point = Point(b"k" * 16, "m", "client", "c", 7, 32, 64, "q", evidence=(900, -3), odds=(300, -20), sequence=150)
    known = Point(
        b"k" * 16, "m", "client", "c", 7, 32, 64, "q", evidence=(1, 2), odds=(3, 4), exposed=Exposed((9, 8, 7), 5, 4, 3)
    )
    found = evidence_of(point, NAMES)
    assert (found.signals, found.odds, found.evidence, found.sequence) == (NAMES, (300, -20), (900, -3), 150)
    assert list(vector(found)) == list(vector(evidence_of(known, NAMES)))
    assert vector(found)["queries"] == 5.0
    assert vector(found)["timing.regularity"] < 0 < vector(found)[SEQUENCE]
