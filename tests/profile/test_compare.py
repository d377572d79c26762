"""Two profiles side by side: what differs is said, and what does not differ has not moved."""

from __future__ import annotations

from dataclasses import replace

import msgspec
import numpy as np
import pytest

from detector.profile.artefact import Profile
from detector.profile.compare import compare, moves
from tests import people
from tests.conftest import fitted


@pytest.fixture(scope="module")
def other() -> Profile:
    """Of other clients, without training data and without the probabilities that the margin needs."""
    return fitted(people.log_of(people.honest(2, 420), probabilities=False), trained=False, promise=0.1)


def test_a_profile_has_not_moved_from_itself(profile: Profile) -> None:
    found = moves(profile, profile)
    assert {one.signal for one in found} == set(profile.summary.signals) - {off.signal for off in profile.summary.off}
    assert all(one.moved == 0.0 and one.low[0] == one.low[1] and one.high[0] == one.high[1] for one in found)
    far = next(one for one in found if one.signal == "distance.nearest")
    assert all(0.005 < share < 0.015 for share in (far.low[0], far.high[0]))


def test_honest_traffic_that_goes_further_out_is_seen_to_move(profile: Profile) -> None:
    law = profile.laws["client"]
    signal = profile.summary.signals.index("distance.nearest")
    edges = law.edges.copy()
    edges[signal] *= 2.0
    further = replace(profile, laws={"client": law._replace(edges=edges)})
    first, *rest = moves(profile, further)
    assert first.signal == "distance.nearest"
    assert first.moved > 0.5
    assert first.high[1] > 0.3 > 0.001 > first.low[1]
    assert all(one.moved == 0.0 for one in rest)
    back = next(one for one in moves(further, profile) if one.signal == "distance.nearest")
    assert back.low[1] > 0.1
    assert back.high[1] < 0.001


def test_what_differs_stands_side_by_side(profile: Profile, other: Profile) -> None:
    lines = compare(profile, other)
    rows = {line.split("  ")[0]: line for line in lines}
    assert lines[0].split() == [profile.summary.id, other.summary.id]
    assert "5.00%, measured" in rows["promise"]
    assert "10.00%, measured" in rows["promise"]
    assert "honest traffic of" in rows["training distribution"]
    for which in (profile, other):
        assert f"{which.summary.policy.thresholds['client'][0].score:.2f}" in rows["client: medium from"]
    assert any(line.startswith("  boundary.margin: on before; off now") for line in lines)
    assert any(line.startswith("  boundary.margin: off before") for line in compare(other, profile))


def test_profiles_of_different_models_are_said_to_be(profile: Profile) -> None:
    summary = msgspec.structs.replace(profile.summary, model="another")
    other = replace(profile, summary=summary)
    assert compare(profile, other)[-1] == "Note: they judge different models."
    assert compare(profile, profile)[-1] != "Note: they judge different models."


def test_all_shares_lie_between_none_and_all(profile: Profile, other: Profile) -> None:
    found = np.array([[one.moved, *one.low, *one.high] for one in moves(profile, other) + moves(other, profile)])
    assert ((found >= 0.0) & (found <= 1.0)).all()
