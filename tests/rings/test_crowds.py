"""A copier behind many accounts is named as a ring; honest crowds that ask alike are not."""

from __future__ import annotations

import msgspec
import numpy as np
import pytest

from detector.digest import digest
from detector.logs.native import decode_many
from detector.policy import Dated, Policy, Storm, Threshold
from detector.profile.artefact import Profile
from detector.profile.report import report
from tests import people
from tests.driving import Outcome, drive, pipeline

SCORE = 2.0


def judged(profile: Profile, asked: list[people.Asked], *, among: int = 40) -> Outcome:
    """By an operator who set a threshold for rings, among honest clients."""
    policy = Policy("own", {"ring": (Threshold("medium", SCORE),)}, storm=Storm(at_least=0))
    log = people.log_of(people.in_order([*people.honest(11, among), *asked]))
    return drive(pipeline(profile, [Dated(0, policy)]), people.chunks(log))


def rings(found: Outcome) -> list[str]:
    return [alert.entity.id for alert in found.alerts if alert.kind == "ring" and alert.action == "open"]


def one_assignment(
    pupils: int, *, group: str | None, name: str = "pupil", queries: int = 20, seed: int = 3, own_mix: bool = False
) -> list[people.Asked]:
    """All ask of one kind, with one pen; `own_mix`: each of kinds of its own."""
    rng = np.random.default_rng(seed)
    mix, pen = np.eye(people.KINDS)[1], rng.normal(0.0, 0.3, 6)
    found = []
    for pupil in range(pupils):
        mix = rng.dirichlet(np.full(people.KINDS, 2.0)) if own_mix else mix
        inputs = people.natural(rng, mix, pen, 0.02, queries)
        at = people.START_US + pupil * 1_000_000 + np.arange(queries) * people.MINUTE_US
        found += [people.Asked(int(t), f"{name}-{pupil}", group, row) for t, row in zip(at, inputs, strict=True)]
    return found


def dealt(asked: list[people.Asked], accounts: int) -> list[people.Asked]:
    """The same queries, each account asking in its turn."""
    return [query._replace(client=f"ring-{i % accounts}", group=None) for i, query in enumerate(asked)]


@pytest.mark.parametrize("accounts", [12, 30])
def test_a_copier_behind_many_accounts_is_named_as_one_ring_with_its_members(profile: Profile, accounts: int) -> None:
    found = judged(profile, dealt(people.children("thief", n=20 * accounts), accounts))
    assert len(set(rings(found))) == 1
    points = [point for point in found.points if point.kind == "ring"]
    whole = max(points, key=lambda point: point.level)
    assert whole.accounts == accounts
    assert all(member.startswith("ring-") for member in whole.members)
    assert points[-1].level == 0  # it fell silent for a horizon, and is let go
    alert = next(alert for alert in found.alerts if alert.kind == "ring")
    assert alert.promise.share is None
    assert alert.reasons[-1].signal == "ring.accounts"
    assert f"{len(alert.entity.members or ())}" in alert.reasons[-1].text
    assert "accounts" in alert.message


@pytest.mark.parametrize("group", ["school", None])
def test_a_classroom_with_one_assignment_is_no_ring(profile: Profile, group: str | None) -> None:
    assert not rings(judged(profile, one_assignment(30, group=group)))


def test_two_accounts_of_one_app_are_no_ring(profile: Profile) -> None:
    assert not rings(judged(profile, one_assignment(2, group=None, name="app", queries=150)))


def test_one_big_organisation_is_no_ring(profile: Profile) -> None:
    """All work with one program, each on matters of its own."""
    assert not rings(judged(profile, one_assignment(60, group="big", queries=30, own_mix=True), among=10))


def test_honest_clients_are_no_ring(profile: Profile) -> None:
    assert not rings(judged(profile, [], among=150))


def test_without_a_threshold_of_the_operators_own_nobody_is_told(profile: Profile) -> None:
    log = people.log_of(dealt(people.children("thief", n=400), 20))
    found = drive(pipeline(profile), people.chunks(log))
    assert any(point.kind == "ring" for point in found.points)
    assert not [alert for alert in found.alerts if alert.kind == "ring"]


def test_the_digest_lists_rings_with_how_many_accounts_they_are(profile: Profile) -> None:
    log = people.log_of(dealt(people.children("thief", n=400), 20))
    (ring,) = [one for one in digest(profile, people.chunks(log), decode_many).ranked if one.kind == "ring"]
    assert ring.as_high == 0
    assert ring.calibrated == profile.level("ring").calibrated
    assert ring.reasons[-1].text.startswith("20 accounts")


def test_the_report_says_in_how_many_populations_and_promises_nothing(profile: Profile) -> None:
    level = profile.level("ring")
    assert (level.share, level.threshold) == (None, None)
    assert level.smallest == 1 / (level.calibrated + 1)
    (line,) = [line for line in report(profile) if f"0 in {level.calibrated} populations" in line]
    assert "promises little" in line


def test_members_are_not_listed_where_the_operator_says_so(profile: Profile) -> None:
    log = people.log_of(dealt(people.children("thief", n=400), 20))
    found = drive(pipeline(profile, unnamed_members=["ring"]), people.chunks(log))
    points = [point for point in found.points if point.kind == "ring"]
    assert points
    assert not any(point.members for point in points)
    assert all(point.accounts for point in points if point.level)
    assert msgspec.json.encode(points[0])
