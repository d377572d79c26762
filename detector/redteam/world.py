"""The range: a victim, honest clients and attackers, from one seed; the same seed gives the same log, byte for byte.

Every client draws from a random stream of its own (seed, kind, number), so its queries do not change when others are
added. Names, paces and organisations tell nothing about who attacks.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime

import numpy as np
from sklearn.datasets import load_digits

from detector.errors import SettingsError
from detector.query import F64, I64
from detector.redteam.attacks.contract import Run
from detector.redteam.attacks.dilution import dilute
from detector.redteam.campaign import Campaign, read_campaign
from detector.redteam.honest import Habits, Images, ask_honestly, new_habits, written_by_many
from detector.redteam.pace import draw_times, trickle
from detector.redteam.pens import new_hand
from detector.redteam.traffic import Account, Traffic
from detector.redteam.victim import Served, train_victim

START = datetime(2026, 1, 5, tzinfo=UTC)
WRITERS = 80  # pens among the training images
BUDGET = 1000  # queries of one campaign, over all of its accounts
_HONEST, _ATTACK, _ORGANISATIONS = 0, 1, 2  # kinds of random streams


@dataclass(frozen=True)
class World:
    """A victim, the images that taught it (`train`), those that honest clients ask (`pool`) and the thieves' (`thief`).

    The three sets come from disjoint images; those of `train` are written by many pens already, the others are clean.
    """

    victim: Served
    train: Images
    pool: Images
    thief: Images


@dataclass(frozen=True)
class _Stream:
    """All that one account asked: times relative to the log's start, inputs, answers."""

    account: Account
    at: I64
    inputs: F64
    answers: F64


def digits_world(seed: int = 0) -> World:
    """scikit-learn's 8x8 digits (1,797 images): 800 teach the victim, clients ask 600, thieves own 397."""
    data = load_digits()
    images = Images(data.data / 16.0, data.target.astype(np.int64))
    rng = np.random.default_rng(seed)
    rows, pool, thief = np.split(rng.permutation(len(data.target)), [800, 1400])
    train = written_by_many(images.part(rows), WRITERS, rng)
    victim = train_victim("digits", train, seed=seed, epochs=100)
    return World(victim, train, images.part(pool), images.part(thief))


def simulate(
    world: World,
    *,
    seed: int,
    honest: int,
    attackers: Mapping[str, int] | None = None,
    span_days: float = 30.0,
    start: datetime = START,
    budget: int = BUDGET,
) -> Traffic:
    """A log of `span_days` with `honest` clients and so many campaigns of each kind.

    `attackers` maps campaigns as `read_campaign` reads them to how often each is run: {"jacobian": 5,
    "line-search@10%": 5, "data-free/50": 1}. `budget` is the queries of one campaign in all. `Traffic.truth` says who
    was what; honest clients of different seeds are fresh draws.

    >>> traffic = simulate(digits_world(), seed=1, honest=3, attackers={"uniform": 1}, budget=50)
    >>> sorted(traffic.truth.values())
    ['honest', 'honest', 'honest', 'uniform']
    """
    campaigns = {text: read_campaign(text) for text in attackers or {}}
    if honest + sum((attackers or {}).values()) < 1 or budget < 1:
        raise SettingsError("a simulated log needs at least one client, and a campaign at least one query")
    streams = list(_honest_streams(world, seed, honest, span_days))
    for text, count in (attackers or {}).items():
        for number in range(count):
            streams += _campaign_streams(world, campaigns[text], text, number, seed, span_days, budget)
    return _merge(world.victim.name, streams, start)


def _honest_streams(world: World, seed: int, n: int, span_days: float) -> Iterator[_Stream]:
    organisations = _organisation_sizes(n, np.random.default_rng([seed, _ORGANISATIONS]))
    for number, organisation in zip(range(n), organisations, strict=True):
        rng = np.random.default_rng([seed, _HONEST, number])
        inputs = ask_honestly(new_habits(world.pool, rng), world.pool, rng)
        at = draw_times(len(inputs), span_days=span_days, rng=rng)
        account = Account(_name("c", seed, "honest", number), _name("o", seed, "honest", organisation), "honest")
        yield _Stream(account, at, inputs, world.victim.ask(inputs))


def _organisation_sizes(n: int, rng: np.random.Generator) -> list[int]:
    """The organisation number of each of n clients: one to five clients each, one mostly; a prefix for a smaller n."""
    numbers: list[int] = []
    organisation = 0
    while len(numbers) < n:
        numbers += [organisation] * int(rng.choice(5, p=[0.6, 0.2, 0.1, 0.06, 0.04]) + 1)
        organisation += 1
    return numbers[:n]


def _campaign_streams(
    world: World, campaign: Campaign, text: str, number: int, seed: int, span_days: float, budget: int
) -> list[_Stream]:
    """The accounts of one campaign; each has its own pace and its own organisation, and asks every n-th query."""
    rng = np.random.default_rng([seed, _ATTACK, int.from_bytes(text.encode(), "little"), number])
    seeds, run = _equip(world, campaign, rng, budget)
    blocks = list(run(world.victim.ask, seeds, rng, budget))
    inputs, answers = (np.concatenate(columns) for columns in zip(*blocks, strict=True))
    assert len(inputs) == budget, f"{text} spent {len(inputs)} of {budget}"
    ring = f"{text}#{number}" if campaign.accounts > 1 else None
    streams = []
    for k in range(min(campaign.accounts, budget)):
        mine = slice(k, None, campaign.accounts)
        account = Account(_name("c", seed, text, number, k), _name("o", seed, text, number, k), text, ring)
        at = (trickle if campaign.slow else draw_times)(len(inputs[mine]), span_days=span_days, rng=rng)
        streams.append(_Stream(account, at, inputs[mine], answers[mine]))
    return streams


def _equip(world: World, campaign: Campaign, rng: np.random.Generator, budget: int) -> tuple[F64, Run]:
    """The thief's natural images (2 x budget, all classes alike, his own pen), and the attack as he runs it. Whoever
    asks which records the victim was taught on has as many of those as others.

    What covers a diluted attack is asked as an honest client asks it: one pen, one mix of classes.
    """
    k = world.thief.kinds
    own = Habits(np.full(k, 1 / k), new_hand(world.thief.pixels, world.thief.side, rng), 0, 0.0)
    seeds = ask_honestly(own, world.thief, rng, max(2 * budget, 300))
    if campaign.attack.candidates:
        members = world.train.pixels[rng.permutation(len(world.train.pixels))[: len(seeds) // 2]]
        seeds = np.concatenate([members, seeds[: len(members)]])
    if campaign.share == 1.0:
        return seeds, campaign.run
    cover = Habits(rng.dirichlet(np.ones(k)), own.pen, 0, float(rng.beta(1.0, 20.0)))
    return seeds, dilute(campaign.run, lambda n, stream: ask_honestly(cover, world.thief, stream, n), campaign.share)


def _merge(model: str, streams: list[_Stream], start: datetime) -> Traffic:
    """All streams in the order of time; ties go by account number."""
    sizes = [len(s.at) for s in streams]
    account = np.repeat(np.arange(len(streams), dtype=np.int32), sizes)
    ordinal = np.concatenate([np.arange(size, dtype=np.int32) for size in sizes])
    at = np.concatenate([s.at for s in streams]) + int(start.timestamp()) * 1_000_000
    order = np.argsort(at, kind="stable")
    inputs = np.concatenate([np.round(s.inputs, 4).astype(np.float32) for s in streams])
    answers = np.concatenate([np.round(s.answers, 6) for s in streams])
    return Traffic(
        model,
        tuple(s.account for s in streams),
        account[order],
        ordinal[order],
        at[order],
        inputs[order],
        answers[order],
    )


def _name(kind: str, *of: object) -> str:
    """A name that says nothing: kind, then eight digits of a hash."""
    return f"{kind}-{hashlib.blake2b(repr(of).encode(), digest_size=4).hexdigest()}"
