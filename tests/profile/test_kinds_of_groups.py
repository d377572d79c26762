"""Every kind of groups that the log names is a level of its own, and all promises together are no more than the one."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec
import pytest
from hypothesis import given, settings

from detector.errors import ProfileError
from detector.profile.artefact import Profile
from tests import people, strategies
from tests.conftest import fitted
from tests.driving import drive, pipeline


def records(asked: Sequence[people.Asked], **kinds: str | None) -> list[bytes]:
    """Each client has its organisation, a network of that, and a session an hour; `kinds` are more."""
    found = []
    for one, line in zip(asked, people.log_of(asked), strict=True):
        record = msgspec.json.decode(line)
        own = {"subnet": one.group and f"net-{one.group}", "session": f"{one.client}/{one.at // 3_600_000_000}"}
        record["groups"] = {"organisation": one.group} | own | kinds
        found.append(msgspec.json.encode(record))
    return found


@pytest.fixture(scope="module")
def many() -> Profile:
    """A promise of 10%, so that 420 clients carry two kinds of groups beside."""
    return fitted(records(people.honest(2, 420, volume=15)), promise=0.1, horizon_us=None)


def test_each_kind_that_joins_clients_is_a_level_with_a_share_of_the_promise(many: Profile) -> None:
    shares = {level.kind: level.share for level in many.summary.levels}
    assert many.summary.groups == ("organisation", "subnet")
    assert shares == {
        "client": pytest.approx(0.08),
        "organisation": pytest.approx(0.01),
        "subnet": pytest.approx(0.01),
    }
    assert many.level("client").unit == "organisation and subnet"
    assert set(many.laws) == set(many.suprema) == set(many.summary.policy.thresholds) == set(shares)


def test_what_names_clients_again_is_no_level_and_said(many: Profile) -> None:
    assert any("session" in remark and "hardly join" in remark for remark in many.summary.remarks)


def test_the_kinds_to_judge_can_be_chosen() -> None:
    log = records(people.honest(2, 240, volume=15))
    assert fitted(log, promise=0.1, horizon_us=None, groups=("subnet",)).summary.groups == ("subnet",)
    with pytest.raises(ProfileError, match="no client of the log has a group team"):
        fitted(log, promise=0.1, horizon_us=None, groups=("team",))


def test_a_kind_that_lies_across_the_first_observes_only() -> None:
    """Its groups have members in all three sets, so nothing of it was measured on strangers."""
    asked = people.honest(2, 330, volume=20)
    across = {client: f"room-{i % 90}" for i, client in enumerate(dict.fromkeys(q.client for q in asked))}
    log = []
    for one, line in zip(asked, records(asked), strict=True):
        record = msgspec.json.decode(line)
        record["groups"] = {"organisation": one.group, "room": across[one.client]}
        log.append(msgspec.json.encode(record))
    made = fitted(log, promise=0.1, horizon_us=None)
    assert {level.kind: level.share for level in made.summary.levels} == {
        "client": pytest.approx(0.08),
        "organisation": pytest.approx(0.02),
        "room": None,
    }
    assert "observes only" in made.level("room").note


def test_an_attack_over_many_organisations_of_one_network_names_the_network(many: Profile) -> None:
    ring = [q._replace(client=f"r{i % 20}", group=f"o{i % 20}") for i, q in enumerate(people.noise("r", n=80))]
    found = drive(pipeline(many), people.chunks(records(ring, subnet="net-ring")))
    named = [alert for alert in found.alerts if alert.entity.kind == "subnet"]
    assert {alert.entity.id for alert in named} == {"net-ring"}
    assert all(alert.entity.members is None for alert in named)  # behind a network may be a whole office


@settings(max_examples=15)
@given(sizes=strategies.cuts)
def test_batches_and_restarts_change_no_level(many: Profile, sizes: list[int]) -> None:
    log = records(people.in_order([*people.honest(5, 12, volume=20), *people.noise("thief", group="o5-1")]))
    straight, broken = pipeline(many), pipeline(many)
    whole = drive(straight, people.chunks(log))
    for chunk in people.chunks(log, sizes):
        broken.advance(chunk)
        state, again = broken.state(), pipeline(many)
        for table, new in zip(broken.tables, again.tables, strict=True):
            for slot, id_ in enumerate(table.ids):
                new.restore(id_, table.rows[slot].tobytes())
        again.restore(state)
        again.cases.update(broken.cases)
        broken = again
    broken.tick()
    assert {t.kind: sorted(t.ids) for t in broken.tables} == {t.kind: sorted(t.ids) for t in straight.tables}
    for table in broken.tables:
        for slot, id_ in enumerate(table.ids):
            assert table.rows[slot].tobytes() == whole.rows[(table.kind, id_)]
