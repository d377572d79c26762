"""When an entity is looked at, and that looks of all sizes compare."""

from __future__ import annotations

import numpy as np
import pytest

from detector.errors import ProfileError
from detector.evidence.kernels import FIRST_LOOK as FIRST
from detector.evidence.kernels import is_look
from detector.learned.looks import LOOKS, index_of, scales
from detector.profile.calibration import Scale


def test_looks_are_the_doublings_of_sixteen() -> None:
    assert [n for n in range(2_000) if is_look(n)] == [16, 32, 64, 128, 256, 512, 1024]
    assert [index_of(FIRST << i) for i in range(LOOKS + 3)] == [*range(LOOKS), *[LOOKS - 1] * 3]


def test_every_look_comes_to_median_0_and_99th_percentile_1() -> None:
    rng = np.random.default_rng(2)
    found = [(16 << i, (i + 1) * s) for i in range(5) for s in rng.exponential(size=2_000)]
    fitted = scales(found)
    for i in range(5):
        channel = [fitted.channel(n, s) for n, s in found if n == 16 << i]
        assert np.median(channel) == pytest.approx(0.0, abs=1e-9)
        assert np.quantile(channel, 0.99) == pytest.approx(1.0, abs=0.1)


def test_a_look_with_few_clients_borrows_the_nearest_scale() -> None:
    rng = np.random.default_rng(2)
    found = [(16, s) for s in rng.normal(size=50)] + [(128, s) for s in rng.normal(5, 2, size=50)] + [(256, 9.0)]
    fitted = scales(found)
    assert fitted.of[1] == fitted.of[0]
    assert fitted.of[4] == fitted.of[LOOKS - 1] == fitted.of[3]
    assert above(fitted.of[3]) > above(fitted.of[0])
    assert fitted.seen[:5] == (50, 0, 0, 50, 1)


def test_a_look_at_which_all_agree_has_a_spread_that_is_not_nothing() -> None:
    rng = np.random.default_rng(2)
    fitted = scales([(16, 0.3)] * 50 + [(32, s) for s in rng.normal(size=500)])
    assert fitted.of[0].spread > 0.04 * fitted.of[1].spread
    assert above(fitted.of[0]) > 0.04 * fitted.of[1].spread


def above(scale: Scale) -> float:
    """From the median to the 90th percentile."""
    return scale.knee - scale.centre


def test_too_few_looks_are_refused() -> None:
    with pytest.raises(ProfileError, match="none of them has 30"):
        scales([(16, 0.0)] * 29)


def test_the_boundary_rises_from_32_queries() -> None:
    fitted = scales([(16, s) for s in np.random.default_rng(1).normal(size=100)])
    flat, sloped = (fitted.channel(256, 2.0, slope) for slope in (0.0, 0.1))
    assert flat - sloped == pytest.approx(0.3)
    assert fitted.channel(32, 2.0, 0.1) == fitted.channel(32, 2.0)
