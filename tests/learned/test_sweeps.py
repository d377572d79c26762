"""Made sweeps: the same from the same seed, each kind what its name says."""

from __future__ import annotations

from functools import cache

import numpy as np

from detector.learned import sweeps
from detector.learned.sweeps import LENGTH, People, Sweeps
from detector.query import Query

RNG = np.random.default_rng(3)
OWNER = np.repeat(np.arange(20), 12)
MEANING = RNG.normal(size=(len(OWNER), 8))
MEANING /= np.linalg.norm(MEANING, axis=1, keepdims=True)
QUERIES = [
    Query(
        0, f"c{who}", "m", f"What is Thing {i}, Please?", text="It is this one and no other. So is that one over there."
    )
    for i, who in enumerate(OWNER.tolist())
]
PEOPLE = People(QUERIES, OWNER, MEANING, RNG.random((len(OWNER), 4)))


def made(seed: int = 1, *, worded: bool = True) -> Sweeps:
    return sweeps.of_people(PEOPLE, 4, seed, worded=worded)


@cache
def of_one_seed() -> Sweeps:
    """Made once: a kind, and each of its prompts, is looked up in it."""
    return made()


def of_kind(kind: str, share: float = 1.0) -> list[list[int]]:
    found = of_one_seed()
    kinds = zip(found.kinds, found.shares, found.places, strict=True)
    return [places.tolist() for name, its, places in kinds if (name, its) == (kind, share)]


def text(place: int) -> str:
    return str(of_one_seed().queries[place].input)


def test_the_same_seed_makes_the_same_sweeps() -> None:
    one, other, third = made(), made(), made(2)
    assert one.kinds == other.kinds
    assert [query.input for query in one.queries] == [query.input for query in other.queries]
    assert all((a == b).all() for a, b in zip(one.places, other.places, strict=True))
    assert any((a != b).any() for a, b in zip(one.places, third.places, strict=True))


def test_every_kind_is_made_and_those_that_hide_are_hidden_too() -> None:
    found = made()
    counts = dict.fromkeys(zip(found.kinds, found.shares, strict=True), 0)
    for key in zip(found.kinds, found.shares, strict=True):
        counts[key] += 1
    assert {kind for kind, share in counts if share < 1} == set(sweeps.HIDING)
    assert all(count == (4 if share == 1 else 2) for (_, share), count in counts.items())
    assert all(len(places) <= LENGTH for places in found.places)


def test_where_embeddings_are_the_logs_own_no_prompt_is_reworded() -> None:
    found = made(worded=False)
    assert found.queries == QUERIES
    assert {"shuffled", "topic", "form", "sorted"} == set(found.kinds)


def test_a_sorted_sweep_goes_on_with_what_is_like_the_last() -> None:
    def follows(places: list[int]) -> float:
        return float((MEANING[places[:-1]] * MEANING[places[1:]]).sum(1)[:30].mean())

    assert min(map(follows, of_kind("sorted"))) > max(map(follows, of_kind("shuffled")))


def test_a_topic_is_more_alike_than_prompts_drawn_from_all() -> None:
    def alike(places: list[int]) -> float:
        return float(np.linalg.norm(MEANING[places].mean(0)))

    assert np.mean([alike(one) for one in of_kind("topic")]) > np.mean([alike(one) for one in of_kind("shuffled")])


def test_a_hidden_sweep_keeps_the_order_of_its_client() -> None:
    for share in sweeps.SHARES:
        for places in of_kind("templates", share):
            cover = [place for place in places if place < len(QUERIES)]
            assert abs(len(cover) / LENGTH - (1 - share)) < 0.15
            steps = np.diff(cover)
            assert (steps == 1).mean() > 0.85  # but where one client ends and another goes on


def test_wording_is_what_the_name_says() -> None:
    assert all(text(place) == text(place).lower() for place in of_kind("casual")[0])
    openings = {text(place)[:5] for place in of_kind("templates")[0]}
    assert len(openings) == 1
    assert {text(place) for place in of_kind("followed")[0]} & set(sweeps.GOING_ON)
    assert {text(place) for place in of_kind("sentences")[0]} <= {
        "It is this one and no other.",
        "So is that one over there.",
    }
