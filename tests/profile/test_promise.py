"""The promise end to end: over many calibrations, fresh honest clients are named as seldom as it says."""

from __future__ import annotations

import numpy as np
import pytest

from detector.profile.artefact import Profile
from tests import people
from tests.conftest import fitted
from tests.driving import drive, pipeline

PROMISE = 0.1
FRESH = 300


def named(made: Profile, seed: int) -> float:
    """The share of fresh honest clients and groups that any alert names, and of clients alone."""
    found = drive(pipeline(made), people.chunks(people.log_of(people.honest(seed, FRESH))))
    return len({(a.entity.kind, a.entity.id) for a in found.alerts if a.entity.kind == "client"}) / FRESH


@pytest.mark.slow
def test_on_average_over_calibrations_the_promise_is_kept() -> None:
    """Twenty fits, each on its own clients and judged on others; one-sided, at three standard errors."""
    shares = []
    for seed in range(20):
        log = people.log_of(people.honest(1_000 + seed, 300))
        shares.append(named(fitted(log, promise=PROMISE, seed=seed), 2_000 + seed))
    assert np.mean(shares) <= PROMISE + 3 * np.std(shares) / np.sqrt(len(shares))
    assert np.mean(shares) > PROMISE / 3  # nor is it empty


@pytest.mark.slow
def test_with_confidence_most_calibrations_keep_it() -> None:
    """Nine of ten promised; of twenty, fewer than fourteen would happen once in a hundred times."""
    kept = 0
    for seed in range(20):
        log = people.log_of(people.honest(3_000 + seed, 300))
        made = fitted(log, promise=PROMISE, confidence=0.9, seed=seed)
        kept += named(made, 4_000 + seed) <= PROMISE + 3 * np.sqrt(PROMISE * (1 - PROMISE) / FRESH)
    assert kept >= 14
