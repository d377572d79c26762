"""What each part of the evidence is worth: the development half of MNIST, again and again with one part left out.

python -m bench.ablation
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any
from unittest.mock import patch

import numpy as np
from scipy.stats import betabinom

from bench.detect import GOALS, PROMISE, Log, by_kind, first_alerts, fitted, replayed, title
from bench.results import BUILD, save, say, table
from bench.worlds import mnist_world
from detector.evidence.law import DILUTION_BET, KT, TURN, Law
from detector.profile import fit, learn, nulls, scaling, sequencing
from detector.query import F64
from detector.redteam.world import simulate
from features import NUMBERS

SEED_FIT, SEED_TEST = 5001, 5002
HONEST_FIT, HONEST_TEST, CAMPAIGNS = 1000, 500, 20
NEVER = 1e300  # nats, the median of a channel that never says anything


@contextmanager
def whole() -> Iterator[None]:
    yield


@contextmanager
def one_law() -> Iterator[None]:
    with patch.object(nulls, "CLIENTS_A_KIND", 10**9):  # never enough clients for a second kind
        yield


@contextmanager
def inner_bins() -> Iterator[None]:
    """The outermost bins begin where nothing ever is."""
    cut = nulls._weighted_quantiles

    def cut_inside(values: F64, owners: Any) -> F64:
        return np.concatenate(([-np.inf], cut(values, owners)[1:-1], [np.inf]))

    with patch.object(nulls, "_weighted_quantiles", cut_inside):
        yield


@contextmanager
def one_law_of_inner_bins() -> Iterator[None]:
    with one_law(), inner_bins():
        yield


@contextmanager
def no_watch() -> Iterator[None]:
    with patch.object(fit, "_watched", lambda *given: (None, "")):
        yield


@contextmanager
def no_sequences() -> Iterator[None]:
    with patch.object(sequencing, "learn_sequences", lambda *given: (None, "")):
        yield


def _never(place: tuple[Any, ...]) -> Callable[[], Any]:
    """Without the channels at `place` of (signals, channels)."""

    @contextmanager
    def left_out() -> Iterator[None]:
        with_scale = scaling.with_scale

        def scaled_without(*measured: Any) -> Law:
            law: Law = with_scale(*measured)
            centre, knee = law.centre.copy(), law.knee.copy()
            centre[place], knee[place] = NEVER, 2 * NEVER
            return law._replace(centre=centre, knee=knee)

        with patch.object(scaling, "with_scale", scaled_without):
            yield

    return left_out


def _unseen(family: str) -> Callable[[], Any]:
    """Without the signals of a family."""
    others = np.array([not signal.name.startswith(f"{family}.") for signal in NUMBERS.signals])

    @contextmanager
    def left_out() -> Iterator[None]:
        learned = learn.learn_nulls

        def learned_without(teachers: learn.Measured) -> learn.Nulls:
            found = learned(teachers)
            return found._replace(active=found.active & others)

        with patch.object(learn, "learn_nulls", learned_without):
            yield

    return left_out


VARIANTS: Mapping[str, Callable[[], Any]] = {
    "nothing": whole,
    "the mixture (one Pólya law a signal)": one_law,
    "the bins beyond the honest extremes": inner_bins,
    "both of these": one_law_of_inner_bins,
    "the channel of Krichevsky-Trofimov": _never((slice(None), KT)),
    "the channel of the dilution bet": _never((slice(None), DILUTION_BET)),
    "the channel for turning": _never((slice(None), TURN)),
    "the one-class model": no_watch,
    "the sequence model": no_sequences,
    "the distance to the training data": _unseen("distance"),
    "the spacing": _unseen("spacing"),
    "the margin to the boundary": _unseen("boundary"),
    "how evenly queries spread": _unseen("entropy"),
    "what was covered": _unseen("coverage"),
    "what is pursued": _unseen("pursuit"),
    "when was asked": _unseen("timing"),
    "what cannot be read": _unseen("conduct"),
}


def main() -> None:
    world = mnist_world("development")
    folder = BUILD / "ablation"
    folder.mkdir(parents=True, exist_ok=True)
    say("simulating")
    log = Log(simulate(world, seed=SEED_FIT, honest=HONEST_FIT), folder / "honest.jsonl")
    log.traffic.write(log.path)
    attackers = dict.fromkeys(GOALS, CAMPAIGNS)
    today = simulate(world, seed=SEED_TEST, honest=HONEST_TEST, attackers=attackers, budget=1000)
    found = {}
    for name, changed in VARIANTS.items():
        say(f"--- {name}")
        with changed():
            profile, _ = fitted(world, log)
            kinds = by_kind(today, first_alerts(replayed(profile, today, folder)))
        law = profile.laws["client"]
        level = profile.level("client")
        assert level.rank is not None
        expected = betabinom(HONEST_TEST, level.calibrated + 1 - level.rank, level.rank)
        found[name] = {
            "threshold": level.threshold,
            "calibrated": level.calibrated,
            "beta_binomial_95": [int(expected.ppf(0.025)), int(expected.ppf(0.975))],
            "slope": law.slope,
            "kt_nats_of_the_highest_tenth": dict(zip(NUMBERS.names, law.knee[:, KT].tolist(), strict=True)),
            "kinds": {kind: kinds[kind].row() for kind in ("honest", *GOALS)},
        }
    save("ablation", {"promise": PROMISE, "variants": found}, page(found))


def page(found: Mapping[str, Any]) -> str:
    head = ["left out", *(title(kind) for kind in GOALS), "honest clients named"]
    low, high = found["nothing"]["beta_binomial_95"]
    rows = [[name, *(_cell(row["kinds"][kind]) for kind in GOALS), _named(row)] for name, row in found.items()]
    return "\n".join(
        [
            "# What each part of the evidence is worth",
            "",
            f"`python -m bench.ablation`. The development half of MNIST. Promise, each time anew: {PROMISE:.0%} of "
            "honest clients. Share of the attackers that were named / median queries until then.",
            "",
            table(head, rows),
            "",
            f"All rows calibrate on the same {found['nothing']['calibrated']} honest clients, so the last column "
            f"hardly moves: {low} to {high} of {HONEST_TEST} are to be expected in 95 of 100 calibrations, by the "
            "Beta-binomial law of the promise.",
        ]
    )


def _cell(row: Mapping[str, Any]) -> str:
    return f"{row['share']:.0%} / {row['median']:g}" if row["detected"] else "0%"


def _named(row: Mapping[str, Any]) -> str:
    honest = row["kinds"]["honest"]
    return f"{honest['detected']} of {honest['accounts']}"


if __name__ == "__main__":
    main()
