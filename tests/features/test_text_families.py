"""What the families of text promise, and what `follow.order` tells apart."""

from __future__ import annotations

import numpy as np
import pytest

from detector.profile.artefact import client_row, group_row
from detector.query import Batch
from detector.text.form import FORM, forms
from features import TEXT
from features.contract import STAGES, Feature, Reference, Rows
from tests.asked import asked

ROW = client_row(TEXT)
POINTS = np.random.default_rng(0).integers(-900, 900, (80, 16)).astype(np.int16)
LEARNED = TEXT.learn(Reference(POINTS, np.zeros(80, np.int32), 0))
every_family = pytest.mark.parametrize("feature", TEXT.features, ids=lambda feature: feature.name)


def fresh(entities: int = 2) -> Rows:
    rows = np.zeros(entities, ROW)
    rows["salt"] = np.arange(1, entities + 1, dtype=np.uint64) * np.uint64(0x9E3779B97F4A7C15)
    return rows


def batch_of(topics: np.ndarray, seed: int, entities: int = 1) -> Batch:
    rng = np.random.default_rng(seed)
    centres = np.random.default_rng(99).normal(0, 1_500, (50, 16))
    n = len(topics)
    x = (centres[topics] + rng.normal(0, 700, (n, 16))).clip(-8191, 8191)
    written = [f"{['what', 'how', 'why'][rng.integers(3)]} {'x' * rng.integers(1, 40)}?" for _ in range(n)]
    form = forms(written, [None] * n)
    return asked(
        n,
        slots=rng.integers(entities, size=n),
        at=np.cumsum(rng.exponential(2e6, n).astype(np.int64)),
        x=x,
        residual=rng.exponential(500, n),
        form=form,
    )


LONG = batch_of(np.random.default_rng(1).integers(50, size=300), 2, entities=2)


def measured(feature: Feature, batch: Batch, rows: Rows) -> tuple[np.ndarray, np.ndarray]:
    values = np.full((len(batch), len(feature.signals)), 12345.0)
    stages = np.full((len(batch), len(feature.signals)), -1, np.int8)
    feature.measure(batch, rows, LEARNED, values, stages)
    return values, stages


@every_family
@pytest.mark.parametrize("size", [1, 7])
def test_cutting_a_stream_into_other_batches_changes_no_bit(feature: Feature, size: int) -> None:
    at_once, piecewise = fresh(), fresh()
    values, stages = measured(feature, LONG, at_once)
    parts = [measured(feature, LONG.part(i, min(i + size, 300)), piecewise) for i in range(0, 300, size)]
    assert values.tobytes() == np.concatenate([part for part, _ in parts]).tobytes()
    assert stages.tobytes() == np.concatenate([part for _, part in parts]).tobytes()
    assert at_once.tobytes() == piecewise.tobytes()


@every_family
def test_an_entity_is_measured_by_its_own_prompts_in_fields_of_the_family(feature: Feature) -> None:
    together, alone = fresh(), fresh()
    values, stages = measured(feature, LONG, together)
    assert not (values == 12345.0).any()
    for entity in range(2):
        mine = np.flatnonzero(LONG.slots == entity)
        assert measured(feature, LONG.taken(mine), alone)[0].tobytes() == values[mine].tobytes()
    own = {field.name for field in feature.fields}
    for name in ROW.names or ():
        assert name in own or (together[name] == fresh()[name]).all()
    for signal, of in zip(feature.signals, stages.T, strict=True):
        assert of.min() >= 0
        assert of.max() < (STAGES if signal.staged else 1)


def test_rows_stay_within_the_bounds() -> None:
    assert ROW.itemsize <= 6144
    assert group_row(TEXT).itemsize <= 2560
    assert LONG.form.shape[1] == len(FORM)


def order(topics: np.ndarray, seed: int = 5) -> np.ndarray:
    (follow,) = [feature for feature in TEXT.features if feature.name == "follow"]
    values, _ = measured(follow, batch_of(topics, seed), fresh(1))
    return values[:, 0][~np.isnan(values[:, 0])]


def test_any_place_is_as_likely_as_any_other_in_a_shuffled_set() -> None:
    """Whatever the set is: here one in which a few matters come again and again."""
    found = np.concatenate([order(np.random.default_rng(s).integers(5, size=400), s) for s in range(8)])
    counts = np.bincount((found * 16).astype(int), minlength=16)
    assert (
        (counts - len(found) / 16) ** 2 / (len(found) / 16)
    ).sum() < 37.7  # chi-square, 15 degrees: one in a thousand


def test_who_stays_with_a_matter_stands_high() -> None:
    assert order(np.repeat(np.random.default_rng(3).integers(50, size=60), 6)).mean() > 0.7
