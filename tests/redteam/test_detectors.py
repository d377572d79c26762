"""Every detector of the range keeps its contract, and its promise on those who calibrated it."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest

from detector.errors import SettingsError
from detector.redteam.detectors import BASELINES, Asked, Detector, conformal, detector_named
from detector.redteam.detectors.mmd import Mmd

SHARE = 0.1


def client(rng: np.random.Generator, n: int, *, centre: float = 0.0) -> Asked:
    labels = rng.integers(3, size=n)
    return Asked(rng.normal(centre, 1.0, (n, 6)) + labels[:, None], labels, np.eye(3)[labels], np.arange(n))


def honest(n: int = 60) -> list[Asked]:
    rng = np.random.default_rng(3)
    return [client(rng, int(rng.integers(20, 260))) for _ in range(n)]


@pytest.mark.parametrize("name", [name for name, _ in BASELINES])
def test_names_no_more_than_was_promised_of_those_who_calibrated(name: str) -> None:
    detector = detector_named(name)
    calibrated = detector.fit(honest(), SHARE)
    named = [at for one in honest() if (at := detector.first_alarm(one)) is not None]
    assert calibrated is not None
    assert len(named) <= 2 * SHARE * 60  # half of MMD's clients are its reference, on which it promises nothing
    assert all(1 <= at <= 260 for at in named)


@pytest.mark.parametrize("name", [name for name, _ in BASELINES])
def test_an_alarm_stands_whatever_is_asked_after_it(name: str) -> None:
    detector = detector_named(name)
    detector.fit(honest(), SHARE)
    long = client(np.random.default_rng(5), 1700, centre=3.0)
    at = detector.first_alarm(long)
    if at is not None:
        cut = Asked(long.inputs[:at], long.labels[:at], None, long.at[:at])
        assert detector.first_alarm(cut) == at


@pytest.mark.parametrize(("window", "queries"), [(100, 300), (1500, 1700)])
def test_mmd_names_a_shift_when_the_first_window_is_full(window: int, queries: int) -> None:
    """1,500 queries are more than any of these honest clients asked: windows over clients set that threshold."""
    detector = Mmd(window)
    detector.fit(honest(), SHARE)
    assert detector.first_alarm(client(np.random.default_rng(1), queries, centre=2.0)) == window
    assert detector.first_alarm(client(np.random.default_rng(1), window - 1, centre=2.0)) is None


def test_the_threshold_is_conformal() -> None:
    everybody = np.random.default_rng(0).permutation(200).astype(float)
    passed = sum(x > conformal.threshold(np.delete(everybody, i), 0.05) for i, x in enumerate(everybody))
    assert passed / len(everybody) <= 0.05
    assert conformal.threshold([1.0] * 50, 0.01) == np.inf
    assert conformal.expected(100, 50, conformal.rank(50, 0.01)) == (0, 0)


class ByVolume:
    """An adapter as a user writes it."""

    def fit(self, honest: Sequence[Asked], share: float) -> None:
        self.most = int(np.quantile([len(one.labels) for one in honest], 1 - share))

    def first_alarm(self, client: Asked) -> int | None:
        return self.most + 1 if len(client.labels) > self.most else None


def test_an_adapter_is_found_by_its_name() -> None:
    detector: Detector = detector_named("python:tests.redteam.test_detectors:ByVolume")
    assert detector.fit(honest(), SHARE) is None
    assert detector.first_alarm(client(np.random.default_rng(0), 1000)) is not None


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ("prda", 'did you mean "prada"'),
        ("python:no.such.module:X", "no.such"),
        ("python:tests.redteam.test_detectors:Nothing", "has no Nothing"),
        ("python:tests.redteam.test_detectors:SHARE", "cannot be called"),
        ("python:builtins:dict", "has no fit and no first_alarm"),
        ("python:builtins", "names nothing"),
    ],
)
def test_what_is_no_detector_is_refused(wrong: str, said: str) -> None:
    with pytest.raises(SettingsError, match=said):
        detector_named(wrong)
