"""A thief who adapts asks exactly as much, and differently: nearer to his own images, in order, narrower, slower."""

from __future__ import annotations

import numpy as np
import pytest

from detector.errors import SettingsError
from detector.query import F64
from detector.redteam import World, attack_named, read_campaign, simulate
from detector.redteam.campaigns import GROUPS, campaigns, plain_of
from detector.redteam.manners import MANNERS, Manner

BUDGET = 120


class Counted:
    """A victim that remembers what it was asked."""

    def __init__(self, world: World) -> None:
        self._victim = world.victim
        self.rows: list[F64] = []

    def ask(self, inputs: F64) -> F64:
        self.rows += list(inputs)
        return self._victim.ask(inputs)


def asked(name: str, manner: Manner | None, world: World, budget: int = BUDGET) -> F64:
    attack = attack_named(name).run
    counted = Counted(world)
    run = manner.adapt(attack) if manner else attack
    blocks = list(run(counted.ask, world.thief.pixels, np.random.default_rng(7), budget))
    told = np.concatenate([block[0] for block in blocks])
    assert np.array_equal(told, np.array(counted.rows))  # what is logged is what was asked, in order
    return told


def manner(name: str) -> Manner:
    return next(one for one in MANNERS if one.name == name)


def gaps(a: F64, b: F64) -> F64:
    out: F64 = np.linalg.norm(a[:, None] - b[None], axis=2)
    return out


@pytest.mark.parametrize("attack", ["uniform", "line-search", "jacobian", "harvest", "data-free", "equivalent"])
@pytest.mark.parametrize("name", [one.name for one in MANNERS])
def test_asks_its_budget_inside_the_input_space_and_by_the_seed(name: str, attack: str, world: World) -> None:
    x = asked(attack, manner(name), world)
    assert x.shape == (BUDGET, 64)
    assert ((x >= 0) & (x <= 1)).all()
    assert np.array_equal(x, asked(attack, manner(name), world))


@pytest.mark.parametrize("name", [one.name for one in MANNERS])
def test_one_query_is_enough(name: str, world: World) -> None:
    assert asked("jacobian", manner(name), world, 1).shape == (1, 64)


def test_the_filter_holds_noise_back_and_lets_harvesting_pass(world: World) -> None:
    own = gaps(asked("uniform", manner("filtered"), world), world.thief.pixels).min(axis=1)
    assert np.quantile(own, 0.9) < 0.5 * np.median(gaps(asked("uniform", None, world), world.thief.pixels).min(axis=1))
    assert (gaps(asked("harvest", manner("filtered"), world), world.thief.pixels).min(axis=1) < 1e-6).all()


def test_sorted_queries_follow_from_each_other(world: World) -> None:
    steps = {
        m: np.linalg.norm(np.diff(asked("harvest", m, world), axis=0), axis=1).mean() for m in (manner("sorted"), None)
    }
    assert steps[manner("sorted")] < 0.75 * steps[None]


def test_spaced_queries_lie_as_far_apart_as_natural_ones(world: World) -> None:
    def typical(x: F64) -> float:
        apart = gaps(x, x)
        return float(np.median([apart[i, :i].min() for i in range(20, len(x))]))

    natural = typical(world.thief.pixels[:BUDGET])
    plain, adapted = (typical(asked("blends", m, world)) for m in (None, manner("spaced")))
    assert abs(adapted - natural) < abs(plain - natural)


def test_a_narrow_mix_has_fewer_classes(world: World) -> None:
    def common(x: F64) -> float:
        counts = np.bincount(world.victim.ask(x).argmax(axis=1), minlength=10)
        return float(np.sort(counts)[-3:].sum() / counts.sum())

    assert common(asked("harvest", manner("narrow"), world)) > common(asked("harvest", None, world)) + 0.2


def test_slow_ones_take_the_whole_span(world: World) -> None:
    traffic = simulate(world, seed=1, honest=0, attackers={"harvest": 1, "harvest+slow": 1}, budget=100)
    spans = {truth: np.ptp(traffic.at[traffic.of(client)]) for client, truth in traffic.truth.items()}
    assert spans["harvest+slow"] > 0.9 * 30 * 86_400e6


def test_manners_come_one_after_the_other() -> None:
    campaign = read_campaign("jacobian+filtered+sorted@10%/5")
    assert [one.name for one in campaign.manners] == ["filtered", "sorted"]
    assert (campaign.share, campaign.accounts, campaign.slow) == (0.1, 5, False)


@pytest.mark.parametrize("wrong", ["jacobian+", "jacobian+sortd", "jacobian@10%+sorted", "+sorted"])
def test_a_wrong_manner_is_refused(wrong: str) -> None:
    with pytest.raises(SettingsError):
        read_campaign(wrong)


def test_the_plain_campaign_stands_beside_the_adapted_one() -> None:
    wanted, skipped = campaigns("harvest+sorted@10%,uniform+slow", picture=True)
    assert wanted == ["harvest@10%", "harvest+sorted@10%", "uniform+slow"]
    assert not skipped
    assert plain_of("a+b+c@3%/7") == "a@3%/7"


def test_all_are_all_forms_of_all_attacks() -> None:
    wanted, skipped = campaigns("all", picture=True)
    assert len(wanted) + len(skipped) == len(set(wanted)) + len(skipped)
    assert {one for group in GROUPS if group != "all" for one in campaigns(group, picture=True)[0]} == set(wanted)


def test_what_asks_pictures_is_not_run_on_rows_of_numbers() -> None:
    wanted, skipped = campaigns("textures,uniform", picture=False)
    assert wanted == ["uniform"]
    assert [one.campaign for one in skipped] == ["textures"]
