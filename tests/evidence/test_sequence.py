"""The word of the sequence model in the score: its scale is that of the channels, and it does not speak too soon."""

from __future__ import annotations

import numpy as np
import pytest

from detector.entities import BINS
from detector.evidence import kernels, law, sequence, sums
from detector.evidence.law import Law
from tests.evidence.laws import HONEST, F, blank, evidence_of, made

CENTRE, KNEE, LEADS = 1.0, 3.0, 0.5


def speaking(rise: float = 0.0) -> Law:
    """A model that says 1 nat more for each e-fold of the first signal's highest bin, and whose words are rare."""
    weights = np.zeros((F, BINS))
    weights[0, -1] = 1.0
    return law.make(*made([HONEST])[:-3], weights, np.array([0.5, rise, CENTRE, KNEE, 1.0, 0.3, LEADS]))


def word(counts: list[int], known: Law) -> float:
    rows, line = blank(), sums.lines(F, 1)
    rows["counts"][0, 0, 0] = counts
    sums.refresh(rows[0], line[0], known.tables[0])
    return float(sequence.word_of(line[0], known.tables[0]))


def seen(n: int, high: int) -> list[int]:
    return [n - high] + [0] * (BINS - 2) + [high]


def test_half_is_what_one_honest_client_in_ten_says_and_it_leads() -> None:
    known = speaking()
    share = known.shares[0, -1]
    high = next(high for high in range(1, 60) if np.log1p(high / (10 * share)) - np.log1p(6.0) > KNEE - 0.5)
    nats = 0.5 + np.log1p(high / (10 * share)) - np.log1p(6.0)
    expected = 0.5 + np.log1p(0.3 * (nats - KNEE)) / (0.3 * 2 * np.log(10)) + LEADS
    assert word(seen(60, high), known) == pytest.approx(expected)
    assert told(seen(60, high), known) == round(100 * (expected - LEADS))


def test_what_most_honest_clients_say_is_nothing() -> None:
    assert word(seen(60, 0), speaking()) == -np.inf
    assert told(seen(60, 0), speaking()) == 0


def test_it_does_not_speak_of_fewer_queries_than_it_was_taught_on() -> None:
    assert word(seen(7, 7), speaking()) == -np.inf
    assert word(seen(8, 8), speaking()) > 0.5


def test_what_rises_with_volume_is_taken_off() -> None:
    assert word(seen(256, 200), speaking(rise=0.5)) < word(seen(256, 200), speaking())
    assert word(seen(32, 20), speaking(rise=0.5)) == word(seen(32, 20), speaking())


def test_without_a_model_nobody_speaks_and_evidence_stands_beside_it() -> None:
    silent = made([HONEST])
    assert word(seen(60, 60), silent) == -np.inf
    assert told(seen(60, 60), silent) == 0
    found = [evidence_of(np.array(seen(60, 60)), known) for known in (silent, speaking())]
    np.testing.assert_array_equal(*found)


@pytest.mark.parametrize("first", [0, law.TABLE - 3])
def test_what_is_kept_is_what_the_counts_say(first: int) -> None:
    """Bit for bit, also where counts leave the tables."""
    known = speaking()
    tables = known.tables[0]
    rows, line, anew = blank(), sums.lines(F, 1), sums.lines(F, 1)
    rows["counts"][0, 0, 0, -1] = first
    sums.refresh(rows[0], line[0], tables)
    for b in (BINS - 1, 0, BINS - 1, 3, BINS - 1, BINS - 1):
        query = np.full((1, F), kernels.NO_BIN, np.uint8)
        query[0, 0] = b
        kernels.count_bins(rows[0], line[0], query, 0, tables)
        sums.refresh(rows[0], anew[0], tables)
        assert line[0].tobytes() == anew[0].tobytes()
        kept = tables["heard"][law.BIAS] + line["said"][0].sum()
        assert sequence.logit_of(rows[0], tables) == kept


def told(counts: list[int], known: Law) -> int:
    of = np.zeros((1, F, BINS), np.uint16)
    of[0, 0] = counts
    return int(sequence.told_of(of, known.tables)[0])
