"""PRADA on streams whose outcome is known."""

from __future__ import annotations

import math

import numpy as np
import pytest

from detector.redteam.detectors.prada import calibrate, distances, watch, without_outliers


def test_growing_set_by_hand() -> None:
    """Points on a line at 0, 4, 5, 9: D_G = {0, 4}, T = mean - std = 0; 5 comes in at 1, 9 at 4."""
    x = np.array([[0.0], [4.0], [5.0], [9.0]])
    nearest, sizes = distances(x, np.zeros(4, dtype=np.int64))
    assert nearest[1:].tolist() == [4.0, 1.0, 4.0]
    assert math.isnan(nearest[0])
    assert sizes.tolist() == [1, 2, 3, 4]


def test_the_threshold_keeps_near_duplicates_out() -> None:
    """After many equal gaps of 1 the mean passes the deviation: a point that is .1 away does not join."""
    x = np.append(np.arange(30.0), 29.1)[:, None]
    nearest, sizes = distances(x, np.zeros(31, dtype=np.int64))
    assert nearest[-1] == pytest.approx(0.1)
    assert sizes[-1] == sizes[-2] == 30


def test_classes_have_sets_of_their_own() -> None:
    nearest, _ = distances(np.array([[0.0], [0.1], [5.0]]), np.array([0, 1, 0]))
    assert np.isnan(nearest[:2]).all()
    assert nearest[2] == 5.0


def test_outliers_are_beyond_three_deviations() -> None:
    assert len(without_outliers(np.append(np.zeros(99), 100.0))) == 99


def test_silent_for_a_hundred_distances() -> None:
    rng = np.random.default_rng(0)
    assert math.isinf(watch(rng.normal(size=(101, 5)), np.zeros(101, dtype=np.int64)).least)
    labels = np.arange(300) % 10
    assert watch(rng.normal(size=(300, 50)), labels).looks[0] >= 111


def test_tells_a_mixture_from_natural_distances() -> None:
    """Gaussian queries in many dimensions have near-normal distances; half near-duplicates make two humps."""
    rng = np.random.default_rng(1)
    natural = rng.normal(size=(400, 100))
    labels = np.zeros(400, dtype=np.int64)
    forged = natural.copy()
    forged[1::2] = forged[::2] + 0.01
    assert watch(natural, labels).first_alarm(0.9) is None
    assert watch(natural, labels, every=10, in_class=10).first_alarm(0.9) is None
    alarm = watch(forged, labels).first_alarm(0.9)
    assert alarm is not None
    assert alarm < 130


def test_running_least_never_rises() -> None:
    trace = watch(np.random.default_rng(2).normal(size=(200, 20)), np.zeros(200, dtype=np.int64))
    assert (np.diff(trace.running_least) <= 0).all()
    assert trace.running_least[-1] == trace.least


@pytest.mark.parametrize(("m", "share"), [(99, 0.01), (199, 0.01), (250, 0.01), (500, 0.02), (40, 0.1)])
def test_calibration_flags_no_more_than_the_share(m: int, share: float) -> None:
    """The exact average over new clients: of m + 1 exchangeable ones at most the share lies below the threshold."""
    everybody = np.random.default_rng(3).permutation(m + 1).astype(float)
    flagged = sum(x < calibrate(np.delete(everybody, i), share) for i, x in enumerate(everybody))
    assert flagged / (m + 1) <= share


def test_too_few_clients_promise_nothing() -> None:
    assert calibrate([0.9] * 50, 0.01) == -math.inf
