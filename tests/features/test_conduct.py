"""How a query was put: counted for whoever put it so, the only thing that is measured of what cannot be read."""

from __future__ import annotations

import numpy as np
import pytest

from detector.profile.artefact import Profile
from detector.query import REUSED, UNREAD, USUAL
from features import NUMBERS, conduct
from tests import people
from tests.asked import asked
from tests.features.oddness import oddness, pool, share_odd, stream
from tests.layouts import CLIENT_ROW

Learned = dict[str, np.ndarray]
ODD = [USUAL, REUSED, UNREAD, USUAL]


def test_it_is_what_admission_said() -> None:
    values, stages = np.empty((4, 1)), np.empty((4, 1), np.int8)
    conduct.FEATURE.measure(asked(4, odd=ODD), np.zeros(1, CLIENT_ROW), {}, values, stages)
    assert values[:, 0].tolist() == ODD
    assert not stages.any()


def test_cuts_lie_between_the_three() -> None:
    assert np.searchsorted(conduct.SIGNALS[0].cuts, [USUAL, REUSED, UNREAD]).tolist() == [0, 1, 2]


def test_of_what_cannot_be_read_nothing_else_is_measured_or_remembered(learned: Learned) -> None:
    x = np.random.default_rng(0).integers(-4_000, 4_000, (4, 16))
    with_it, without = np.zeros(1, CLIENT_ROW), np.zeros(1, CLIENT_ROW)
    batch = asked(4, x=x, odd=ODD)
    values, _ = NUMBERS.measure(batch, with_it, learned)
    expected, _ = NUMBERS.measure(batch.taken(np.array([0, 1, 3])), without, learned)
    own = list(NUMBERS.names).index("conduct.odd")
    assert np.isnan(np.delete(values[2], own)).all()
    assert values[2, own] == UNREAD
    assert values[[0, 1, 3]].tobytes() == expected.tobytes()
    assert with_it.tobytes() == without.tobytes()
    assert [feature.name for feature in NUMBERS.features if feature.unread] == ["conduct"]


# -- under a profile


@pytest.mark.parametrize("how", ["reuses an id", "cannot be read"])
def test_who_hides_so_is_caught(profile: Profile, how: str) -> None:
    inputs = pool(40)
    records = stream("thief", inputs)
    if how == "reuses an id":
        records = [record.replace(b'"thief/%d"' % i, b'"thief/0"') for i, record in enumerate(records)]
    else:
        records = [record[:-1] if i % 2 else record for i, record in enumerate(records)]
    found = oddness(profile, records)
    assert found["thief"]["conduct.odd"] > 2.0


def test_honest_clients_are_left_alone(profile: Profile) -> None:
    assert share_odd(profile, "conduct.odd") == 0.0


def test_who_makes_one_mistake_is_left_alone(profile: Profile) -> None:
    records = people.log_of([q._replace(client="ann", group=None) for q in people.honest(31, 2, volume=80)])
    records[7] = records[7][:-1]
    assert oddness(profile, records)["ann"]["conduct.odd"] < 1.5
