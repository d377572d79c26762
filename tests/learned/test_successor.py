"""The next model: it keeps the promise round after round, and asks a person when something is going on."""

from __future__ import annotations

import msgspec
import numpy as np
import pytest
from scipy.stats import beta, betabinom

from detector.errors import PromiseRefused
from detector.learned.successor import InForce, Rules, Successor, succeed
from detector.learned.teaching import Teaching
from detector.learned.witnesses import Witness, Witnesses
from detector.profile.calibration import rank_of, threshold
from detector.tape import score_of
from tests.learned import population as made
from tests.learned.population import DAY_US, SECRET, Entity

H = 30 * DAY_US
RULES = Rules(share=0.05, horizon_us=H)


def arrived(people: list[Entity], suspicion: float = 1.1) -> tuple[Teaching, Witnesses]:
    """What an epoch leaves behind, all in one tick: ticks are tested elsewhere."""
    return made.epoch(people, {one.ended.key for one in people if one.kernel >= suspicion})


def close(now: InForce, people: list[Entity], rules: Rules = RULES, **of: object) -> Successor:
    teaching, kept = arrived(people)
    return succeed(now, teaching, kept, rules, 40 * DAY_US, SECRET, **of)  # type: ignore[arg-type]


@pytest.fixture(scope="module")
def now() -> InForce:
    return made.in_force(np.random.default_rng(11), RULES.share)


def witnesses_of(people: list[Entity]) -> list[Witness]:
    return [made.witnessed(one) for one in people]


def test_of_an_unchanged_population_it_takes_over_by_itself(now: InForce) -> None:
    people = made.honest(np.random.default_rng(12), 900)
    found = close(now, people, attacks=witnesses_of(made.quiet(np.random.default_rng(13), 50)))
    assert found.automatic
    assert found.why_not == ()
    assert found.after.judges == len(found.suprema) == found.threshold.entities
    assert found.after.attacks is not None
    assert found.after.attacks > 0.8
    m, k = now.threshold.entities, now.threshold.rank  # what was in force is a draw, too
    law = betabinom(found.before.judges, m + 1 - k, k)
    assert law.ppf(0.005) <= found.before.named <= law.ppf(0.995)


def test_a_snapshot_brings_it_back_and_it_scores_the_same(now: InForce) -> None:
    found = close(now, made.honest(np.random.default_rng(12), 500))
    again = msgspec.msgpack.decode(msgspec.msgpack.encode(found), type=Successor)
    assert again == found
    vector = np.linspace(0, 1, len(made.SIGNALS))
    assert again.in_force(now.first).model.score(vector) == found.in_force(now.first).model.score(vector)


def test_it_does_not_depend_on_the_order_of_arrival(now: InForce) -> None:
    people = made.honest(np.random.default_rng(12), 500)
    assert close(now, people) == close(now, people[::-1])


def test_judges_whose_horizon_is_open_do_not_calibrate(now: InForce) -> None:
    early, late = (made.honest(np.random.default_rng(s), 400, name, s * DAY_US) for s, name in ((1, b"e"), (25, b"l")))
    assert close(now, early + late).after.judges == close(now, early).after.judges


def test_judges_of_which_no_end_is_known_do_not_calibrate(now: InForce) -> None:
    people = made.honest(np.random.default_rng(12), 400)
    teaching, kept = arrived(people)
    for unit in list(kept.judges)[::2]:
        kept.judges[unit] = msgspec.structs.replace(kept.judges[unit], kernel=None)
    found = succeed(now, teaching, kept, RULES, 40 * DAY_US, SECRET)
    assert found.after.judges == len(kept.judges) // 2


def test_attackers_among_the_judges_need_a_person(now: InForce) -> None:
    rng = np.random.default_rng(12)
    found = close(now, made.honest(rng, 800) + made.loud(rng, 200))
    assert not found.automatic
    assert "more than the" in found.why_not[0]
    assert found.threshold.score > now.threshold.score  # nobody is left out for a high score


def test_verdicts_count_as_never_passed_and_too_many_refuse(now: InForce) -> None:
    rng = np.random.default_rng(12)
    people, thieves = made.honest(rng, 800), made.loud(rng, 20)
    plain = close(now, people)
    judged = close(now, people + thieves, verdicts={one.ended.key for one in thieves})
    assert judged.taken_out > 0
    assert judged.threshold.score >= plain.threshold.score - 0.2
    assert judged.threshold.rank == rank_of(0.05, plain.after.judges, judged.taken_out)
    many = made.loud(rng, 300)
    with pytest.raises(PromiseRefused, match="taken out"):
        close(now, people + many, verdicts={one.ended.key for one in many})


def test_a_moved_population_needs_a_person(now: InForce) -> None:
    found = close(now, made.honest(np.random.default_rng(12), 900, moved=1.5))
    assert not found.automatic
    assert found.before.named > 2 * RULES.share * found.before.judges


def test_a_little_less_each_epoch_is_a_loss_against_the_first(now: InForce) -> None:
    people = made.honest(np.random.default_rng(12), 900)
    few = witnesses_of(made.quiet(np.random.default_rng(13), 50, low=0.3, high=0.5))
    assert close(now, people, attacks=few).automatic
    once_better = now._replace(first=msgspec.structs.replace(now.first, attacks=1.0))
    assert "of the kept attacks it finds" in close(once_better, people, attacks=few).why_not[0]


def test_the_policy_may_ask_for_approval(now: InForce) -> None:
    rules = msgspec.structs.replace(RULES, approval=True)
    assert close(now, made.honest(np.random.default_rng(12), 500), rules).why_not == ("the policy asks for approval",)


# -- no ratchet


def after_rounds(rounds: int, *, leave_out: bool) -> tuple[float, list[float]]:
    """The honest share named after rounds of recalibration on clients that are drawn anew, and in each round. With
    `leave_out`, judges that the threshold in force names do not judge: the mistake that `succeed` does not make.
    """
    rng = np.random.default_rng(5)
    m, share = 1_500, 0.01
    population = np.sort((16 + rng.exponential(40.0, 200_000)).astype(np.int64))
    fired, passed = threshold(np.sort(rng.choice(population, m)), share), []
    for _ in range(rounds):
        judges = np.sort(rng.choice(population, m))
        if leave_out:
            judges = judges[[score_of(int(level)) < fired.score for level in judges]]
        fired = threshold(judges, share)
        passed.append(float(np.mean([score_of(int(level)) >= fired.score for level in population[::40]])))
    return passed[-1], passed


def test_twenty_rounds_keep_the_share_and_leaving_out_would_not() -> None:
    law = beta(1_501 - 1_486, 1_486)
    last, passed = after_rounds(20, leave_out=False)
    assert last <= law.ppf(0.999)
    assert float(np.mean(passed)) == pytest.approx(0.01, abs=4 * law.std() / np.sqrt(20))
    assert after_rounds(20, leave_out=True)[0] > 0.05


@pytest.mark.slow
def test_twenty_rounds_of_the_whole_keep_the_honest_share(now: InForce) -> None:
    """Model, scales and threshold anew each time, on clients drawn anew; asked of fresh ones."""
    rng = np.random.default_rng(21)
    passed = made.rounds(now, rng, 20, RULES, clients=700)
    judges, named = (np.array([one[i] for one in passed]) for i in (0, 1))
    assert named.mean() == pytest.approx(RULES.share, abs=0.012)
    assert named[-5:].mean() < beta(RULES.share * judges[-1], judges[-1]).ppf(0.99)
