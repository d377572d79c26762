"""Of an even signal the alternative is known: what is asked has no order, so every bin is as likely as any other."""

from __future__ import annotations

import numpy as np
import pytest

from detector.entities import BINS
from detector.evidence import law
from detector.evidence.law import EVEN, KT, TABLE, Law
from detector.profile import nulls
from tests.evidence.laws import HONEST, counts_of, evidence_of, made


def even() -> Law:
    known = made([HONEST])
    edges = known.edges.copy()
    edges[0] = EVEN
    return law.make(known.active, edges, *known[2:-1])


def honest_of(counts: np.ndarray) -> float:
    return float(nulls.log_likelihood(counts[None, :].astype(np.float64), HONEST)[0])


@pytest.mark.parametrize("n", [1, 40, 300, 20 * TABLE])
def test_the_evidence_is_that_of_the_uniform_law(n: int) -> None:
    counts = counts_of(np.random.default_rng(n).integers(BINS, size=n))
    expected = -n * np.log(BINS) - honest_of(counts)
    assert evidence_of(counts, even())[KT] == pytest.approx(expected, abs=0.5, rel=0.05)


def test_a_shuffled_set_is_told_sooner_than_by_who_knows_nothing() -> None:
    counts = counts_of(np.random.default_rng(1).integers(BINS, size=30))
    assert evidence_of(counts, even())[KT] > evidence_of(counts, made([HONEST]))[KT] + 3


def test_counts_that_are_honest_are_no_evidence() -> None:
    rng = np.random.default_rng(2)
    counts = counts_of(rng.choice(BINS, 200, p=HONEST / HONEST.sum()))
    assert evidence_of(counts, even())[KT] < 0
