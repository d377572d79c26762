"""What goes on learning, measured: what it costs, finds, can be taught by an attacker, and whether promises hold.

python -m bench.learning
"""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Callable
from importlib.metadata import version
from typing import Any

import msgspec
import numpy as np
from scipy.stats import beta

from bench.results import save, say, table
from detector.learned.drift import WARM_UP, Charts, drifted
from detector.learned.kinds import Choice, Step
from detector.learned.newcomers import Newcomer, newcomers, watch
from detector.learned.oneclass import OneClass, learn
from detector.learned.successor import InForce, Rules, succeed
from detector.profile.calibration import threshold
from detector.redteam.detectors.conformal import interval
from detector.tape import level_of, score_of
from tests.learned import population as made
from tests.learned.population import DAY_US, SECRET

TREES = "river.anomaly.HalfSpaceTrees"
MODELS = {
    "half-space trees, 25 of height 8 (default)": Choice(),
    "half-space trees, 10 of height 8": Choice(Step(TREES, {"n_trees": 10, "height": 8})),
    "LODA": Choice(Step("river.anomaly.LODA")),
    "one-class SVM": Choice(Step("river.anomaly.OneClassSVM")),
    "Gaussian, the oddest signal": Choice(Step("river.anomaly.GaussianScorer")),
    "local outlier factor": Choice(Step("river.anomaly.LocalOutlierFactor")),
}
COST_SIGNALS = tuple(f"s{i}" for i in range(12))
RULES = Rules(share=0.01, horizon_us=30 * DAY_US)
SUSPICION = 1.1  # what a twentieth of honest entities of the made population passes
EPOCHS = 12
IMPORTED = "import numpy, scipy.stats, sklearn.linear_model, numba, time; t = time.perf_counter(); import river.anomaly, river.drift, river.preprocessing; print(time.perf_counter() - t)"  # noqa: E501


def main() -> None:
    found = {
        "import_s": _import_time(),
        "cost": {name: _cost(choice) for name, choice in MODELS.items()},
        "found": {"kernels alone": _kernels_alone()}
        | {name: _found(choice) for name, choice in MODELS.items() if "factor" not in name},
    }
    found["poisoning"] = {
        "anchored": _poisoned(0.5, 0.2),
        "not anchored": _poisoned(0.0, 0.2),
        "nobody poisons": _poisoned(0.5, 0.0),
    }
    found["rounds"] = _rounds()
    found["takeover"] = _takeover()
    found["drift"] = _drift()
    found["newcomers"] = _newcomers()
    save("learning", {"river": version("river"), **found}, _page(found))


def _import_time() -> float:
    runs = [subprocess.run([sys.executable, "-c", IMPORTED], capture_output=True, check=True) for _ in range(3)]
    return min(float(run.stdout) for run in runs)


def _cost(choice: Choice) -> dict[str, float]:
    say(f"cost of {choice.detector.kind}")
    rng = np.random.default_rng(1)
    count = 1_000 if "Factor" in choice.detector.kind else 10_000
    vectors = rng.standard_gamma(0.6, (count, len(COST_SIGNALS))) / 3.5
    model = learn(choice, vectors, COST_SIGNALS, 1)
    learned = [_seconds(lambda: OneClass(model.taught)) for _ in range(3)]
    scored = [_seconds(lambda: model.scores(vectors[:20])) for _ in range(10)]
    return {"vectors": count, "learn_s": min(learned), "score_us": 1e6 * min(scored) / 20}


def _seconds(what: Callable[[], object]) -> float:
    began = time.perf_counter()
    what()
    return time.perf_counter() - began


def _kernels_alone() -> dict[str, float]:
    """The same shares with the kernels' channels only."""
    rng = np.random.default_rng(2)
    levels = np.sort([one.ended.kernel for one in made.honest(rng, 900, b"C")])
    bar = threshold(levels, RULES.share).score
    fresh = {"honest": made.honest(rng, 1_000, b"f"), "quiet": made.quiet(rng, 500), "loud": made.loud(rng, 500)}
    return {
        name: float(np.mean([score_of(one.ended.kernel) >= bar for one in people])) for name, people in fresh.items()
    }


def _found(choice: Choice) -> dict[str, float]:
    """Shares named at a promise of 1% (3 x 900 honest clients), of 1,000 honest and 500 of each attacker."""
    say(f"what {choice.detector.kind} finds")
    rng = np.random.default_rng(2)
    now = made.in_force(rng, RULES.share, choice)
    fresh = {"honest": made.honest(rng, 1_000, b"f"), "quiet": made.quiet(rng, 500), "loud": made.loud(rng, 500)}
    return {name: _share(now, people) for name, people in fresh.items()}


def _share(now: InForce, people: list[Any]) -> float:
    return float(np.mean(made.scored(now, people, RULES) >= now.threshold.score))


def _poisoned(anchored: float, thieves: float) -> list[dict[str, float]]:
    """Epoch by epoch: a share of the accounts are thieves who know the model, and stand as far out as it does not yet
    suspect. None of them is ever among the judges. What counts is whether quiet ones of the full strength are found.
    """
    say(f"poisoning, {anchored:.0%} anchored, {thieves:.0%} thieves")
    rng = np.random.default_rng(3)
    rules = msgspec.structs.replace(RULES, anchored=anchored)
    now = made.in_force(rng, rules.share)
    attacks = [made.witnessed(one) for one in made.quiet(rng, 200, b"a")]
    found = []
    for epoch in range(EPOCHS):
        strength = _unsuspected(now, rng) if thieves else 0.0
        poison = made.quiet(rng, int(thieves * 1_000), b"q%d" % epoch, low=0.65 * strength, high=strength)
        people = made.honest(rng, 1_000 - len(poison), b"h%d" % epoch) + poison
        suspects = made.named(now, people, SUSPICION, rules)
        teaching, kept = made.epoch(people, suspects)
        for thief in poison:
            kept.judges.pop(thief.ended.key, None)
        after = succeed(now, teaching, kept, rules, 40 * DAY_US, SECRET, attacks)
        now = after.in_force(now.first)
        taught = np.mean([sample.key.lstrip(b"\0")[:1] == b"q" for sample in teaching.samples])
        found.append(
            {
                "strength": strength,
                "teach": float(taught),
                "quiet": _share(now, made.quiet(rng, 300, b"x")),
                "honest": _share(now, made.honest(rng, 1_000, b"f")),
                "automatic": float(after.automatic),
            }
        )
    return found


def _unsuspected(now: InForce, rng: np.random.Generator) -> float:
    """The greatest strength at which the model in force suspects at most one in ten quiet thieves."""
    for strength in np.arange(0.7, 0.0, -0.05):
        tried = made.quiet(rng, 100, b"t", low=0.65 * strength, high=strength)
        if np.mean(made.scored(now, tried, RULES) >= SUSPICION) <= 0.1:
            return float(strength)
    return 0.0


def _rounds() -> dict[str, Any]:
    """Twenty successors in a row at 5%, on clients drawn anew; and the mistake of leaving out who scored high."""
    say("twenty rounds")
    rng = np.random.default_rng(4)
    rules = msgspec.structs.replace(RULES, share=0.05)
    whole = made.rounds(made.in_force(rng, 0.05), rng, 20, rules, clients=700)
    population = np.sort((16 + rng.exponential(40.0, 200_000)).astype(np.int64))
    naive = []
    fired = threshold(np.sort(rng.choice(population, 1_500)), 0.05)
    for _ in range(20):
        judges = np.sort(rng.choice(population, 1_500))
        fired = threshold(judges[[score_of(int(level)) < fired.score for level in judges]], 0.05)
        naive.append(float(np.mean([score_of(int(level)) >= fired.score for level in population[::40]])))
    return {"judges": whole[0][0], "named": [share for _, share in whole], "leaving_out": naive}


def _takeover() -> dict[str, float]:
    """2,000 honest clients at 5%: named by one model; by either of two in force within their first horizon."""
    say("takeover")
    rng = np.random.default_rng(5)
    rules = msgspec.structs.replace(RULES, share=0.05)
    one, either = [], []
    for i in range(5):
        old = made.in_force(rng, 0.05, seed=i)
        teaching, kept = made.epoch(made.honest(rng, 900, b"h"), set())
        new = succeed(old, teaching, kept, rules, 40 * DAY_US, SECRET).in_force(old.first)
        fresh = made.honest(rng, 2_000, b"f")
        by = [made.scored(now, fresh, rules) >= now.threshold.score for now in (old, new)]
        one.append(float(np.mean(by[1])))
        either.append(float(np.mean(by[0] | by[1])))
    return {"one": float(np.mean(one)), "either": float(np.mean(either))}


def _drift() -> dict[str, Any]:
    """Years of daily ticks: 20 signals, 100 entities; plain, and days that take after the one before (0.3)."""
    say("drift")
    rng = np.random.default_rng(6)
    years = 100
    false = {}
    for name, like in (("independent days", 0.0), ("days like the one before", 0.3)):
        false[name] = sum(_drift_year(rng, like) for _ in range(years))
    delays = {}
    for by in (0.05, 0.1, 0.2):
        delays[str(by)] = float(np.median([_drift_delay(rng, by) for _ in range(40)]))
    began = time.perf_counter()
    _drift_year(rng, 0.0)
    return {"years": years, "false": false, "delays": delays, "tick_us": 1e6 * (time.perf_counter() - began) / 393}


def _drift_year(rng: np.random.Generator, like: float) -> bool:
    """Whether any of 20 signals was named in the year after the warm-up."""
    names = [f"s{i}" for i in range(20)]
    state, common = Charts(), rng.normal(size=20)
    for t in range(WARM_UP + 365):
        common = like * common + np.sqrt(1 - like**2) * rng.normal(size=20)
        places = np.clip(0.5 + 0.02 * common + rng.uniform(-0.3, 0.3, (100, 20)), 0, 1)
        if drifted(state, names, places, t):
            return True
    return False


def _drift_delay(rng: np.random.Generator, by: float) -> float:
    state = Charts()
    for t in range(200):
        drifted(state, ["s"], np.clip(rng.beta(2, 2, (100, 1)), 0, 1), t)
    for t in range(100):
        if drifted(state, ["s"], np.clip(rng.beta(2, 2, (100, 1)) + by, 0, 1), t):
            return t + 1.0
    return np.inf


def _newcomers() -> dict[str, Any]:
    """500 calibration suprema; 1,500 newcomers, in 400 quiet runs; then shifts, from the first on or after 1,500."""
    say("newcomers")
    runs = 400
    void = sum(_void_after(np.random.default_rng([7, i]), 1_500, 0, 1.0) is not None for i in range(runs))
    shifts = {}
    for times in (1.2, 1.5, 2.0):
        for quiet in (0, 1_500):
            of = [_void_after(np.random.default_rng([8, i]), quiet, 2_000, times) for i in range(30)]
            late = [np.inf if at is None else at - quiet for at in of]
            shifts[f"{times:g} after {quiet:,}"] = {
                "found": float(np.mean(np.isfinite(late))),
                "median": float(np.median(late)) if np.isfinite(np.median(late)) else None,
                "named": _named_after(times),
            }
    return {"runs": runs, "void": void, "shifts": shifts}


def _made_suprema(rng: np.random.Generator, count: int, times: float) -> list[int]:
    return [level_of(times * (0.35 + 0.18 * x)) for x in rng.gumbel(size=count)]


def _void_after(rng: np.random.Generator, quiet: int, moved: int, times: float) -> int | None:
    state = watch(np.array(_made_suprema(rng, 500, 1.0)))
    levels = _made_suprema(rng, quiet, 1.0) + _made_suprema(rng, moved, times)
    came = [Newcomer(i.to_bytes(16, "big"), i, level) for i, level in enumerate(levels)]
    newcomers(state, came, rng.bytes(16))
    return state.void_since


def _named_after(times: float) -> float:
    """The share of honest clients that a promise of 1% names once everybody scores `times` as high."""
    rng = np.random.default_rng(9)
    bar = np.quantile(0.35 + 0.18 * rng.gumbel(size=200_000), 0.99)
    return float(np.mean(times * (0.35 + 0.18 * rng.gumbel(size=200_000)) >= bar))


def _poison_row(epochs: list[dict[str, float]]) -> tuple[str, ...]:
    mean = {name: float(np.mean([epoch[name] for epoch in epochs])) for name in epochs[0]}
    quiet = [_percent(epochs[i]["quiet"]) for i in (0, 3)] + [_percent(mean["quiet"])]
    asked = sum(epoch["automatic"] == 0 for epoch in epochs)
    return (f"{epochs[-1]['strength']:.2f}", _percent(mean["teach"]), *quiet, _percent(mean["honest"]), str(asked))


def _percent(share: float) -> str:
    return f"{share:.1%}"


def _page(found: dict[str, Any]) -> str:
    cost = [
        (name, f"{c['vectors']:,}", f"{c['learn_s']:.2f} s", f"{c['score_us']:,.0f} µs")
        for name, c in found["cost"].items()
    ]
    seen = [(n, *(_percent(f[who]) for who in ("quiet", "loud", "honest"))) for n, f in found["found"].items()]
    poison = [(name, *_poison_row(epochs)) for name, epochs in found["poisoning"].items()]
    rounds, takeover, drift, new = (found[key] for key in ("rounds", "takeover", "drift", "newcomers"))
    law = beta(rounds["judges"] + 1 - np.ceil(0.95 * (rounds["judges"] + 1)), np.ceil(0.95 * (rounds["judges"] + 1)))
    low, high = interval(new["void"], new["runs"])
    return f"""# What goes on learning, measured

`python -m bench.learning`. Populations are made up (tests/learned/population.py): eight signals; a *quiet* thief keeps
every signal at 0.45 to 0.7 of the honest 99th percentile, and is odd only in that all are; a *loud* one is beyond it.

## Cost

Importing River takes {
        found["import_s"]:.2f} s more than numpy, SciPy, scikit-learn and Numba do. Twelve signals; the best
of several tries on a machine that does other things, too:

{table(["model", "vectors", "learned in", "a score"], cost)}

A client is scored once a look: 11 times in its first 16,384 queries.

## What the one-class channel adds

Promise 1%, 900 honest clients to learn, scale and calibrate each; shares named.

{table(["model", "quiet thieves", "loud thieves", "honest"], seen)}

## Teaching one's way in

A share of the accounts are thieves who know the model in force and stand as far out as it does not suspect; they teach,
and never judge. Promise 1%, twelve epochs of 1,000 clients, drawn anew each; every successor takes over here, whatever it
asks. Shares named of quiet thieves of the full strength (none of whom taught), and of honest clients.

{
        table(
            [
                "",
                "thieves at last at",
                "of the fresh that taught",
                "quiet named after 1 epoch",
                "after 4",
                "mean of 12",
                "honest named, mean",
                "epochs in which a person is asked",
            ],
            poison,
        )
    }

*Anchored*: half of what teaches is from `fit`, always. A person is asked when a successor finds
a twentieth fewer of kept attacks than the model in force. That happens without any thieves, too: about 500 judges put a
threshold of 1% where five of them lie, so it scatters. More judges scatter less: they are kept for several horizons.

## No ratchet

Twenty successors in a row at 5%, clients drawn anew, {rounds["judges"]} judges: on average {
        _percent(float(np.mean(rounds["named"])))
    }
of fresh honest clients named, in the last five {
        _percent(float(np.mean(rounds["named"][-5:])))
    }; by the law of the promise 95 of 100
rounds lie within {_percent(law.ppf(0.025))} and {
        _percent(law.ppf(0.975))
    } (and the scatter of 500 tested clients). Had those whom
the threshold in force names been left out of the judges each time, the last round would name
{_percent(rounds["leaving_out"][-1])}.

## Takeover

At 5%, one model names {
        _percent(takeover["one"])
    } of honest clients; whoever is judged in full by two in its first horizon is
named by either with {_percent(takeover["either"])}. So entities stay with the model of their first query.

## Drift

{drift["years"]} years of daily ticks, 20 signals, 100 entities a day. Years with a false drift:
{", ".join(f"{name}: {count}" for name, count in drift["false"].items())}. A mean that moves by
{
        ", ".join(f"{by} is named after {delay:g} days" for by, delay in drift["delays"].items())
    } (of 0 to 1; one signal, median).
A tick of 20 signals takes {drift["tick_us"] / 1000:.1f} ms, the making of the data included.

## Newcomers

{new["runs"]} runs of 1,500 newcomers like those that calibrated, looked at after each: {new["void"]} found void
({_percent(low)} to {
        _percent(high)
    } by their 95% interval; promised: at most 1%). When all suprema are multiplied, from the first
newcomer on or after 1,500 quiet ones:

{
        table(
            ["suprema times", "honest then named at 1%", "void within 2,000", "newcomers until then (median)"],
            [
                (name, _percent(s["named"]), _percent(s["found"]), "" if s["median"] is None else f"{s['median']:.0f}")
                for name, s in new["shifts"].items()
            ],
        )
    }
"""  # noqa: E501


if __name__ == "__main__":
    main()
