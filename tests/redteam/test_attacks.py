"""Every attack spends its budget inside the input space, and does what its name says."""

from __future__ import annotations

import importlib.util

import numpy as np
import pytest

from detector.query import F64
from detector.redteam import ATTACKS, World, attack_named
from detector.redteam.attacks.contract import Attack
from detector.redteam.attacks.dilution import dilute
from detector.redteam.substitute import Substitute

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
    if attack.extra == "plot" and not importlib.util.find_spec("PIL"):
        pytest.skip("photographs need Pillow")
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
