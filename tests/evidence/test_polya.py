"""Evidence from counts: equal to the slow products it stands for, and seldom large for the honest."""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction
from math import log

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from scipy.special import gammaln

from detector.entities import BINS
from detector.evidence import kernels, polya, sums, suprema
from detector.evidence.kernels import NO_BIN
from detector.evidence.law import CHANNELS, DILUTION, DILUTION_BET, GRAIN, KT, REACHES, TABLE, TURN, Law, odd_shares
from detector.tape import FLOOR
from tests import strategies
from tests.evidence.laws import HONEST, F, blank, counts_of, evidence_of, made, polya_bins

ROUNDED = 40 * GRAIN  # two terms a bin, each to half a grain
floats = st.floats(allow_nan=False, allow_infinity=True)


# -- the slow reference: products of predictive probabilities, exactly


def predicted(bins: Sequence[int], prior: Sequence[Fraction]) -> Fraction:
    """Probability of a sequence of bins under a Pólya urn that begins with these balls."""
    balls = list(prior)
    probability = Fraction(1)
    for b in bins:
        probability *= balls[b] / sum(balls)
        balls[b] += 1
    return probability


def mixture(bins: Sequence[int], alphas: list[list[float]]) -> Fraction:
    return sum((predicted(bins, [Fraction(a) for a in alpha]) for alpha in alphas), Fraction(0)) / len(alphas)


def like_itself(bins: Sequence[int]) -> Fraction:
    return predicted(bins, [Fraction(1, 2)] * BINS)


def log_of(probability: Fraction) -> float:
    return log(probability.numerator) - log(probability.denominator)


@given(bins=strategies.bins, alphas=strategies.alphas)
def test_kt_is_the_ratio_of_the_predictive_probabilities(bins: list[int], alphas: list[list[float]]) -> None:
    slow = log_of(like_itself(bins)) - log_of(mixture(bins, alphas))
    assert evidence_of(counts_of(bins), made(alphas))[KT] == pytest.approx(slow, abs=ROUNDED)


@given(earlier=strategies.bins, later=strategies.bins, alphas=strategies.alphas)
def test_turn_asks_what_came_after_the_mark_given_what_came_before(
    earlier: list[int], later: list[int], alphas: list[list[float]]
) -> None:
    honest = log_of(mixture(earlier + later, alphas)) - log_of(mixture(earlier, alphas))
    slow = log_of(like_itself(later)) - honest
    found = evidence_of(counts_of(earlier + later), made(alphas), counts_of(earlier))[TURN]
    assert found == pytest.approx(slow, abs=ROUNDED)


@given(bins=strategies.bins, alphas=strategies.alphas)
def test_dilution_is_the_mean_of_its_bets(bins: list[int], alphas: list[list[float]]) -> None:
    known = made(alphas)
    odd = odd_shares(known.shares[:1])[0]
    bets = [np.prod([1 - e + e * odd[b] / known.shares[0, b] for b in bins]) for e in DILUTION]
    found, slow = evidence_of(counts_of(bins), known)[DILUTION_BET], np.log(np.mean(bets))
    if np.log(np.max(bets)) > sums.LOST_BETS:
        assert found == pytest.approx(slow, abs=ROUNDED)
    else:  # nobody needs to know how little
        assert slow - np.log(len(bets)) - ROUNDED <= found <= slow + ROUNDED


@given(bins=strategies.bins, data=st.data())
def test_evidence_does_not_depend_on_the_order_of_queries(bins: list[int], data: st.DataObject) -> None:
    known = made([HONEST])
    shuffled = data.draw(st.permutations(bins))
    assert evidence_of(counts_of(bins), known).tobytes() == evidence_of(counts_of(shuffled), known).tobytes()


@given(
    counts=st.lists(st.sampled_from((0, 1, TABLE - 1, TABLE, TABLE + 1, 40_000, 65_000)), min_size=16, max_size=16),
    alpha=st.lists(st.sampled_from((1e-3, 0.4, 25.0, 1e4, 1e6)), min_size=16, max_size=16),
)
def test_counts_beyond_the_tables_agree_with_log_gamma(counts: list[int], alpha: list[float]) -> None:
    def rising(base: np.ndarray | float, n: np.ndarray | int) -> np.ndarray:
        return gammaln(base + n) - gammaln(base)

    assume(any(counts))
    n, a = np.array(counts), np.array(alpha)
    slow = rising(0.5, n).sum() - rising(BINS / 2, n.sum()) - rising(a, n).sum() + rising(a.sum(), n.sum())
    assert evidence_of(n, made([alpha]))[KT] == pytest.approx(slow, abs=ROUNDED)


@given(value=floats, cuts=st.lists(floats, min_size=BINS - 1, max_size=BINS - 1))
def test_a_value_falls_into_the_bin_that_searchsorted_names(value: float, cuts: list[float]) -> None:
    edges = np.sort(np.array(cuts))
    for v in (value, edges[0], edges[BINS // 2], edges[-1]):  # ties too
        assert polya.bin_of(v, edges[None, None], 0, 0) == np.searchsorted(edges, v, side="right")


# -- under the null


def supremum_of(bins: np.ndarray, known: Law) -> np.ndarray:
    """Each client's highest evidence (clients, CHANNELS) of the first signal over its life; bins (clients, queries)."""
    clients, queries = bins.shape
    table = np.full((clients * queries, F), NO_BIN, np.uint8)
    table[:, 0] = bins.ravel()
    highest = np.full((clients, REACHES, F, CHANNELS), -np.inf)
    runs = np.arange(len(table))
    owner = np.repeat(np.arange(clients), queries)
    suprema.of_entities(runs, runs + 1, owner, table, known, blank(clients), sums.lines(F), sums.desk(F), highest)
    found: np.ndarray = highest[:, :, 0].max(1)
    return found


def test_honest_clients_seldom_gather_evidence_whenever_one_looks() -> None:
    """Ville 1939: exp(evidence) is a martingale when the null holds, so P(ever above 1/a) <= a."""
    rng = np.random.default_rng(11)
    n = 1_500
    ever = supremum_of(polya_bins(rng, HONEST, n, 150), made([HONEST]))[:, KT]
    for a in (0.2, 0.05, 0.01):
        passed = np.mean(ever > log(1 / a))
        assert passed <= a + 3 * np.sqrt(a * (1 - a) / n)


def test_nor_do_two_kinds_of_honest_clients() -> None:
    rng = np.random.default_rng(12)
    softer = np.roll(HONEST, 3)
    bins = np.concatenate([polya_bins(rng, HONEST, 750, 100), polya_bins(rng, softer, 750, 100)])
    ever = supremum_of(bins, made([HONEST, softer]))[:, KT]
    assert np.mean(ever > log(20)) <= 0.05 + 3 * np.sqrt(0.05 * 0.95 / 1_500)


@pytest.mark.parametrize("queries", [1, 2, 5])
def test_the_mean_likelihood_ratio_of_honest_clients_is_at_most_one(queries: int) -> None:
    """At few queries, where a mean over samples can be trusted."""
    rng = np.random.default_rng(13)
    bins = polya_bins(rng, HONEST, 6_000, queries)
    known = made([HONEST])
    ratios = np.exp([evidence_of(counts_of(own), known)[KT] for own in bins])
    assert ratios.mean() <= 1 + 4 * ratios.std() / np.sqrt(len(ratios))
    assert ratios.mean() > 0.7  # nor is it cautious for nothing


def test_someone_unlike_the_others_gathers_it_soon() -> None:
    rng = np.random.default_rng(14)
    edge = np.roll(HONEST, 8)
    ever = supremum_of(polya_bins(rng, edge, 300, 60), made([HONEST]))[:, KT]
    assert np.mean(ever > log(1_000)) > 0.99


def test_a_diluted_sweep_is_seen_by_the_dilution_bet() -> None:
    """3% of the queries are odd: the bet made for that sees more than "unlike the others"."""
    rng = np.random.default_rng(15)
    bins = polya_bins(rng, HONEST, 300, 200)
    hidden = np.where(rng.random(bins.shape) < 0.03, rng.choice([0, BINS - 1], bins.shape), bins)
    ever = supremum_of(hidden, made([HONEST]))
    assert np.median(ever[:, DILUTION_BET]) > np.median(ever[:, KT]) + log(100)
    assert np.median(supremum_of(bins, made([HONEST]))[:, DILUTION_BET]) < log(10)


def test_turn_rises_when_an_account_changes_and_not_when_it_goes_on() -> None:
    rng = np.random.default_rng(16)
    known = made([HONEST])
    shares = rng.dirichlet(HONEST, 200)
    same = np.stack([rng.choice(BINS, 240, p=p) for p in shares])
    changed = same.copy()
    changed[:, 160:] = polya_bins(rng, np.roll(HONEST, 5), 200, 80)
    quiet, turned = supremum_of(same, known)[:, TURN], supremum_of(changed, known)[:, TURN]
    assert np.quantile(turned, 0.05) > np.quantile(quiet, 0.95)
    assert np.mean(quiet > log(100)) <= 0.05


@pytest.mark.parametrize(("n", "found"), [(0, 0), (15, 0), (16, 1), (31, 1), (32, 2), (64, 3), (1_024, 7)])
def test_marks_double(n: int, found: int) -> None:
    assert polya.doublings(n) == found


# -- what is kept between queries


@given(bins=st.lists(st.integers(0, BINS - 1), min_size=1, max_size=80), at=st.integers(0, 79))
def test_a_line_that_was_kept_is_the_line_that_is_made_anew(bins: list[int], at: int) -> None:
    """Bit for bit, whenever another entity takes its place or the process is started again."""
    known = made([HONEST, np.roll(HONEST, 3)])
    tables = known.tables[0]
    kept, anew = blank(), blank()
    line, other = sums.lines(F, 1), sums.lines(F, 1)
    sums.refresh(kept[0], line[0], tables)
    for i, b in enumerate(bins):
        query = np.full((1, F), NO_BIN, np.uint8)
        query[0, 0] = b
        kernels.count_bins(kept[0], line[0], query, 0, tables)
        polya.counted(kept[0], line[0], tables, 1, sums.desk(F)[0])
        if i >= at:
            anew[0] = kept[0]
            sums.refresh(anew[0], other[0], tables)
            assert line[0].tobytes() == other[0].tobytes()


@given(bins=strategies.bins, earlier=strategies.bins)
def test_what_is_not_summed_up_does_not_reach_the_floor(bins: list[int], earlier: list[int]) -> None:
    known = made([HONEST, np.roll(HONEST, 3)])
    rows, line, desk = blank(), sums.lines(F, 1), sums.desk(F)
    rows["counts"][0, 0, 0], rows["before"][0, 0] = counts_of(bins + earlier), counts_of(earlier)
    polya.laid(desk[0], known)
    sums.refresh(rows[0], line[0], known.tables[0])
    cheap = polya.score_above_floor(line[0], known.tables[0], desk[0], known.slope)
    sums.find_all(line[0], known.tables[0], desk[0])
    whole = polya.score_of(desk[0], known.slope, polya.doubled_of(polya.longest_of(line[0])))
    assert cheap == whole if whole >= FLOOR else cheap < FLOOR


def test_a_full_bin_halves_its_signal_and_evidence_goes_on() -> None:
    known = made([HONEST])
    tables = known.tables[0]
    rows, line, anew = blank(), sums.lines(F, 1), sums.lines(F, 1)
    rows["counts"][0, 0, 0, 7], rows["counts"][0, 1, 0, 7] = 40_000, kernels.FULL - 40_001
    rows["counts"][0, 0, 0, 3], rows["before"][0, 0, 7] = 9, 30_001
    sums.refresh(rows[0], line[0], tables)
    query = np.full((1, F), NO_BIN, np.uint8)
    query[0, 0] = 7
    kernels.count_bins(rows[0], line[0], query, 0, tables)
    assert rows["counts"][0, :, 0, 7].tolist() == [20_000, (kernels.FULL - 40_001) // 2]
    assert rows["counts"][0, 0, 0, 3] == 4
    assert rows["before"][0, 0, 7] == 15_000
    sums.refresh(rows[0], anew[0], tables)
    assert line[0].tobytes() == anew[0].tobytes()


def test_the_score_is_a_half_at_the_ninetieth_percentile_and_rises_by_a_half_with_each_factor_of_ten() -> None:
    centre, knee, spread, shape = 0.0, 2.0, 1.5, 0.3
    assert polya.standard(centre, centre, knee, spread, shape) == 0
    assert polya.standard(knee, centre, knee, spread, shape) == 0.5
    for tenfold in (1, 2, 3):
        beyond = spread / shape * ((0.1**tenfold) ** -shape - 1)  # the quantile of the generalised Pareto law
        score = polya.standard(knee + beyond, centre, knee, spread, shape)
        assert score == pytest.approx(0.5 + 0.5 * tenfold)
