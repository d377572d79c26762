"""The sequence model in a profile: what it was taught on is said, it is kept, and sweeps are named for it."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from detector.evidence.law import LEAD
from detector.learned import sweeps
from detector.logs.native import decode_many
from detector.profile import fit, sequencing
from detector.profile.artefact import Profile, load, save
from detector.profile.report import report
from detector.reasons import SWEEP
from tests.driving import drive, pipeline
from tests.test_text import OPTIONS, chunk, person, sweep

CLIENTS = 220  # of whom 3 in 10 teach


@pytest.fixture(scope="module")
def taught() -> Profile:
    log = chunk(*(person(i) for i in range(CLIENTS)))
    return fit.fit(lambda: iter([log]), decode_many, None, OPTIONS, lambda text: None)


@pytest.mark.slow
def test_every_made_kind_was_left_out_once_and_the_worst_comes_first(taught: Profile) -> None:
    swept = taught.summary.swept
    assert {(one.kind, one.share) for one in swept if one.share == 1.0} == {
        (kind, 1.0) for kind in ("shuffled", "topic", "form", "sorted")
    }
    assert {one.share for one in swept} == {1.0, *sweeps.SHARES}
    assert [one.seen for one in swept] == sorted(one.seen for one in swept)
    assert next(one for one in swept if (one.kind, one.share) == ("shuffled", 1.0)).seen > 0.5
    assert any(line.startswith("Sequence model: taught on ") for line in report(taught))


@pytest.mark.slow
def test_time_and_conduct_weigh_nothing_and_order_does(taught: Profile) -> None:
    weights = dict(zip(taught.kit.names, taught.laws["client"].sequence, strict=True))
    for name, of in weights.items():
        assert of.any() == (
            not name.startswith(sequencing.UNTAUGHT) and taught.laws["client"].active[list(weights).index(name)]
        )
    assert np.abs(weights["follow.order"]).sum() > 0


@pytest.mark.slow
def test_a_profile_that_was_saved_says_the_same(taught: Profile, tmp_path: Path) -> None:
    save(taught, tmp_path)
    again = load(tmp_path)
    assert again.summary == taught.summary
    assert again.laws["client"].sequence.tobytes() == taught.laws["client"].sequence.tobytes()
    stream = chunk(sweep(1), person(300))
    assert drive(pipeline(again), [stream]).points == drive(pipeline(taught), [stream]).points


@pytest.mark.slow
def test_sweeps_are_named_for_it_and_people_are_not(taught: Profile) -> None:
    found = drive(pipeline(taught), [chunk(*(person(i) for i in range(300, 320)), *(sweep(i) for i in range(8)))])
    named = {alert.entity.id: alert for alert in (*found.alerts, *found.held) if alert.kind == "extraction"}
    assert {f"sweep-{i}" for i in range(8)} <= set(named)
    assert len([client for client in named if client.startswith("person")]) <= 3
    assert np.median([named[f"sweep-{i}"].queries for i in range(8)]) <= 45
    assert any(reason.signal == SWEEP for alert in named.values() for reason in alert.reasons)


def test_numbers_have_a_model_of_their_own_sweeps(profile: Profile) -> None:
    swept = {(one.kind, one.share): one for one in profile.summary.swept}
    kinds = {"unsure", "blends", "children", "walks"}
    assert set(swept) == {(kind, share) for kind in kinds for share in (1.0, *sweeps.SHARES)}
    assert swept["walks", 1.0].seen > 0.5
    law = profile.laws["client"]
    taught = [name for name, of in zip(profile.kit.names, law.sequence, strict=True) if of.any()]
    assert {"joint.blend", "spacing.nearest", "boundary.margin"} <= set(taught)
    assert not any(name.startswith(sequencing.UNTAUGHT) for name in taught)
    assert law.heard[LEAD] == sequencing.LEADS["numbers"]


def test_few_clients_teach_no_model_and_the_profile_says_so() -> None:
    log = chunk(*(person(i) for i in range(60)))
    profile = fit.fit(lambda: iter([log]), decode_many, None, OPTIONS, lambda text: None)
    assert not profile.summary.swept
    assert not profile.laws["client"].sequence.any()
    assert any("no sequence model" in remark for remark in profile.summary.remarks)
