"""The judge of the promise, judged: counts from its own law pass, counts of a broken promise do not."""

from __future__ import annotations

import numpy as np

from bench.promise import Judged, _row
from detector.profile.calibration import rank_of

M, N, REFITS = 750, 600, 200


def row(true_share_times: float) -> tuple[str, ...]:
    rng = np.random.default_rng(5)
    k = rank_of(0.05, M)
    assert k is not None
    shares = np.clip(true_share_times * rng.beta(M + 1 - k, k, REFITS), 0, 1)
    counts = rng.binomial(N, shares)
    return _row([Judged(0.05, None, M, k, N, int(passed)) for passed in counts])


def test_counts_from_the_law_of_the_promise_are_uniform_in_it() -> None:
    _, _, _, outside, _, p = row(1.0)
    assert int(outside.split()[0]) <= 0.1 * REFITS
    assert float(p) > 0.01


def test_twice_the_promised_share_is_seen() -> None:
    _, _, _, outside, _, p = row(2.0)
    assert int(outside.split()[0]) > 0.5 * REFITS
    assert float(p) == 0.0
