"""Training records asked for by their own values, and walks around one input; and what is neither."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from detector.profile.artefact import Profile
from features import pursuit
from features.contract import Reference
from tests import people
from tests.asked import asked
from tests.features.oddness import oddness, pool, share_odd, stream
from tests.layouts import CLIENT_ROW

RNG = np.random.default_rng(11)
RECORDS = RNG.normal(0, 1_500, (2_000, 16)).astype(np.int16)
LEARNED = pursuit.learn(Reference(RECORDS, np.zeros(2_000, np.int32), 0, records=RECORDS, key=2**63 + 5))
MEMBER, CLIMB, CROSS = range(3)
SMALL = 20  # steps of x, of a step of a walk


def measured(x: np.ndarray, labels: Any = 0, margin: Any = 0.5, learned: Any = LEARNED) -> np.ndarray:
    """Of one client, whose answers have these labels and margins (second probability over the first)."""
    n = len(x)
    first = 1.0 / (1.0 + np.broadcast_to(margin, n))
    batch = asked(n, x=x, labels=np.broadcast_to(labels, n), top=np.column_stack([first, 1.0 - first]))
    values, stages = np.empty((n, 3)), np.empty((n, 3), np.int8)
    pursuit.measure(batch, np.zeros(1, CLIENT_ROW), learned, values, stages)
    return values


def walk(n: int, start: int = 0) -> np.ndarray:
    steps = RNG.integers(-SMALL, SMALL + 1, (n, 16))
    found: np.ndarray = (RECORDS[start] + 100 + steps.cumsum(0) // 4).astype(np.int16)
    return found


# -- records


def test_a_training_record_is_known_again_also_when_it_was_rounded_and_a_stranger_is_not() -> None:
    strangers = RNG.normal(0, 1_500, (2_000, 16)).astype(np.int16)
    assert (measured(RECORDS)[:, MEMBER] == pursuit.GRIDS).all()
    assert (measured(RECORDS + RNG.integers(-1, 2, RECORDS.shape))[:, MEMBER] > 0).mean() > 0.95
    assert (measured(strangers)[:, MEMBER] > 0).mean() < 0.01


def test_the_sketch_has_no_more_than_its_bound_and_depends_on_the_key() -> None:
    many = RNG.normal(0, 1_500, (pursuit.MEMBERS + 1_000, 16)).astype(np.int16)
    bits = pursuit.learn(Reference(RECORDS, np.zeros(0, np.int32), 0, records=many))["pursuit_bits"]
    assert bits.nbytes <= 2 * pursuit.MEMBERS * pursuit.GRIDS * pursuit.BITS // 8
    other = pursuit.learn(Reference(RECORDS, np.zeros(0, np.int32), 0, records=RECORDS, key=6))
    assert other["pursuit_bits"].tobytes() != LEARNED["pursuit_bits"].tobytes()


def test_without_a_training_file_there_are_no_members() -> None:
    learned = pursuit.learn(Reference(RECORDS, np.zeros(2_000, np.int32), 0))
    values = measured(RECORDS[:50], learned=learned)
    assert np.isnan(values[:, MEMBER]).all()
    assert not np.isnan(values[:, CLIMB:]).any()


# -- walks


def test_a_walk_on_which_the_model_becomes_surer_of_one_label_climbs() -> None:
    values = measured(walk(150), margin=np.geomspace(0.9, 0.001, 150))
    assert (values[100:, CLIMB] == 2).all()
    assert not values[:, CROSS].any()
    assert not values[: pursuit.WALK - 1, CLIMB].any()


def test_a_walk_over_a_boundary_crosses() -> None:
    values = measured(walk(100), labels=np.arange(100) % 2, margin=0.95)
    assert (values[60:, CROSS] == 2).all()
    assert not values[:, CLIMB].any()


def test_a_walk_that_makes_the_model_less_sure_crosses() -> None:
    values = measured(walk(100), margin=np.geomspace(0.001, 0.9, 100))
    assert (values[60:, CROSS] == 2).all()
    assert not values[:, CLIMB].any()


def test_a_walk_that_changes_nothing_is_neither() -> None:
    assert not measured(walk(100), margin=0.2)[:, CLIMB:].any()


def test_queries_that_lie_apart_are_no_walk() -> None:
    strangers = RNG.normal(0, 1_500, (300, 16)).astype(np.int16)
    assert not measured(strangers, labels=np.arange(300) % 2, margin=0.95)[:, CLIMB:].any()


def test_honest_queries_in_between_do_not_end_a_walk() -> None:
    x = RNG.normal(0, 1_500, (600, 16)).astype(np.int16)
    x[::6] = walk(100)
    values = measured(x, margin=np.where(np.arange(600) % 6, 0.2, np.geomspace(0.9, 0.001, 600)))
    assert (values[::6, CLIMB][85:] == 2).all()


def test_a_boundary_walk_begins_at_something_natural() -> None:
    natural = Reference(RECORDS, np.zeros(0, np.int32), 0, residual=RNG.uniform(100, 200, 2_000))
    learned = pursuit.learn(natural)  # what is asked below has a residual of 0
    assert not measured(walk(100), labels=np.arange(100) % 2, margin=0.95, learned=learned)[:, CROSS].any()


def test_what_is_not_answered_leaves_no_trail() -> None:
    values = measured(walk(100), labels=np.full(100, -1))
    assert np.isnan(values[:, CLIMB:]).all()


# -- under a profile


def walked(towards: str) -> list[np.ndarray]:
    """60 small steps by which the model becomes surer of its label, or comes to the boundary and stays."""
    rng, found = np.random.default_rng(4), [pool(50)[7]]
    label = int(people.answers(found[0]).argmax())
    for _ in range(120):
        tries = found[-1] + 0.03 * rng.standard_normal((30, people.WIDTH))
        said = people.answers(tries)[:, label]
        found.append(tries[int(said.argmax() if towards == "sure" else abs(said - 0.5).argmin())])
    return found


@pytest.mark.parametrize(("signal", "inputs"), [
    ("pursuit.member", list(people.training()[:40])),
    ("pursuit.cross", walked("boundary")),
])  # fmt: skip
def test_what_it_is_for_is_caught(profile: Profile, signal: str, inputs: list[np.ndarray]) -> None:
    assert oddness(profile, stream("thief", inputs))["thief"][signal] > 2.0


@pytest.mark.parametrize("signal", [signal.name for signal in pursuit.SIGNALS])
def test_honest_clients_are_left_alone(profile: Profile, signal: str) -> None:
    assert share_odd(profile, signal) <= 0.02
