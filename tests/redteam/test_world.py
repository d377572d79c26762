"""The range keeps its word: reproducible, time-ordered, readable, and no client depends on another."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest

from detector.errors import SettingsError
from detector.redteam import Traffic, World, digits_world, read_campaign, simulate
from tests.reading import decode


def log_of(traffic: Traffic) -> bytes:
    return b"".join(traffic.lines())


@pytest.fixture(scope="module")
def traffic(world: World) -> Traffic:
    return simulate(
        world, seed=3, honest=12, attackers={"jacobian": 2, "line-search@30%": 1, "data-free/4": 1}, budget=300
    )


def test_the_same_seed_gives_the_same_bytes(world: World, traffic: Traffic) -> None:
    attackers = {"jacobian": 2, "line-search@30%": 1, "data-free/4": 1}
    again = simulate(digits_world(), seed=3, honest=12, attackers=attackers, budget=300)
    assert log_of(again) == log_of(traffic)
    assert again.truth == traffic.truth


def test_another_seed_gives_other_clients(world: World, traffic: Traffic) -> None:
    other = simulate(world, seed=4, honest=12)
    assert not set(other.truth) & set(traffic.truth)
    assert sorted(np.bincount(other.account)) != sorted(np.bincount(traffic.account)[:12])


def test_lines_parse_and_are_in_the_order_of_time(traffic: Traffic) -> None:
    queries = [decode(line) for line in traffic.lines()]
    assert len(queries) == len(traffic)
    assert all(a.at <= b.at for a, b in pairwise(queries))
    assert len({q.id for q in queries}) == len(queries)
    assert [q.at for q in queries] == traffic.at.tolist()


def test_lines_carry_the_columns(traffic: Traffic, tmp_path: Path) -> None:
    traffic.write(tmp_path / "log.jsonl")
    first = decode((tmp_path / "log.jsonl").read_bytes().splitlines()[0])
    assert np.array_equal(np.float32(first.input), traffic.inputs[0])
    assert first.probabilities == traffic.probabilities[0].tolist()
    assert first.label == traffic.labels[0]
    assert first.client == traffic.accounts[traffic.account[0]].client


def test_a_client_asks_the_same_whoever_else_is_there(world: World, traffic: Traffic) -> None:
    alone = simulate(world, seed=3, honest=5)
    for client in alone.truth:
        mine, same = alone.of(client), traffic.of(client)
        assert np.array_equal(alone.inputs[mine], traffic.inputs[same])
        assert np.array_equal(alone.at[mine], traffic.at[same])
        assert np.array_equal(alone.probabilities[mine], traffic.probabilities[same])
    alone_organisations = {a.client: a.organisation for a in alone.accounts}
    assert alone_organisations.items() <= {a.client: a.organisation for a in traffic.accounts}.items()


def test_an_attacker_asks_the_same_whoever_else_is_there(world: World, traffic: Traffic) -> None:
    alone = simulate(world, seed=3, honest=0, attackers={"jacobian": 1}, budget=300)
    (client,) = alone.truth
    assert np.array_equal(alone.inputs, traffic.inputs[traffic.of(client)])


def test_the_times_of_a_client_increase_within_the_span(traffic: Traffic) -> None:
    for client in traffic.truth:
        assert (np.diff(traffic.at[traffic.of(client)]) > 0).all()
    assert traffic.at[-1] - traffic.at[0] <= 30 * 86_400_000_000


def test_rows_are_those_of_each_client(traffic: Traffic) -> None:
    rows = traffic.rows()
    assert list(rows) == list(traffic.truth)
    assert all(np.array_equal(rows[client], traffic.of(client)) for client in rows)


def test_a_log_without_clients_is_refused(world: World) -> None:
    with pytest.raises(SettingsError):
        simulate(world, seed=1, honest=0)


def test_a_ring_deals_out_one_attack(world: World, traffic: Traffic) -> None:
    assert len(traffic.rings) == 4
    assert sum(len(traffic.of(client)) for client in traffic.rings) == 300


def test_names_do_not_tell_who_attacks(traffic: Traffic) -> None:
    assert all(len(c) == 10 and c.startswith("c-") for c in traffic.truth)
    assert all(a.organisation.startswith("o-") for a in traffic.accounts)


def test_honest_volumes_are_about_20_to_800_and_clients_differ(world: World) -> None:
    traffic = simulate(world, seed=9, honest=150)
    volumes = np.bincount(traffic.account)
    assert volumes.min() >= 20
    assert 80 < np.median(volumes) < 150
    assert np.mean(volumes > 800) < 0.03
    commonest = [np.bincount(traffic.labels[traffic.of(c)]).max() / len(traffic.of(c)) for c in traffic.truth]
    assert np.quantile(commonest, 0.9) > 1.5 * np.quantile(commonest, 0.1)


def test_training_and_asked_images_are_disjoint(world: World) -> None:
    assert len(world.train.classes) + len(world.pool.classes) + len(world.thief.classes) == 1797
    together = np.concatenate([world.pool.pixels, world.thief.pixels])
    assert len(np.unique(together, axis=0)) == len(together)


@pytest.mark.parametrize("wrong", ["jacobean", "jacobian@0%", "jacobian@130%", "jacobian/0", "jacobian@", ""])
def test_a_wrong_campaign_is_refused(wrong: str) -> None:
    with pytest.raises(SettingsError):
        read_campaign(wrong)


def test_a_wrong_name_gets_the_nearest_right_one() -> None:
    with pytest.raises(SettingsError, match='did you mean "jacobian"'):
        read_campaign("jacobean")
