"""Which signal of the honest-like population moved, and when.

At ticks of log time (a day unless told otherwise: a day holds what changes by the hour) each entity that is not under
suspicion gives one number a signal: where its queries of the tick lie among honest ones, 0 to 1 (the mean probability
integral transform of their bins). One number each, so whoever asks much says no more than others. The mean over
entities is compared with the days before by River's two-sided Page-Hinkley test (Page 1954), which costs microseconds
and a dozen numbers; ADWIN keeps its window where no snapshot can reach, and KSWIN takes 230 µs.

Means are in units of their own spread over the first four weeks, or of a quarter of what so many entities would scatter
by chance, whichever is larger. PATIENCE was chosen by simulation (bench/learning.py): of years of daily ticks in which
twenty signals do not change, fewer than one in ten has a false drift, even where a day takes after the one before.

What it misses: a change that leaves the mean where it was. Who trips it innocently: a release, a sale, a holiday. It
names nobody; it proposes a refit.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from math import sqrt

import msgspec
import numpy as np
from numpy.typing import NDArray
from river.drift import PageHinkley
from river.stats import Mean

from detector.learned.days import PPM, middles

WARM_UP = 28  # ticks
FEWEST = 20  # entities, without which a tick says nothing
ALLOWED = 0.75  # units by which a mean may stay off
PATIENCE = 16.0  # units, summed
_UNIFORM_SPREAD = 0.2887  # of a number between 0 and 1 about which nothing is known


class Moved(msgspec.Struct, frozen=True):
    """A drift. at: log time of the tick that showed it; since: of the last tick before it began, as the sums say;
    size: of the last mean, in units; entities: that were in it.
    """

    signal: str
    at: int
    since: int
    size: float
    entities: int


class Chart(msgspec.Struct):
    """One signal's state. warm: means of the first ticks; then River's: the mean of n, and its sums and extremes,
    with the log times of these.
    """

    warm: list[float] = []
    centre: float = 0.0
    unit: float = 0.0
    n: float = 0.0
    mean: float = 0.0
    increase: float = 0.0
    decrease: float = 0.0
    least: float | None = None
    most: float = -1.0
    least_at: int = 0
    most_at: int = 0


class Charts(msgspec.Struct):
    """By signal name. `drifted` changes it in place."""

    of: dict[str, Chart] = {}


def place(counts: NDArray[np.integer], shares: NDArray[np.float64]) -> float:
    """Where an entity's queries lie among honest ones: 0 (all below) to 1; 1/2 for an honest law. NaN without queries.

    counts (BINS,): of its queries in this tick, one signal. shares (BINS,): of honest queries.

    >>> place(np.array([0, 1, 1]), np.array([0.5, 0.25, 0.25]))
    0.75
    """
    total = counts.sum()
    return float(counts @ middles(shares) / total) if total else float("nan")


def drifted(state: Charts, signals: Sequence[str], places: Iterable[NDArray[np.float64]], at: int) -> list[Moved]:
    """One tick. places: of each entity that is not under suspicion, (F,), NaN where it asked nothing; in any order."""
    rows = np.array(list(places), np.float64).reshape(-1, len(signals))
    moved = []
    for f, signal in enumerate(signals):
        present = rows[~np.isnan(rows[:, f]), f]
        if len(present) < FEWEST:
            continue
        parts = np.rint(present * PPM).astype(np.int64)
        mean = int(parts.sum()) / (PPM * len(parts))
        chart = state.of.setdefault(signal, Chart())
        size = _charted(chart, mean, _UNIFORM_SPREAD / sqrt(len(parts)) / 4, at)
        if size is not None:
            moved.append(Moved(signal, at, _began(chart), size, len(parts)))
            state.of[signal] = Chart()  # what came is the new normal, until a refit
    return moved


def _charted(chart: Chart, mean: float, least: float, at: int) -> float | None:
    """The size of the move when the mean of this tick shows one. least: no unit is smaller."""
    if chart.unit == 0.0:
        chart.warm.append(mean)
        if len(chart.warm) == WARM_UP:
            chart.centre = float(np.mean(chart.warm))
            chart.unit = max(float(np.std(chart.warm, ddof=1)), least)
            chart.warm = []
        return None
    value = (mean - chart.centre) / chart.unit
    test = _restored(chart)
    test.update(value)  # type: ignore[no-untyped-call]
    _saved(chart, test, at)
    return value if test.drift_detected else None


def _began(chart: Chart) -> int:
    """Page's estimate: where the sum that rose was last at its extreme."""
    rose, fell = chart.increase - (chart.least or 0.0), chart.most - chart.decrease
    return chart.least_at if rose > fell else chart.most_at


def _restored(chart: Chart) -> PageHinkley:
    test = PageHinkley(min_instances=1, delta=ALLOWED, threshold=PATIENCE, alpha=1.0, mode="both")
    # The mean of the warm-up counts as what was seen there: the first days must not set what is usual.
    test._x_mean = Mean._from_state(chart.n or WARM_UP, chart.mean)
    test._sum_increase, test._sum_decrease = chart.increase, chart.decrease
    if chart.least is not None:
        test._min_increase, test._max_decrease = chart.least, chart.most  # type: ignore[assignment]
    return test


def _saved(chart: Chart, test: PageHinkley, at: int) -> None:
    chart.n, chart.mean = test._x_mean.n, test._x_mean.get()
    chart.increase, chart.decrease = test._sum_increase, test._sum_decrease
    chart.least, chart.most = test._min_increase, test._max_decrease
    if chart.least == chart.increase:
        chart.least_at = at
    if chart.most == chart.decrease:
        chart.most_at = at
