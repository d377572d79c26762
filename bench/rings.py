"""Attacks dealt out over accounts that share no logged key: who is named, and what looking for rings costs.

python -m bench.rings [--quick]
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import msgspec
import numpy as np

from bench.logs import reader
from bench.results import BUILD, save, say, table
from bench.worlds import mnist_world
from detector.levels import TICK_US, Asked
from detector.logs import DECODERS
from detector.policy import Policy, Storm, Threshold
from detector.profile import fit
from detector.profile.artefact import Profile
from detector.redteam.attacks import attack_named
from detector.redteam.detectors.conformal import interval
from detector.redteam.world import World, simulate
from detector.rings.accounts import ACCOUNT, RING
from detector.rings.level import RING_TICK_US, RingLevel
from detector.run.replay import replay

PROMISE = 0.01
SCORE = 2.0  # of the operator's own threshold for rings, without a promise; chosen on the development half
HONEST_FIT, HONEST_TEST = 1000, 300
ATTACKS = ("line-search", "jacobian", "data-free", "foreign", "random-step")
ACCOUNTS = (50, 100, 200)
QUERIES = (20, 10, 5)  # of each account
SEED_FIT, SEED_TEST, SEED_SPLIT = 9401, 9402, 17  # the development seeds are others
LIVE = (1_000, 10_000, 100_000)  # accounts, where work is measured
ASKING = 1_000  # of these ask while it is


class Named(NamedTuple):
    """In one log. rings: of each attack, how many accounts an alert on a ring names, and how many one on themselves
    does; honest: how many honest clients alerts on rings name.
    """

    rings: dict[str, int]
    alone: dict[str, int]
    honest: int


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="a trial on the development half that saves nothing")
    quick = parser.parse_args().quick
    began = time.monotonic()
    world = mnist_world("development" if quick else "report")
    (BUILD / "rings").mkdir(parents=True, exist_ok=True)
    profile = _fitted(world)
    logs = []
    for queries in QUERIES[:1] if quick else QUERIES:
        for accounts in ACCOUNTS[:1] if quick else ACCOUNTS:
            named = _named(world, profile, accounts, queries)
            say(f"{accounts} accounts with {queries} queries each: {named}")
            logs.append({"accounts": accounts, "queries": queries, **named._asdict()})
    work = [{"live": live, "us": _work(profile, live)} for live in LIVE]
    level = profile.level(RING)
    found = {
        "score": SCORE,
        "honest": HONEST_TEST,
        "populations": level.calibrated,
        "note": level.note,
        "logs": logs,
        "work": work,
        "seconds": time.monotonic() - began,
    }
    if quick:
        print(page(found))
    else:
        save("rings", found, page(found))


def _fitted(world: World) -> Profile:
    path = BUILD / "rings" / "honest.jsonl"
    say(f"simulating {HONEST_FIT:,} honest clients for the fit")
    simulate(world, seed=SEED_FIT, honest=HONEST_FIT).write(path)
    training = fit.Training(world.train.pixels, world.train.classes.astype(np.int32))
    options = fit.Options(promise=PROMISE, rings=True, horizon_us=None, seed=SEED_SPLIT)
    return fit.fit(reader(path), DECODERS["native"], training, options, say)


def _named(world: World, profile: Profile, accounts: int, queries: int) -> Named:
    """One log with a ring of each attack among honest clients."""
    attackers = {f"{attack}/{accounts}": 1 for attack in ATTACKS}
    budget = accounts * queries
    today = simulate(world, seed=SEED_TEST, honest=HONEST_TEST, attackers=attackers, budget=budget)
    path = BUILD / "rings" / "today.jsonl"
    today.write(path)
    done = replay(profile, _policy(profile), reader(path)(), DECODERS["native"])
    opened = [alert for alert in done.alerts if alert.action == "open"]
    rings, members = {alert.entity.id for alert in opened if alert.kind == "ring"}, done.pipeline.rings()
    in_rings = {client for ring in rings for client in members.get(ring, ())}
    alone = {alert.entity.id for alert in opened if alert.entity.kind == "client"}
    truth = today.truth

    def of(named: set[str], attack: str) -> int:
        return sum(truth[client] == attack for client in named)

    return Named(
        {attack: of(in_rings, f"{attack}/{accounts}") for attack in ATTACKS},
        {attack: of(alone, f"{attack}/{accounts}") for attack in ATTACKS},
        of(in_rings, "honest"),
    )


def _policy(profile: Profile) -> Policy:
    """The profile's, with the operator's own threshold for rings."""
    promised = profile.summary.policy
    thresholds = {**promised.thresholds, RING: (Threshold("medium", SCORE),)}
    return msgspec.structs.replace(promised, thresholds=thresholds, storm=Storm(at_least=0))


def _work(profile: Profile, live: int) -> float:
    """Microseconds a query of looking for rings, when so many honest accounts are known and some of them ask on.

    The accounts are made: each draws the bins of its queries around honest shares, as honest clients differ.
    """
    law, kit, learned = profile.laws[RING], profile.kit, profile.summary.rings
    assert learned is not None
    rng = np.random.default_rng(live)
    tables = profile.entities(ACCOUNT), profile.entities(RING)
    level = RingLevel(kit, *tables, law, learned, 2**60)
    names = [f"a{number}" for number in range(live)]
    shares = np.stack([rng.dirichlet(50 * law.shares[f], live) for f in range(len(law.active))], 1)
    level.gather(_asked(rng, shares, names, 0))
    level.close(RING_TICK_US // TICK_US)
    asking = rng.choice(live, min(ASKING, live), replace=False)
    began = time.process_time()
    level.gather(_asked(rng, shares[asking], [names[number] for number in asking.tolist()], RING_TICK_US))
    level.close(2 * RING_TICK_US // TICK_US)
    seconds = time.process_time() - began
    say(f"{live:,} live accounts: {1e6 * seconds / (20 * len(asking)):.0f} µs a query")
    return 1e6 * seconds / (20 * len(asking))


def _asked(rng: np.random.Generator, shares: Any, names: Sequence[str], at: int) -> Asked:
    """Twenty queries of each account in one tick."""
    drawn = rng.random((len(names), 20, shares.shape[1], 1))
    bins = np.minimum((np.cumsum(shares, 2)[:, None] < drawn).sum(3), 15).astype(np.uint8).reshape(-1, shares.shape[1])
    clients = [name for name in names for _ in range(20)]
    times = np.full(len(clients), at, np.int64)
    return Asked(times // TICK_US, np.zeros(len(clients), np.int64), times, bins, [""] * len(clients), clients)


def page(found: Mapping[str, Any]) -> str:
    head = ["queries of each", "accounts", *(attack_named(attack).title.partition(" (")[0] for attack in ATTACKS)]
    rows = [
        [log["queries"], log["accounts"]]
        + [f"{log['rings'][attack] / log['accounts']:.0%} ({log['alone'][attack] / log['accounts']:.0%})"
           for attack in ATTACKS]
        + [log["honest"]]
        for log in found["logs"]
    ]  # fmt: skip
    honest = sum(log["honest"] for log in found["logs"])
    of = len(found["logs"]) * found["honest"]
    low, high = interval(honest, of)
    work = [[f"{row['live']:,}", f"{row['us']:.0f}"] for row in found["work"]]
    return "\n".join(
        [
            "# Rings on the report half of MNIST",
            "",
            "`python -m bench.rings`. Each log holds one ring for each attack, dealt out over so many accounts that "
            f"share no logged key, among {found['honest']} fresh honest clients. In cells: the share of the ring's "
            f"accounts that an alert on a ring names, with a threshold of {found['score']:g} that the operator "
            "set (it carries no promise); in brackets: the share that is named by itself, with the promise of "
            f"{PROMISE:.0%}. Last column: honest clients in a ring that is named.",
            "",
            table([*head, "honest named"], rows),
            "",
            f"Over all logs, {honest} of {of:,} honest clients stood in a ring that was named (95% interval "
            f"{low:.2%} to {high:.2%}). Accounts are compared from 8 weighed queries on, so rings of accounts with "
            "five queries are not found.",
            "",
            f"`fit` said: {found['note']}.",
            "",
            "What it costs (processor time, one core): made honest accounts, each known by 20 queries, of which 1,000 "
            "ask 20 more in one tick.",
            "",
            table(["live accounts", "µs a query"], work),
        ]
    )


if __name__ == "__main__":
    main()
