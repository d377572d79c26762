"""What every signal family promises, over the whole registry."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from detector.query import NO_LABEL, Batch
from detector.reasons import sentence
from features import NUMBERS
from features.contract import STAGES, Feature, Rows, Signal
from tests import strategies
from tests.asked import asked
from tests.layouts import CLIENT_ROW, GROUP_ROW

Learned = dict[str, NDArray[Any]]
Measured = tuple[NDArray[np.float64], NDArray[np.int8]]
CLIENT_BYTES, GROUP_BYTES = 6144, 2560  # the design's "Row"

every_family = pytest.mark.parametrize("feature", NUMBERS.features, ids=lambda feature: feature.name)
every_signal = pytest.mark.parametrize("signal", NUMBERS.signals, ids=lambda signal: signal.name)


def fresh(entities: int = 3) -> Rows:
    rows = np.zeros(entities, CLIENT_ROW)
    rows["salt"] = np.arange(1, entities + 1, dtype=np.uint64) * np.uint64(0x9E3779B97F4A7C15)
    return rows


def measured(feature: Feature, batch: Batch, rows: Rows, learned: Learned) -> Measured:
    values = np.full((len(batch), len(feature.signals)), 12345.0)
    stages = np.full((len(batch), len(feature.signals)), -1, np.int8)
    feature.measure(batch, rows, learned, values, stages)
    return values, stages


def in_pieces(feature: Feature, batch: Batch, sizes: list[int], rows: Rows, learned: Learned) -> Measured:
    pieces, start, following = [], 0, iter(sizes)
    while start < len(batch):
        stop = min(start + next(following, 1), len(batch))
        pieces.append(measured(feature, batch.part(start, stop), rows, learned))
        start = stop
    values, stages = zip(*pieces, strict=True)
    return np.concatenate(values), np.concatenate(stages)


def long_batch(n: int, entities: int) -> Batch:
    """Enough queries to fill every memory."""
    rng = np.random.default_rng(8)
    x = (rng.normal(0, 1500, (n, 16))).clip(-8191, 8191).astype(np.int16)
    return asked(
        n,
        slots=rng.integers(entities, size=n),
        at=np.cumsum(rng.exponential(2e6, n).astype(np.int64)),
        x=x,
        residual=rng.exponential(500, n),
        roughness=rng.random(n),
        labels=rng.integers(3, size=n),
        top=np.sort(rng.random((n, 2)))[:, ::-1].copy(),
        ids=np.arange(1, n + 1),
    )


@every_family
@given(batch=strategies.batches(), sizes=strategies.cuts)
def test_cutting_a_stream_into_other_batches_changes_no_bit(
    feature: Feature, batch: Batch, sizes: list[int], learned: Learned
) -> None:
    at_once, piecewise = fresh(), fresh()
    values, stages = measured(feature, batch, at_once, learned)
    again, staged_again = in_pieces(feature, batch, sizes, piecewise, learned)
    assert values.tobytes() == again.tobytes()
    assert stages.tobytes() == staged_again.tobytes()
    assert at_once.tobytes() == piecewise.tobytes()


@every_family
@pytest.mark.parametrize("size", [1, 7, 512])
def test_nor_does_it_when_memories_are_full(feature: Feature, size: int, learned: Learned) -> None:
    batch = long_batch(1_200, 2)
    at_once, piecewise = fresh(), fresh()
    values, _ = measured(feature, batch, at_once, learned)
    again, _ = in_pieces(feature, batch, [size] * 1_200, piecewise, learned)
    assert values.tobytes() == again.tobytes()
    assert at_once.tobytes() == piecewise.tobytes()


@every_family
@given(batch=strategies.batches())
def test_an_entity_is_measured_by_its_own_queries_alone(feature: Feature, batch: Batch, learned: Learned) -> None:
    together, alone = fresh(), fresh()
    values, stages = measured(feature, batch, together, learned)
    for entity in range(3):
        mine = np.flatnonzero(batch.slots == entity)
        own, own_stages = measured(feature, batch.taken(mine), alone, learned)
        assert own.tobytes() == values[mine].tobytes()
        assert own_stages.tobytes() == stages[mine].tobytes()
    assert together.tobytes() == alone.tobytes()


@every_family
@given(batch=strategies.batches(), seed=st.integers(0, 2**16))
def test_a_family_touches_its_own_fields_only(feature: Feature, batch: Batch, seed: int, learned: Learned) -> None:
    rows = fresh()
    own = {field.name for field in feature.fields}
    others = [name for name in CLIENT_ROW.names or () if name not in own]
    rng = np.random.default_rng(seed)
    for name in others:
        rows[name] = rng.integers(100, size=rows[name].shape)
    before = rows.copy()
    measured(feature, batch, rows, learned)
    for name in others:
        np.testing.assert_array_equal(rows[name], before[name], err_msg=name)


@every_family
def test_fields_and_signals_carry_the_familys_name(feature: Feature) -> None:
    assert all(field.name.startswith(f"{feature.name}_") for field in feature.fields)
    assert all(signal.name.startswith(f"{feature.name}.") for signal in feature.signals)


def test_signals_have_names_of_their_own() -> None:
    names = list(NUMBERS.names)
    assert len(set(names)) == len(names)


@every_family
def test_every_value_is_filled_and_stages_stay_in_their_range(feature: Feature, learned: Learned) -> None:
    values, stages = measured(feature, long_batch(600, 1), fresh(), learned)
    assert not (values == 12345.0).any()
    for signal, own in zip(feature.signals, stages.T, strict=True):
        assert own.min() >= 0
        assert own.max() < (STAGES if signal.staged else 1)


@every_family
def test_what_the_log_does_not_carry_is_absent_and_never_zero(feature: Feature, learned: Learned) -> None:
    """A signal either does not look at the answer, or is NaN without one."""
    full = long_batch(50, 1)
    bare = asked(50, at=full.at, x=full.x, residual=full.residual, labels=np.full(50, NO_LABEL))
    with_answers, _ = measured(feature, full, fresh(), learned)
    without, _ = measured(feature, bare, fresh(), learned)
    for signal, told, untold in zip(feature.signals, with_answers.T, without.T, strict=True):
        assert np.array_equal(told, untold, equal_nan=True) or np.isnan(untold).all(), signal.name


@every_family
@given(batch=strategies.batches())
def test_an_additive_signal_depends_on_the_query_alone(feature: Feature, batch: Batch, learned: Learned) -> None:
    values, _ = measured(feature, batch, fresh(), learned)
    additive = [i for i, signal in enumerate(feature.signals) if signal.additive]
    for n in range(len(batch)):
        alone, _ = measured(feature, batch.part(n, n + 1), fresh(), learned)
        assert alone[0, additive].tobytes() == values[n, additive].tobytes()


@every_signal
@pytest.mark.parametrize("tail", [-3, 3])
def test_a_signal_says_in_a_sentence_what_stands_out(signal: Signal, tail: int) -> None:
    text = sentence(signal, 625, tail)
    assert text.startswith("62.5% of its queries ")
    assert text.endswith(".")
    assert "99.7% of honest queries" in text
    assert "{" not in text


def test_the_whole_registry_fills_one_table_in_its_order(learned: Learned) -> None:
    batch = long_batch(80, 2)
    values, stages = NUMBERS.measure(batch, fresh(), learned)
    apart = [measured(feature, batch, fresh(), learned) for feature in NUMBERS.features]
    assert values.tobytes() == np.concatenate([v for v, _ in apart], 1).tobytes()
    assert stages.tobytes() == np.concatenate([s for _, s in apart], 1).tobytes()


def test_rows_keep_to_their_bounds() -> None:
    assert CLIENT_ROW.itemsize <= CLIENT_BYTES
    assert GROUP_ROW.itemsize <= GROUP_BYTES


@pytest.mark.parametrize("layout", [CLIENT_ROW, GROUP_ROW], ids=["client", "group"])
def test_rows_are_little_endian_without_holes(layout: np.dtype[np.void]) -> None:
    fields = (layout.fields or {}).values()
    assert sum(spec[0].itemsize for spec in fields) == layout.itemsize
    assert layout.itemsize % 8 == 0
    assert all(spec[0].base.str[0] in "<|" for spec in fields)
