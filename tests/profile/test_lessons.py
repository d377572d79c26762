"""What the joint signal is taught: nobody who taught it speaks for the honest, and the profile says what it sees."""

from __future__ import annotations

import numpy as np

from detector.exposure.exposed import unexposed
from detector.learned import made
from detector.profile import lessons
from detector.profile.artefact import Profile
from detector.profile.learn import Measured
from detector.profile.report import report
from features import NUMBERS
from tests import people
from tests.features.oddness import oddness, share_odd, stream

CLIENTS = [f"c{i}" for i in range(200)]


def test_who_teaches_the_copy_does_not_teach_the_trees_and_most_teach_neither() -> None:
    learners = np.arange(200) < 120
    imagining, teaching = lessons.drawn(CLIENTS, learners, 5)
    assert not (imagining & teaching).any()
    assert not ((imagining | teaching) & ~learners).any()
    assert np.count_nonzero(imagining | teaching) == 60
    assert not lessons.drawn(CLIENTS, np.arange(200) < lessons.FEWEST - 1, 5)[1].any()


def test_queries_of_clients_that_taught_are_out_of_sight_in_that_signal_alone() -> None:
    n, width = 40, len(NUMBERS.signals)
    zeros = np.zeros(n, np.int64)
    columns = zeros, np.ones((n, width)), np.zeros((n, width), np.int8), np.zeros((n, 5)), unexposed(n)
    measured = Measured(NUMBERS, np.arange(n), np.arange(n) % 4, *columns)
    taught = lessons.Lessons(None, None, {}, np.array([True, False, False, True]), None)  # type: ignore[arg-type]
    hidden = np.isnan(lessons.out_of_sight(measured, taught).values)
    assert hidden[:, NUMBERS.names.index(lessons.SIGNAL)].tolist() == (np.isin(measured.owner, [0, 3])).tolist()
    assert hidden.sum() == 20
    assert not np.isnan(measured.values).any()


def test_a_profile_says_what_its_joint_signal_sees(profile: Profile) -> None:
    kinds = {one.kind: one for one in profile.summary.seen}
    assert [one.kind for one in profile.summary.seen if one.taught] == [made.BLEND]
    assert kinds[made.BLEND].share > 0.05
    assert any(line.startswith("  joint.blend, beyond what 99%") for line in report(profile))


def test_honest_clients_that_it_never_saw_are_left_alone(profile: Profile) -> None:
    assert share_odd(profile, lessons.SIGNAL) <= 0.07


def test_blends_of_distant_inputs_are_caught(profile: Profile) -> None:
    rng = np.random.default_rng(9)
    inputs = people.natural(rng, np.full(people.KINDS, 1 / people.KINDS), np.zeros(6), 0.02, 400)
    halfway = 0.5 * inputs[:200] + 0.5 * inputs[200:]
    found = oddness(profile, stream("between", halfway))
    assert found["between"][lessons.SIGNAL] > 1.0
