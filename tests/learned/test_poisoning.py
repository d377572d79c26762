"""An attacker who is a fifth of the traffic does not teach his way in."""

from __future__ import annotations

import numpy as np
import pytest

from detector.learned.looks import Look
from detector.learned.successor import InForce, Rules, succeed, supremum_levels
from detector.learned.teaching import Caps, Teaching, keep
from detector.tape import score_of
from tests.learned import population as made
from tests.learned.population import DAY_US, SECRET, Entity
from tests.learned.test_successor import arrived

RULES = Rules(share=0.05, horizon_us=30 * DAY_US)
SUSPICION = 1.1


@pytest.fixture(scope="module")
def now() -> InForce:
    return made.in_force(np.random.default_rng(11), RULES.share)


def found_after(now: InForce, people: list[Entity], thieves: list[Entity]) -> tuple[float, float]:
    """(share of fresh thieves named, share of fresh honest ones) by the successor. Thieves teach as their score lets
    them; those among the judges are gone, since what they do to the threshold is another question.
    """
    teaching, kept = made.epoch(people + thieves, made.named(now, people + thieves, SUSPICION, RULES))
    for thief in thieves:
        kept.judges.pop(thief.ended.key, None)
    after = succeed(now, teaching, kept, RULES, 40 * DAY_US, SECRET)
    rng = np.random.default_rng(99)
    bar = after.threshold.score
    model = after.in_force(now.first)
    shares = []
    for fresh in (made.like(thieves, rng), made.honest(rng, 600, b"f")):
        levels = supremum_levels([made.witnessed(one) for one in fresh], model.model, model.scales, RULES.slope)
        shares.append(float(np.mean([score_of(int(level)) >= bar for level in levels])))
    return shares[0], shares[1]


def test_many_loud_accounts_do_not_teach(now: InForce) -> None:
    rng = np.random.default_rng(31)
    thieves, honest = found_after(now, made.honest(rng, 800), made.loud(rng, 200))
    assert thieves == 1.0
    assert honest < 0.09


def test_many_quiet_accounts_do_not_teach_what_the_model_in_force_suspects(now: InForce) -> None:
    rng = np.random.default_rng(32)
    thieves, honest = found_after(now, made.honest(rng, 800), made.quiet(rng, 200))
    assert thieves > 0.9
    assert honest < 0.09


def test_quiet_accounts_that_do_teach_meet_the_anchors(now: InForce) -> None:
    """The worst case: nobody suspected any of them. Half of what teaches is from before they came."""
    rng = np.random.default_rng(33)
    people, thieves = made.honest(rng, 800), made.quiet(rng, 200)
    teaching, kept = arrived(people + thieves, suspicion=np.inf)
    for thief in thieves:
        kept.judges.pop(thief.ended.key, None)
    share = np.mean([s.key in {one.ended.key for one in thieves} for s in teaching.samples])
    assert share > 0.1
    after = succeed(now, teaching, kept, RULES, 40 * DAY_US, SECRET, [made.witnessed(one) for one in thieves])
    assert not after.automatic or (after.after.attacks or 0.0) > (after.before.attacks or 0.0) - 0.05


def test_one_account_of_huge_volume_has_four_vectors() -> None:
    rng = np.random.default_rng(34)
    teaching = Teaching()
    keep(teaching, [look for one in made.honest(rng, 300) for look in one.looks], SECRET, Caps())
    flood = [Look(b"f" * 16, 16 << j, j, np.full(8, 0.6), 0) for j in range(24)]
    keep(teaching, flood, SECRET, Caps())
    assert sum(s.key == b"f" * 16 for s in teaching.samples) == Caps().entity


def test_an_organisation_of_many_accounts_has_its_share() -> None:
    rng = np.random.default_rng(35)
    teaching = Teaching()
    keep(teaching, [look for one in made.honest(rng, 300) for look in one.looks], SECRET, Caps())
    flood = [Look(i.to_bytes(16, "big"), 16, i, np.full(8, 0.6), 0, b"one company") for i in range(5_000)]
    keep(teaching, flood, SECRET, Caps())
    assert sum(s.unit == b"one company" for s in teaching.samples) == Caps().group
