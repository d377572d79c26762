"""`fit`: what is calibrated is what will score, and what the log cannot carry is refused or said."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

import msgspec
import numpy as np
import pytest

from detector.errors import ProfileError, PromiseRefused
from detector.logs.native import decode_many
from detector.profile import artefact, calibration, fit, honest, sets
from detector.profile.artefact import Profile
from detector.profile.report import report
from detector.profile.training import Training
from detector.tape import Point
from features import NUMBERS
from tests import people
from tests.conftest import HORIZON_US, fitted
from tests.driving import drive, pipeline

SMALL = people.honest(11, 220, days=6.0, life=2.0, volume=18)
SMALL_LOG = people.log_of(SMALL)


@pytest.fixture(scope="module")
def small() -> Profile:
    return fitted(SMALL_LOG)


def stood(log: Sequence[bytes], horizon_us: int | None = HORIZON_US) -> list[str]:
    """The clients that calibrated, drawn as `fit` draws them."""
    survey = honest.survey(lambda: people.chunks(log), decode_many, None)
    end = max(survey.last)
    closed = np.array([horizon_us is None or first + horizon_us <= end for first in survey.first])
    need = calibration.entities_needed(0.05, None)
    drawn = sets.draw(survey.clients, {"organisation": survey.groups_of("organisation")}, closed, 0, [need])
    return [client for client, stands in zip(survey.clients, drawn.stands, strict=True) if stands]


def highest(points: Sequence[Point], kind: str, within_us: int, first: dict[str, int]) -> dict[str, int]:
    """The highest level of the tape of each entity within so long after its first query."""
    found: dict[str, int] = {}
    for point in points:
        if point.kind == kind and point.at - first[point.id] < within_us:
            found[point.id] = max(found.get(point.id, 0), point.level)
    return found


def firsts(asked: Sequence[people.Asked]) -> dict[str, int]:
    """Each client's first time, and the end of each group's first tick."""
    found: dict[str, int] = {}
    for one in asked:
        found.setdefault(one.client, one.at)
        if one.group:
            found.setdefault(one.group, (one.at // 10_000_000 + 1) * 10_000_000)
    return found


# -- the promise holds for what scores


def test_calibration_suprema_are_those_that_production_reaches(profile: Profile, honest_log: list[bytes]) -> None:
    """The client level, within the horizon, across an epoch's end."""
    first = firsts(people.honest(1, 420))
    points = drive(pipeline(profile), people.chunks(honest_log)).points
    reached = highest(points, "client", HORIZON_US, first)
    expected = sorted(reached.get(client, 0) for client in stood(honest_log))
    assert profile.suprema["client"].tolist() == expected


def test_so_they_are_when_records_come_out_of_order_twice_late_or_after_the_horizon() -> None:
    """Fit takes what production takes: else the noise that comes late, or after the horizon, would raise suprema."""
    asked = people.honest(12, 150, days=10.0, starts=0.4, life=3.0)
    first, last = firsts(asked), {q.client: q.at for q in asked}
    log = people.log_of(asked)
    rng = np.random.default_rng(0)
    delivered = [
        (q.at + int(rng.choice([0, 0, HORIZON_US // 8])), record) for q, record in zip(asked, log, strict=True)
    ]
    for client in last:
        late = people.noise(client, n=3, at=last[client] - HORIZON_US // 2 - people.DAY_US)
        delivered += [(last[client] + HORIZON_US // 8 + 1, record) for record in people.log_of(late)]
        after = people.noise(client, n=3, at=first[client] + HORIZON_US + people.DAY_US)
        delivered += [(q.at, record) for q, record in zip(after, people.log_of(after), strict=True)]
    mixed = [record for i, (_, record) in enumerate(sorted(delivered)) for _ in range(1 + (i % 7 == 0))]
    mixed[50:50] = [people.line("c12-0", people.END_US + 1, [0.0] * people.WIDTH)]
    made = fitted(mixed)
    found = drive(pipeline(made), people.chunks(mixed))
    assert {letter.reason for letter in found.letters} == {"late", "future"}
    assert found.counts["retries"] > 100
    asked_first: dict[str, int] = {}
    for query in decode_many(mixed)[0]:
        asked_first.setdefault(query.client or "", query.at)
    reached = highest(found.points, "client", HORIZON_US, asked_first)
    assert made.suprema["client"].tolist() == sorted(reached.get(client, 0) for client in stood(mixed))


def test_groups_are_calibrated_by_what_production_reaches() -> None:
    """With the log's own horizon, exactly."""
    log, first = SMALL_LOG, firsts(SMALL)
    whole = fitted(log, horizon_us=None)
    assert whole.summary.horizon == "log"
    points = drive(pipeline(whole), people.chunks(log)).points
    groups = highest(points, "organisation", 2**62, first)
    standing = set(stood(log, None))
    calibrated = {q.group for q in SMALL if q.client in standing and q.group}
    assert whole.suprema["organisation"].tolist() == sorted(groups.get(group, 0) for group in calibrated)
    clients = highest(points, "client", 2**62, first)
    assert whole.suprema["client"].tolist() == sorted(clients.get(c, 0) for c in standing)


def test_a_groups_horizon_is_covered_by_those_of_its_members(profile: Profile, honest_log: list[bytes]) -> None:
    """A group's window lies in the union of its members' own, so its supremum there is at most the calibrated one."""
    first = firsts(people.honest(1, 420))
    points = drive(pipeline(profile), people.chunks(honest_log)).points
    groups = highest(points, "organisation", HORIZON_US, first)
    standing = set(stood(honest_log))
    calibrated = {q.group for q in people.honest(1, 420) if q.client in standing and q.group}
    reached = sorted(groups.get(group, 0) for group in calibrated)
    assert len(reached) == len(profile.suprema["organisation"])
    assert (np.array(reached) <= profile.suprema["organisation"]).all()


def test_the_same_log_and_seed_give_the_same_profile_however_it_is_read(small: Profile) -> None:
    assert fitted(SMALL_LOG, sizes=[37]).summary.id == small.summary.id
    assert fitted(SMALL_LOG, seed=1).summary.id != small.summary.id


# -- horizons


def test_a_log_shorter_than_the_horizon_is_refused_and_told_what_to_do() -> None:
    with pytest.raises(PromiseRefused, match=r"spans 5\.\d days, the promise is for 30d") as refused:
        fitted(SMALL_LOG, horizon_us=30 * people.DAY_US)
    for way_out in ("--horizon 5d", "--horizon log", "--scale-short-log"):
        assert way_out in str(refused.value)


def test_a_record_from_the_future_does_not_make_a_log_long() -> None:
    with pytest.raises(PromiseRefused, match=r"spans 5\.\d days"):
        fitted([*SMALL_LOG, people.line("c", people.END_US + 1, [0.0] * people.WIDTH)], horizon_us=30 * people.DAY_US)


def test_a_short_log_may_promise_in_proportion() -> None:
    made = fitted(SMALL_LOG, horizon_us=12 * people.DAY_US, scale_short_log=True, promise=0.1)
    days = (max(q.at for q in SMALL) - min(q.at for q in SMALL)) / people.DAY_US
    assert made.summary.promise == pytest.approx(0.1 * days / 12)
    assert any("calibrated at" in remark for remark in made.summary.remarks)
    assert made.summary.horizon == "12d"


def test_the_logs_own_horizon_never_forgets() -> None:
    made = fitted(SMALL_LOG, horizon_us=None)
    assert made.summary.epoch_us > 1_000 * 365 * people.DAY_US


def test_only_closed_windows_calibrate(small: Profile) -> None:
    end = max(q.at for q in SMALL)
    first = firsts(SMALL)
    closed = {q.client for q in SMALL if first[q.client] + HORIZON_US <= end}
    assert len(closed) < len(set(first) - {q.group for q in SMALL})
    assert small.level("client").calibrated <= len(closed)
    assert set(stood(SMALL_LOG)) <= closed


def test_too_few_clients_are_refused_with_the_number_needed() -> None:
    few = [record for q, record in zip(SMALL, SMALL_LOG, strict=True) if int(q.client.split("-")[1]) < 30]
    with pytest.raises(PromiseRefused, match="that takes 99"):
        fitted(few, promise=0.01)


# -- alerts a week instead of a share


def test_alerts_a_week_are_a_promise_in_another_unit(small: Profile) -> None:
    weekly = small.summary.alerts_a_day * 7
    made = fitted(SMALL_LOG, promise=0.5, alerts_per_week=weekly)
    assert made.summary.promise == pytest.approx(0.05)
    assert made.summary.alerts_a_day * 7 == pytest.approx(weekly)
    assert made.level("client").threshold == small.level("client").threshold
    assert f"{weekly / 7:.2g} a day, {weekly:.2g} a week" in "\n".join(report(made))


def test_alerts_a_week_of_a_short_log_are_those_of_the_log(small: Profile) -> None:
    weekly = small.summary.alerts_a_day * 7
    made = fitted(SMALL_LOG, alerts_per_week=weekly, horizon_us=12 * people.DAY_US, scale_short_log=True)
    assert made.summary.alerts_a_day * 7 == pytest.approx(weekly)


def test_too_few_alerts_a_week_are_refused_with_what_is_possible(small: Profile) -> None:
    with pytest.raises(PromiseRefused, match="cannot promise") as refused:
        fitted(SMALL_LOG, alerts_per_week=0.01)
    least, weekly = re.findall(
        r"the least they can carry is ([\d.]+)%, which is ([\d.]+) false alerts", str(refused.value)
    )[0]
    assert float(weekly) == pytest.approx(small.summary.alerts_a_day * 7 * float(least) / 5, rel=0.05)


def test_more_alerts_a_week_than_clients_are_refused() -> None:
    with pytest.raises(PromiseRefused, match="220 came in"):
        fitted(SMALL_LOG, alerts_per_week=10_000.0)


# -- without training data, without answers


@pytest.fixture(scope="module")
def untrained() -> Profile:
    bare = [msgspec.structs.replace(q, probabilities=None) for q in decode_many(SMALL_LOG)[0]]
    log = [people.line(q.client, q.at, q.input, id=q.id, group=(q.groups or {}).get("organisation")) for q in bare]
    return fitted(log, trained=False, horizon_us=None, presumed=True)


def test_without_training_data_honest_traffic_stands_in(untrained: Profile) -> None:
    assert untrained.summary.reference.startswith("honest traffic of ")
    assert untrained.summary.state == "presumed honest"


def test_no_referee_teaches_a_null() -> None:
    survey = honest.survey(lambda: people.chunks(SMALL_LOG), decode_many, None)
    n = len(survey.clients)
    drawn = sets.draw(survey.clients, {}, np.ones(n, np.bool_), 0, [10])
    referees = fit._referees(survey, drawn, None, 0)
    assert (drawn.of[referees] == sets.LEARN).all()
    learners = np.count_nonzero(drawn.of == sets.LEARN)
    assert np.count_nonzero(referees) == learners // 2
    assert not fit._referees(survey, drawn, Training(np.zeros((1, 1)), np.zeros(1, np.int32)), 0).any()


def test_and_all_sets_are_told(untrained: Profile) -> None:
    """Teachers, referees, scalers and calibrators are different clients."""
    level = untrained.level("client")
    referees = int(untrained.summary.reference.split()[3])
    assert level.learned > 0
    assert level.learned + referees + level.scaled + level.calibrated <= untrained.summary.clients


def test_a_signal_that_the_log_does_not_carry_is_off_and_listed(untrained: Profile) -> None:
    off = {one.signal: one for one in untrained.summary.off}
    labels = {"spacing.class", "spacing.other", "entropy.label"}
    leaked = {"exposure.agreement", "exposure.answers"}
    pursued = {"pursuit.member", "pursuit.climb", "pursuit.cross"}  # without a training file, labels, probabilities
    others = {"boundary.margin", "entropy.confidence", "distance.roughness", "joint.blend"}
    assert set(off) == others | labels | pursued | leaked
    assert "harvesters" in off["exposure.answers"].hides
    assert "probabilities" in off["boundary.margin"].reason
    assert "line searches" in off["boundary.margin"].hides
    index = list(NUMBERS.names).index("boundary.margin")
    assert not untrained.laws["client"].active[index]
    records = people.log_of(people.noise("thief"))  # answers that come later change nothing
    points = drive(pipeline(untrained), people.chunks(records)).points
    assert points
    assert all(point.evidence[index] == 0 for point in points)


def test_all_signals_are_on_where_the_log_carries_them(profile: Profile) -> None:
    assert [one.signal for one in profile.summary.off] == ["distance.roughness"]  # these inputs are no images


# -- those taken out


def with_attackers(n: int) -> list[bytes]:
    asked = [q for i in range(n) for q in people.noise(f"bad{i}", seed=i, group=f"b{i}")]
    late = [q._replace(client="end", at=people.START_US + 6 * people.DAY_US) for q in people.noise("end", n=1)]
    return people.log_of(people.in_order([*SMALL, *asked, *late]))


def test_who_is_taken_out_is_disclosed_and_counts_as_never_passed() -> None:
    log = with_attackers(2)
    contaminated = fitted(log, promise=0.1)
    cleaned = fitted(log, promise=0.1, exclude=frozenset({"bad0", "bad1", "never there"}))
    before, after = contaminated.level("client"), cleaned.level("client")
    assert (before.excluded, after.excluded) == (0, 2)
    assert after.smallest == pytest.approx(3 / (after.calibrated + 3))
    assert after.rank == int(np.ceil((1 - after.share) * (after.calibrated + 3) - 1e-9))
    assert any("never there" in remark for remark in cleaned.summary.remarks)
    assert after.rank is not None
    passed = (after.calibrated + 1 - after.rank + 2) / (after.calibrated + 1)
    assert f"up to {passed:.2%} pass" in "\n".join(report(cleaned))
    assert "taken out" not in "\n".join(report(contaminated))
    odd = {one.id for one in after.oddest}
    assert not odd & {"bad0", "bad1"}


def test_attackers_in_the_log_are_among_its_oddest() -> None:
    log = with_attackers(8)
    made = fitted(log, promise=0.1)
    standing = set(stood(log)) & {f"bad{i}" for i in range(8)}
    oddest = made.level("client").oddest
    assert len(oddest) == 10
    assert [one.score for one in oddest] == sorted((one.score for one in oddest), reverse=True)
    assert standing <= {one.id for one in oddest}
    assert all(one.text.startswith(("Its queries", "1", "2", "3", "4", "5", "6", "7", "8", "9")) for one in oddest)


@pytest.mark.parametrize("which", [0, -1])
def test_a_group_of_which_a_client_was_taken_out_is_taken_out(small: Profile, which: int) -> None:
    """Whichever of its clients comes last in the log."""
    groups: dict[str | None, list[str]] = {}
    for q in SMALL:
        groups.setdefault(q.group, [])
        groups[q.group] += [q.client] if q.client not in groups[q.group] else []
    siblings = next(clients for group, clients in groups.items() if group and len(clients) == 2)
    level = fitted(SMALL_LOG, exclude=frozenset({siblings[which]})).level("organisation")
    before = small.level("organisation")
    assert level.excluded == 1
    assert level.learned + level.scaled + level.calibrated == before.learned + before.scaled + before.calibrated - 1


# -- groups


def test_groups_that_can_carry_a_promise_get_a_fifth_of_it(profile: Profile) -> None:
    client, group = profile.level("client"), profile.level("organisation")
    assert (client.share, group.share) == (pytest.approx(0.04), pytest.approx(0.01))
    assert set(profile.summary.policy.thresholds) == {"client", "organisation", "ring"}


def test_a_group_level_that_cannot_only_observes(small: Profile) -> None:
    level = small.level("organisation")
    assert (level.share, level.threshold) == (None, None)
    assert "observes only" in level.note
    assert small.level("client").share == pytest.approx(0.05)
    assert set(small.summary.policy.thresholds) == {"client"}
    ring = [q._replace(client=f"r{i % 12}", group="ring") for i, q in enumerate(people.noise("r", n=60))]
    found = drive(pipeline(small), people.chunks(people.log_of(ring)))
    assert any(point.kind == "organisation" for point in found.points)
    assert not any(alert.entity.kind == "organisation" for alert in found.alerts)


def test_too_few_groups_are_no_level_and_said() -> None:
    few = [q._replace(group="one") for q in SMALL]
    made = fitted(people.log_of(few))
    assert [level.kind for level in made.summary.levels] == ["client"]
    assert any("too few groups" in remark for remark in made.summary.remarks)


def test_a_group_that_nobody_logs_is_refused() -> None:
    with pytest.raises(ProfileError, match="no client of the log has a group team; groups seen: organisation"):
        fitted(SMALL_LOG, groups=("team",))


# -- logs that cannot be learned from


def test_an_empty_log_is_refused() -> None:
    with pytest.raises(ProfileError, match="no readable query with a client"):
        fitted([b"{", people.line(None, people.START_US, [1.0])])


@pytest.mark.parametrize("trained", [True, False])
@pytest.mark.parametrize("clients", [1, 2, 5])
def test_a_handful_of_clients_is_refused_in_words(clients: int, trained: bool) -> None:
    log = people.log_of(people.honest(50 + clients, clients))
    with pytest.raises(ProfileError):
        fitted(log, trained=trained, horizon_us=None)


def test_inputs_of_another_width_than_the_training_data_are_refused() -> None:
    with pytest.raises(ProfileError, match="none of the log's inputs has the 20 numbers"):
        fitted([people.line(f"c{i}", people.START_US + i * people.DAY_US, [1.0]) for i in range(40)])


def test_clients_who_all_ask_the_same_are_refused() -> None:
    same = [q._replace(input=np.full(people.WIDTH, 0.1)) for q in SMALL]
    with pytest.raises(ProfileError, match="nothing to learn from"):
        fitted(people.log_of(same), trained=False)


def test_what_could_not_be_read_is_counted() -> None:
    odd: list[Any] = [b"{", people.line(None, people.START_US, [1.0]), people.line("c11-1", people.START_US, [1.0])]
    made = fitted([*odd, *SMALL_LOG, people.line("c", people.START_US, [1.0], model="another")])
    assert (made.summary.unreadable, made.summary.unidentified) == (2, 1)
    assert any("another" in remark for remark in made.summary.remarks)
    assert made.summary.model == people.MODEL


def test_the_policy_rises_with_severity(profile: Profile) -> None:
    for level in profile.summary.levels:
        steps = profile.summary.policy.thresholds[level.kind]
        if level.share is None:
            assert steps == ()
            continue
        assert [one.severity for one in steps] == ["medium", "high", "critical"]
        assert [one.score for one in steps] == sorted({one.score for one in steps})
        assert steps[0].score == level.threshold


def test_a_profile_is_named_by_what_it_holds(profile: Profile) -> None:
    assert artefact.identify(profile).summary.id == profile.summary.id
    assert profile.summary.id
    assert isinstance(profile.suprema["client"], np.ndarray)


def test_a_few_odd_records_do_not_decide_the_width() -> None:
    """They come first, one from each of many clients."""
    odd = [people.line(f"c11-{i}", people.START_US, [1.0, 2.0], id=f"odd{i}") for i in range(100)]
    made = fitted([*odd, *SMALL_LOG], trained=False, horizon_us=None)
    assert made.summary.width == people.WIDTH
    assert made.summary.unreadable == 100
