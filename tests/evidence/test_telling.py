"""Which bins are named in an alert: the cut that says most."""

from __future__ import annotations

import numpy as np
import pytest

from detector.entities import BINS
from detector.evidence.telling import telling
from tests.evidence.laws import HONEST, F, made

LAW = made([HONEST])


def told(own: list[int]) -> tuple[int, int]:
    counts = np.zeros((F, BINS), np.uint32)
    counts[0] = own
    (shares,), (tails,) = telling(counts[None], LAW)
    assert not shares[1:].any()
    return int(shares[0]), int(tails[0])


def test_an_excess_of_high_values_is_named_with_its_honest_share() -> None:
    own = np.rint(1_000 * LAW.shares[0]).astype(int)
    own[-1] += 1_000
    share, tail = told(own.tolist())
    assert share == pytest.approx(500, abs=10)
    assert tail == pytest.approx(1_000 * LAW.shares[0, -1], abs=1)


def test_an_excess_of_low_values_has_a_negative_tail() -> None:
    share, tail = told([50, 0, 0, 0, 0, 0, 0, 25, 25, 0, 0, 0, 0, 0, 0, 0])
    assert share == 500
    assert tail == -max(round(1_000 * LAW.shares[0, 0]), 1)


def test_nobody_is_told_of_what_was_not_asked() -> None:
    assert told([0] * BINS) == (0, 0)
