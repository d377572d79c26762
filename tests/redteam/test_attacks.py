"""Every attack spends its budget inside the input space, and does what its name says."""

from __future__ import annotations

import importlib.util

import numpy as np
import pytest

from detector.query import F64
from detector.redteam import ATTACKS, World, attack_named
from detector.redteam.attacks.contract import Attack
from detector.redteam.attacks.dilution import dilute
from detector.redteam.campaigns import PACKAGES
from detector.redteam.substitute import Substitute
from detector.redteam.victim import train_victim

BUDGET = 600


def run(name: str, world: World, budget: int = BUDGET) -> tuple[F64, F64]:
    blocks = list(attack_named(name).run(world.victim.ask, world.thief.pixels, np.random.default_rng(5), budget))
    return np.concatenate([b[0] for b in blocks]), np.concatenate([b[1] for b in blocks])


def nearest(a: F64, b: F64) -> F64:
    """Distance of each row of a to its nearest row of b."""
    squares = (a * a).sum(1)[:, None] - 2 * a @ b.T + (b * b).sum(1)
    out: F64 = np.sqrt(np.maximum(squares.min(axis=1), 0.0))
    return out


def margin(probabilities: F64) -> F64:
    top = np.sort(probabilities, axis=1)
    out: F64 = top[:, -1] - top[:, -2]
    return out


@pytest.mark.parametrize("budget", [1, 7, 150, 333])
@pytest.mark.parametrize("attack", ATTACKS, ids=lambda a: a.name)
def test_spends_its_budget_inside_the_input_space(attack: Attack, world: World, budget: int) -> None:
    if attack.extra and not importlib.util.find_spec(PACKAGES[attack.extra]):
        pytest.skip(f"needs the extra [{attack.extra}]")
    x, p = run(attack.name, world, budget)
    assert x.shape == (budget, 64)
    assert ((x >= 0) & (x <= 1)).all()
    assert np.allclose(p, world.victim.ask(x))


def test_names_are_unique() -> None:
    assert len({a.name for a in ATTACKS}) == len(ATTACKS)


def test_uniform_noise_is_flat(world: World) -> None:
    x, _ = run("uniform", world)
    assert np.allclose(np.histogram(x, bins=4, range=(0, 1))[0] / x.size, 0.25, atol=0.01)


def test_the_generator_moves_towards_confident_and_varied_answers(world: World) -> None:
    x, p = run("data-free", world, 2000)
    assert len(np.unique(p[-400:].argmax(1))) >= len(np.unique(p[:100].argmax(1)))
    assert np.corrcoef(x[:300, 27], x[:300, 28])[0, 1] != pytest.approx(0, abs=0.02)  # structured, not noise
    assert len(np.unique(np.round(x, 4), axis=0)) == len(x)


def test_dfme_asks_pairs_a_thousandth_apart(world: World) -> None:
    x, _ = run("dfme", world)
    gaps = np.linalg.norm(x[1:64:2] - x[0:64:2], axis=1)
    assert ((gaps > 0) & (gaps <= 1e-3 + 1e-12)).all()


def test_photographs_are_smooth_and_far_from_digits(world: World) -> None:
    pytest.importorskip("PIL")
    x, _ = run("foreign", world)
    steps = np.abs(np.diff(x.reshape(-1, 8, 8), axis=2)).mean()
    assert steps < 0.5 * np.abs(np.diff(world.pool.pixels.reshape(-1, 8, 8), axis=2)).mean()
    assert np.median(nearest(x, world.pool.pixels)) > 1.3 * np.median(nearest(world.thief.pixels, world.pool.pixels))


def test_textures_have_flat_areas(world: World) -> None:
    x, _ = run("textures", world)
    assert (np.diff(x.reshape(-1, 8, 8), axis=2) == 0).mean() > 0.3


def test_line_search_ends_on_the_boundary(world: World) -> None:
    _, p = run("line-search", world)
    assert np.median(margin(p)) < 0.3 < np.median(margin(world.victim.ask(world.thief.pixels)))


def test_jacobian_children_are_surer_of_their_class_than_random_ones(world: World) -> None:
    """x + lambda * sign(J) climbs the class of x: the copy's gradient must carry over to the victim."""
    sure = {name: run(name, world, 300)[1][150:].max(axis=1).mean() for name in ("jacobian", "random-step")}
    assert sure["jacobian"] > sure["random-step"] + 0.05


@pytest.mark.parametrize("name", ["jacobian", "random-step"])
def test_children_are_a_step_from_a_seed(name: str, world: World) -> None:
    x, _ = run(name, world, 300)
    assert (nearest(x[:150], world.thief.pixels) < 1e-6).all()
    children = nearest(x[150:], x[:150])
    assert (children > 0.1).all()
    assert (children <= 0.1 * 8 * 1.6).all()


def test_active_learning_asks_what_is_less_certain_than_the_pool(world: World) -> None:
    _, p = run("active-natural", world, 200)
    assert margin(p[60:]).mean() < margin(world.victim.ask(world.thief.pixels)).mean()


def test_blends_lie_between_natural_images(world: World) -> None:
    x, _ = run("blends", world)
    lengths = np.linalg.norm(world.thief.pixels, axis=1)
    assert np.median(nearest(x, world.thief.pixels)) > 0.3
    assert np.linalg.norm(x, axis=1).mean() < lengths.mean()


def test_harvest_asks_natural_images_each_once_a_round(world: World) -> None:
    x, _ = run("harvest", world, len(world.thief.pixels))
    assert (nearest(x, world.thief.pixels) < 1e-6).all()
    assert len(np.unique(x, axis=0)) == len(x)


def test_dilution_hides_the_share_in_order(world: World) -> None:
    def cover(n: int, rng: np.random.Generator) -> F64:
        return np.zeros((n, 64))

    attack = dilute(attack_named("uniform").run, cover, 0.3)
    ((x, _),) = attack(world.victim.ask, world.thief.pixels, np.random.default_rng(1), 100)
    is_attack = x.any(axis=1)
    assert is_attack.sum() == 30
    assert not is_attack[:30].all()


def test_the_substitute_learns_and_its_gradient_is_right(world: World) -> None:
    rng = np.random.default_rng(0)
    x, p = world.thief.pixels, world.victim.ask(world.thief.pixels)
    student = Substitute(64, 10, rng)
    student.fit(x, p, epochs=40)
    assert (student.predict(world.pool.pixels).argmax(1) == world.victim.ask(world.pool.pixels).argmax(1)).mean() > 0.8
    at, step = np.eye(10)[[3]], 1e-6 * np.eye(64)[[20]]
    slope = (student.predict(x[:1] + step) - student.predict(x[:1] - step))[0, 3] / 2e-6
    assert student.gradient(x[:1], at)[0, 20] == pytest.approx(slope, rel=1e-4, abs=1e-8)


def test_targeted_children_move_towards_another_class(world: World) -> None:
    """The share of the class that a seed's child is sent to rises: the largest of the others, on average."""
    second = {
        name: np.sort(run(name, world, 300)[1][150:], axis=1)[:, -2].mean()
        for name in ("jacobian-targeted", "jacobian")
    }
    assert second["jacobian-targeted"] > second["jacobian"] + 0.05


def test_the_policy_comes_to_ask_more_of_what_pays(world: World) -> None:
    """A victim that is sure of gratings alone: their kinds are asked more often at the end than by chance."""

    def ask(inputs: F64) -> F64:
        first, last = inputs[:, :32].std(axis=1), inputs[:, 32:].std(axis=1)
        sure = (first > 0.3) & (last > 0.3)
        return np.where(sure[:, None], np.eye(10)[(inputs[:, 0] * 9.99).astype(int)], 0.1)

    blocks = list(attack_named("knockoff-adaptive").run(ask, world.thief.pixels, np.random.default_rng(2), 1600))
    paid = np.array([(block[1].max(axis=1) > 0.5).mean() for block in blocks])
    assert paid[50:].mean() > paid[:20].mean() + 0.1


def test_copycat_asks_foreign_pictures_first_and_changed_natural_ones_after(world: World) -> None:
    x, _ = run("copycat", world, 300)
    far = nearest(x, world.thief.pixels)
    assert np.median(far[:200]) > 1.3 * np.median(far[200:])
    assert (far[200:] > 1e-3).all()


def test_centres_leave_no_answer_far_from_those_that_were_asked(world: World) -> None:
    """What k-centre is for: of all own images, the answer that lies farthest from any asked one is nearer."""
    answers = world.victim.ask(world.thief.pixels)

    def farthest(name: str) -> float:
        return float(np.quantile(nearest(answers, run(name, world, 100)[1]), 0.95))

    assert farthest("active-centres") < farthest("harvest")


def test_critical_points_are_where_a_unit_of_the_victim_opens(world: World) -> None:
    """Around a found bend some hidden unit is nearly zero; around points of the same lines at random it seldom is."""
    victim = train_victim("small", world.train, hidden=4, epochs=60)
    along, bends = [], []
    seeds = world.thief.pixels
    blocks = list(attack_named("equivalent").run(victim.ask, seeds, np.random.default_rng(4), 1500))
    for x, _ in blocks:
        (bends if len(x) == 9 else along).append(x[0])
    assert len(bends) > 10

    def least(points: list[F64]) -> float:
        h = np.abs(np.array(points) @ victim.weights[0] + victim.biases[0])
        return float(np.median((h / np.linalg.norm(victim.weights[0], axis=0)).min(axis=1)))

    assert least(bends) < 0.5 * least(along)


@pytest.mark.parametrize("attack", ATTACKS, ids=lambda a: a.name)
def test_asks_no_more_than_it_says_and_the_same_by_the_same_seed(attack: Attack, world: World) -> None:
    if attack.extra and not importlib.util.find_spec(PACKAGES[attack.extra]):
        pytest.skip(f"needs the extra [{attack.extra}]")
    asked: list[F64] = []

    def ask(inputs: F64) -> F64:
        asked.append(inputs)
        return world.victim.ask(inputs)

    blocks = list(attack.run(ask, world.thief.pixels, np.random.default_rng(5), 200))
    assert sum(map(len, asked)) == 200
    assert np.array_equal(np.concatenate([block[0] for block in blocks]), run(attack.name, world, 200)[0])
