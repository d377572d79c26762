"""Code lengths are exactly those of one's own counts; whoever repeats or spreads more than honest clients is seen."""

from __future__ import annotations

from collections.abc import Sequence
from math import log2

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from detector.profile.artefact import Profile
from detector.query import ABSENT, NO_LABEL
from features import entropy
from features.cells import CELLS, cells_of
from features.contract import LABELS, Rows, stage_of
from tests import people
from tests.asked import asked
from tests.features.oddness import cells_in, oddness, pool, share_odd, stream
from tests.layouts import CLIENT_ROW

Learned = dict[str, np.ndarray]


def measured(learned: Learned, n: int, **columns: object) -> tuple[np.ndarray, np.ndarray, Rows]:
    rows = np.zeros(1, CLIENT_ROW)
    values, stages = np.empty((n, 3)), np.empty((n, 3), np.int8)
    entropy.FEATURE.measure(asked(n, **columns), rows, learned, values, stages)
    return values, stages, rows


def code_lengths(kinds: Sequence[int], size: int) -> list[float]:
    """Krichevsky-Trofimov of what came before, all counts halved when one is full; NaN for the first."""
    counts, found = [0] * size, []
    for kind in kinds:
        total = sum(counts)
        found.append(log2((total + size / 2) / (counts[kind] + 0.5)) if total else np.nan)
        if counts[kind] >= entropy.FULL:
            counts = [count // 2 for count in counts]
        counts[kind] += 1
    return found


@given(labels=st.lists(st.integers(0, LABELS - 1), min_size=1, max_size=60))
def test_a_code_length_is_that_of_the_own_counts(learned: Learned, labels: list[int]) -> None:
    values, _, _ = measured(learned, len(labels), labels=labels)
    np.testing.assert_allclose(values[:, 0], code_lengths(labels, LABELS), rtol=1e-12)


@pytest.mark.parametrize("often", [0.5, 0.97, 1.0])
def test_so_it_is_when_counts_were_full_and_halved(learned: Learned, often: float) -> None:
    rng = np.random.default_rng(1)
    labels = np.where(rng.random(2_000) < often, 3, rng.integers(LABELS, size=2_000))
    values, _, rows = measured(learned, len(labels), labels=labels)
    np.testing.assert_allclose(values[:, 0], code_lengths(labels.tolist(), LABELS), rtol=1e-12)
    assert rows["entropy_labels"].max() <= entropy.FULL
    assert rows["entropy_totals"][0, 0] == rows["entropy_labels"].sum()
    assert rows["entropy_seen"] == 2_000


def test_cells_are_those_that_coverage_learned(learned: Learned) -> None:
    x = np.random.default_rng(2).integers(-4_000, 4_000, (300, 16)).astype(np.int16)
    values, _, _ = measured(learned, 300, x=x)
    kinds = cells_of(x, learned["cells"]).tolist()
    np.testing.assert_allclose(values[:, 1], code_lengths(kinds, CELLS), rtol=1e-12)


@given(second=st.lists(st.floats(0.0, 1.0), min_size=1, max_size=40))
def test_confidence_is_told_by_halvings(learned: Learned, second: list[float]) -> None:
    """1 against 0.6: none; against 0.5: one; against 0.001: as many as are told apart."""
    top = [[1.0, p] for p in second]
    kinds = [next((k for k in range(7) if 2.0 ** -(k + 1) < p), 7) for p in second]
    values, _, _ = measured(learned, len(top), top=top)
    np.testing.assert_allclose(values[:, 2], code_lengths(kinds, entropy.CONFIDENCES), rtol=1e-12)


def test_queries_without_an_answer_are_absent_and_not_counted(learned: Learned) -> None:
    labels, top = [1, NO_LABEL, 1], [[0.9, 0.1], [ABSENT, ABSENT], [0.9, 0.1]]
    values, _, rows = measured(learned, 3, labels=labels, top=top)
    assert np.isnan(values[1, [0, 2]]).all()
    assert values[2, 0] == pytest.approx(log2((1 + LABELS / 2) / 1.5))
    assert rows["entropy_totals"].tolist() == [[2, 3, 2]]


def test_stages_are_those_of_all_queries(learned: Learned) -> None:
    _, stages, _ = measured(learned, 600, labels=np.full(600, NO_LABEL))
    assert stages.tolist() == [[stage_of(n)] * 3 for n in range(600)]


def test_the_mean_of_an_even_mix_is_its_entropy_and_a_habit_needs_less(learned: Learned) -> None:
    rng = np.random.default_rng(4)
    even, _, _ = measured(learned, 3_000, labels=rng.integers(8, size=3_000))
    habit, _, _ = measured(learned, 3_000, labels=np.where(rng.random(3_000) < 0.9, 0, rng.integers(8, size=3_000)))
    assert np.nanmean(even[500:, 0]) == pytest.approx(3.0, abs=0.1)
    assert np.nanmean(habit[500:, 0]) < 1.0


# -- under a profile


def test_who_asks_for_one_class_or_the_unsure_or_from_one_cell_is_caught(profile: Profile) -> None:
    inputs = pool()
    said = people.answers(inputs)
    top = np.sort(said, 1)
    cells = cells_in(profile, inputs)
    found = oddness(
        profile,
        [
            *stream("class", inputs[said.argmax(1) == 0][:200]),
            *stream("unsure", inputs[np.argsort(top[:, -1] - top[:, -2])[:200]]),
            *stream("cell", inputs[cells == np.bincount(cells).argmax()][:60]),
        ],
    )
    assert found["class"]["entropy.label"] > 0.75  # many an honest client asks for hardly anything else
    assert found["unsure"]["entropy.confidence"] > 1.0
    assert found["cell"]["entropy.cell"] > 2.0  # one honest client in ten thousand


@pytest.mark.parametrize("signal", [signal.name for signal in entropy.SIGNALS])
def test_honest_clients_are_left_alone(profile: Profile, signal: str) -> None:
    assert share_odd(profile, signal) <= 0.07
