"""The frozen model: it comes back bit for bit, does not change when asked, and calls the odd odd."""

from __future__ import annotations

import msgspec
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from detector.errors import ProfileError, SettingsError
from detector.learned.kinds import DETECTORS, SCALERS, Choice, Step
from detector.learned.oneclass import OneClass, Taught, learn
from tests.learned import population as made

CHOICES = [Choice(Step(kind)) for kind in DETECTORS]
SCALED = ("river.anomaly.HalfSpaceTrees", "river.anomaly.OneClassSVM")
CHOICES += [Choice(Step(kind), (Step(scaler),)) for scaler in SCALERS for kind in SCALED]
SOME = [Choice(Step("river.anomaly.HalfSpaceTrees")), Choice(Step("river.anomaly.LODA", {"n_random_cuts": 20}))]


def named(choice: Choice) -> str:
    return " ".join(step.kind.rpartition(".")[2] for step in (*choice.scalers, choice.detector))


def vectors(count: int = 250, seed: int = 3) -> np.ndarray:
    rng = np.random.default_rng(seed)
    return np.array([look.vector for one in made.honest(rng, count) for look in one.looks])[:count]


@pytest.mark.parametrize("choice", CHOICES, ids=named)
def test_loading_learns_again_and_scores_the_same_bits(choice: Choice) -> None:
    model = learn(choice, vectors(), made.SIGNALS, seed=5)
    saved = msgspec.json.encode(model.taught)
    again = OneClass(msgspec.json.decode(saved, type=Taught))
    fresh = vectors(60, seed=4)
    assert again.scores(fresh).tobytes() == model.scores(fresh).tobytes()
    assert msgspec.json.encode(again.taught) == saved


@pytest.mark.parametrize("choice", CHOICES, ids=named)
def test_scoring_changes_nothing(choice: Choice) -> None:
    model = learn(choice, vectors(), made.SIGNALS, seed=5)
    fresh = vectors(40, seed=4)
    before = model.scores(fresh)
    model.scores(vectors(100, seed=6) * 50.0)
    assert model.scores(fresh).tobytes() == before.tobytes()


@pytest.mark.parametrize("choice", CHOICES, ids=named)
def test_higher_is_odder(choice: Choice) -> None:
    model = learn(choice, vectors(), made.SIGNALS, seed=5)
    honest = model.scores(vectors(100, seed=4))
    loud = [look.vector for one in made.loud(np.random.default_rng(1), 30) for look in one.looks]
    assert np.median(model.scores(np.array(loud))) > np.quantile(honest, 0.9)


@pytest.mark.parametrize("choice", CHOICES, ids=named)
def test_scores_are_finite_whatever_the_vector(choice: Choice) -> None:
    width = len(made.SIGNALS)
    model = learn(choice, vectors(), made.SIGNALS, seed=5)
    odd = np.array([np.full(width, value) for value in (np.nan, np.inf, -np.inf, 1e300, -1e300, 0.0)])
    assert np.isfinite(model.scores(odd)).all()
    assert model.score(np.full(width, np.nan)) == model.score(np.zeros(width))


@pytest.mark.parametrize("choice", [c for c in CHOICES if not c.scalers], ids=named)
def test_signals_that_do_not_vary_are_no_harm(choice: Choice) -> None:
    still = vectors()
    still[:, 2] = 0.0
    model = learn(choice, still, made.SIGNALS, seed=5)
    assert np.isfinite(model.scores(still)).all()


@settings(max_examples=40)
@given(
    taught=hnp.arrays(np.float32, (60, 3), elements=st.floats(-5, 50, width=32)),
    asked=hnp.arrays(np.float64, (5, 3), elements=st.floats(allow_nan=True, allow_infinity=True)),
    choice=st.sampled_from(SOME),
    seed=st.integers(0, 2**40),
)
def test_any_vectors_teach_and_come_back(taught: np.ndarray, asked: np.ndarray, choice: Choice, seed: int) -> None:
    try:
        model = learn(choice, taught, ("a", "b", "c"), seed)
    except ProfileError as error:
        assert "alike" in str(error)  # noqa: PT017 - the other outcome is no error
        return
    again = OneClass(msgspec.msgpack.decode(msgspec.msgpack.encode(model.taught), type=Taught))
    assert again.scores(asked).tobytes() == model.scores(asked).tobytes()
    assert np.isfinite(model.scores(asked)).all()


def test_a_kept_vector_scores_as_it_did_when_it_came() -> None:
    model = learn(Choice(), vectors(), made.SIGNALS, seed=5)
    came = vectors(50, seed=4)
    assert model.scores(came).tobytes() == model.scores(came.astype("<f4")).tobytes()


def test_another_version_of_river_is_refused_with_both_names() -> None:
    model = learn(Choice(), vectors(), made.SIGNALS, seed=5)
    other = msgspec.structs.replace(model.taught, river="0.21.0")
    with pytest.raises(ProfileError, match=rf"River 0\.21\.0, and River {model.taught.river} is installed"):
        OneClass(other)


def test_too_few_vectors_are_refused() -> None:
    with pytest.raises(ProfileError, match="49 vectors are too few"):
        learn(Choice(), vectors(49), made.SIGNALS, seed=5)


def test_trees_that_would_never_be_full_are_refused() -> None:
    with pytest.raises(SettingsError, match="window_size: 1000 is never reached by 250"):
        learn(Choice(Step("river.anomaly.HalfSpaceTrees", {"window_size": 1000})), vectors(), made.SIGNALS, seed=5)


def test_a_model_that_tells_nothing_apart_is_refused() -> None:
    patient = Choice(Step("river.anomaly.GaussianScorer", {"grace_period": 5_000}))
    with pytest.raises(ProfileError, match="finds all vectors alike"):
        learn(patient, vectors(), made.SIGNALS, seed=5)


def test_limits_of_unknown_signals_are_refused() -> None:
    with pytest.raises(SettingsError, match=r'limits\.signal\.9: unknown key; did you mean "signal\.'):
        learn(
            Choice(Step("river.anomaly.HalfSpaceTrees", {"limits": {"signal.9": [0, 1]}})), vectors(), made.SIGNALS, 5
        )
