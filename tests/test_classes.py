"""Entity classes: who is declared no person is judged by his class, keeps his counts, and is found when he turns."""

from __future__ import annotations

import msgspec
import numpy as np
import pytest
from hypothesis import given, settings

from detector.classes import PEOPLE, Declared
from detector.errors import SettingsError
from detector.policy import Budget, Dated, Declaration, Policy, level_of_class
from detector.profile.artefact import Profile
from detector.profile.classing import classes_of, read_membership
from detector.query import Query
from detector.settings import PolicySettings, settings_of
from tests import people, strategies
from tests.conftest import fitted
from tests.driving import Outcome, drive, pipeline

LATER = people.START_US + 300 * people.DAY_US
MACHINES = 100
PEOPLE_ASKED = 240


def machine(client: str, seed: int, n: int = 80, at: int = people.START_US) -> list[people.Asked]:
    """A script that asks rough copies of natural inputs, one a minute: no person does."""
    rng = np.random.default_rng([seed, 77])
    inputs = people.natural(rng, np.full(people.KINDS, 1 / people.KINDS), np.zeros(6), 0.02, n)
    inputs += rng.uniform(0.1, 0.2) * rng.choice([-1.0, 1.0], people.WIDTH)
    return [people.Asked(at + i * people.MINUTE_US, client, None, row) for i, row in enumerate(inputs)]


def declared(name: str, id_: str, *, kind: str = "client", until: int = LATER, hard: int = 10**6) -> Declaration:
    return Declaration(name, kind, id_, until, hard, "ann", "bob", "a nightly job")  # type: ignore[arg-type]


def policy(profile: Profile, *declarations: Declaration) -> Policy:
    return msgspec.structs.replace(profile.summary.policy, version="classes", classes=declarations)


def run(profile: Profile, asked: list[people.Asked], *declarations: Declaration, **more: Budget) -> Outcome:
    in_force = msgspec.structs.replace(policy(profile, *declarations), **more)
    return drive(pipeline(profile, [Dated(0, in_force)]), people.chunks(people.log_of(people.in_order(asked))))


def opened(found: Outcome) -> set[str]:
    return {a.entity.id for a in found.alerts if a.kind == "extraction" and a.action == "open"}


@pytest.fixture(scope="module")
def of_few() -> Profile:
    """Of people, and of three machines, too few for a law of their own."""
    asked = people.honest(1, PEOPLE_ASKED) + [q for i in range(3) for q in machine(f"svc-{i}", i)]
    return fitted(people.log_of(people.in_order(asked)), classes=tuple(_of_machines(3)))


@pytest.fixture(scope="module")
def of_many() -> Profile:
    asked = people.honest(1, PEOPLE_ASKED) + [q for i in range(MACHINES) for q in machine(f"svc-{i}", i)]
    return fitted(people.log_of(people.in_order(asked)), classes=tuple(_of_machines(MACHINES)))


def _of_machines(n: int):  # type: ignore[no-untyped-def]
    return [read_membership(f"automation=client:svc-{i}") for i in range(n)]


# -- who is of a class


def asking(client: str, at: int = 0, **groups: str) -> Query:
    return Query(at, client, "m", [1.0], groups=groups)


def test_a_clients_own_declaration_comes_before_its_groups_and_all_end() -> None:
    found = Declared(
        [declared("automation", "acme", kind="organisation"), declared("backend", "gate", until=50)],
    )
    assert found.of(asking("a", organisation="acme")) == "automation"
    assert found.of(asking("gate", 49, organisation="acme")) == "backend"
    assert found.of(asking("gate", 50)) == PEOPLE
    assert found.of(asking("b", organisation="other")) == PEOPLE


def test_a_class_in_the_honest_log_is_named_by_client_or_group() -> None:
    asked = [read_membership(text) for text in ("backend=organisation:acme", "automation=client:a")]
    assert classes_of(["a", "b", "c"], {"organisation": [{"acme"}, {"acme"}, set()]}, asked).tolist() == [0, 1, -1]


@pytest.mark.parametrize(
    ("text", "says"),
    [("automation", "write NAME=client:ID"), ("robots=client:a", "automation"), ("backend=client:", "write NAME=")],
)
def test_what_is_no_class_is_refused_with_what_would_be(text: str, says: str) -> None:
    with pytest.raises(SettingsError, match=says):
        read_membership(text)


def test_it_takes_two_people_an_end_and_a_budget() -> None:
    entry = {"name": "automation", "id": "svc", "until": "2027-01-01T00:00:00Z", "hard": 100, "by": "ann"}
    entry |= {"reason": "a nightly job"}
    rest = {"source": {"type": "stdin"}}
    for missing in ("until", "hard", "approved_by"):
        broken = {key: value for key, value in (entry | {"approved_by": "bob"}).items() if key != missing}
        with pytest.raises(SettingsError, match=missing):
            settings_of(rest | {"policy": {"classes": [broken]}})
    alone = settings_of(rest | {"policy": {"classes": [entry | {"approved_by": "Ann"}]}})
    with pytest.raises(SettingsError, match="cannot agree with himself"):
        alone.policy.over({})
    both = settings_of(rest | {"policy": {"classes": [entry | {"approved_by": "bob"}]}})
    assert both.policy.over({}).classes[0].approved_by == "bob"
    assert PolicySettings().over({}).classes == ()


# -- how they are judged


def test_a_machine_is_named_as_a_person_and_left_alone_as_what_it_is(of_few: Profile, of_many: Profile) -> None:
    for profile in (of_few, of_many):
        assert opened(run(profile, machine("new", 999))) == {"new"}
        assert opened(run(profile, machine("new", 999), declared("automation", "new"))) == set()


def test_few_of_a_class_borrow_and_many_get_a_law_and_a_promise(of_few: Profile, of_many: Profile) -> None:
    few, many = (profile.level(level_of_class("automation")) for profile in (of_few, of_many))
    assert few.share is None
    assert few.note.startswith("borrows from people: 3 clients of the class are too few")
    assert many.share == of_many.level("client").share
    assert many.calibrated >= 40
    fresh = [q for i in range(60) for q in machine(f"new-{i}", 1_000 + i)]
    named = opened(run(of_many, fresh, *(declared("automation", f"new-{i}") for i in range(60))))
    assert len(named) <= 0.15 * 60  # 5% promised; beta-binomial


def test_a_machine_that_turns_is_named_in_its_class(of_few: Profile, of_many: Profile) -> None:
    for profile in (of_few, of_many):
        turned = machine("svc", 5) + people.children("svc", seed=3, at=people.START_US + people.DAY_US)
        found = run(profile, turned, declared("automation", "svc"))
        assert opened(found) == {"svc"}
        first = next(a for a in found.alerts if a.action == "open")
        assert first.queries > 80
        assert first.entity.of_class == "automation"


def test_its_hard_budget_holds(of_few: Profile) -> None:
    found = run(of_few, machine("svc", 5), declared("automation", "svc", hard=64), budget=Budget(soft=10))
    assert [(a.kind, a.severity, a.queries) for a in found.alerts if a.kind == "budget"] == [("budget", "high", 64)]


def test_whoever_joins_a_class_keeps_his_counts(of_many: Profile) -> None:
    """Who poses as automation after he attacked is no newcomer there."""
    asked = people.noise("svc", n=60)
    plain, of_class = run(of_many, asked), run(of_many, asked, declared("automation", "svc"))
    counts = [
        np.frombuffer(found.rows[("client", "svc")], of_many.entities("client").dtype)[0]["counts"].tolist()
        for found in (plain, of_class)
    ]
    assert counts[0] == counts[1]
    half = Declaration("automation", "client", "svc", asked[30].at, 10**6, "ann", "bob", "ends")
    assert opened(run(of_many, asked, half)) == {"svc"}


@settings(max_examples=20)
@given(sizes=strategies.cuts)
def test_cutting_a_stream_of_several_classes_changes_nothing(of_many: Profile, sizes: list[int]) -> None:
    asked = people.in_order(
        [q for i in range(3) for q in machine(f"svc-{i}", i, n=30)] + people.noise("thief", n=30) + people.honest(9, 3)
    )
    records, until = people.log_of(asked), asked[40].at
    classes = policy(of_many, declared("automation", "svc-0"), declared("backend", "svc-1"),
                     declared("automation", "thief", until=until))  # fmt: skip
    whole, cut = (drive(pipeline(of_many, [Dated(0, classes)]), people.chunks(records, of)) for of in ([1_000], sizes))
    assert replace_held(whole) == replace_held(cut)


def replace_held(found: Outcome) -> tuple[object, ...]:
    return found.alerts, found.points, found.rows
