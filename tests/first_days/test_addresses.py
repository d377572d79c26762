"""Who shares an address shares nothing else: it is named, and those behind it are not."""

from __future__ import annotations

import pytest

from detector.alert import UNNAMED
from detector.profile.artefact import Profile
from detector.settings import settings_of
from tests import people
from tests.driving import Outcome, drive, pipeline

ACCOUNTS = [f"account-{i}" for i in range(8)]
ATTACK = people.in_order(
    one for i, name in enumerate(ACCOUNTS) for one in people.noise(name, seed=i, n=40, group="203.0.113.0/24")
)


def driven(profile: Profile, **options: object) -> Outcome:
    return drive(pipeline(profile, **options), people.chunks(people.log_of(ATTACK)))


@pytest.fixture(scope="module")
def named(profile: Profile) -> Outcome:
    """The made log calls its group an organisation; here that is an address."""
    return driven(profile, unnamed_members=("organisation",))


def test_an_address_is_named_without_those_behind_it(named: Outcome) -> None:
    alerts = [alert for alert in named.alerts if alert.entity.kind == "organisation"]
    assert {alert.entity.id for alert in alerts} == {"203.0.113.0/24"}
    assert {alert.entity.members for alert in alerts} == {None}


def test_nor_does_the_tape_that_is_kept_name_them(named: Outcome) -> None:
    points = [point for point in named.points if point.kind == "organisation"]
    assert points
    assert not any(point.members for point in points)


def test_nothing_else_changes(profile: Profile, named: Outcome) -> None:
    listed = driven(profile)
    assert any(point.members for point in listed.points if point.kind == "organisation")
    assert [(a.id, a.score) for a in listed.alerts] == [(a.id, a.score) for a in named.alerts]
    assert listed.rows == named.rows


def test_each_behind_it_is_still_judged_alone(named: Outcome) -> None:
    assert set(ACCOUNTS) <= {alert.entity.id for alert in [*named.alerts, *named.held]}


def test_addresses_are_unnamed_unless_one_says_otherwise() -> None:
    source = {"source": {"type": "stdin"}}
    assert settings_of(source).entities.unnamed_members == UNNAMED
    assert {"subnet", "ip", "address"} <= set(UNNAMED)
    assert settings_of({**source, "entities": {"unnamed_members": []}}).entities.unnamed_members == ()
