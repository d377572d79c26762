"""What a setting may say of the one-class model, and how it is refused."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from detector.errors import SettingsError
from detector.learned.kinds import DETECTORS, SCALERS, Choice, Step, checked

TREES = "river.anomaly.HalfSpaceTrees"


@pytest.mark.parametrize("kind", DETECTORS)
@pytest.mark.parametrize("scaler", [None, *SCALERS])
def test_every_listed_class_can_be_chosen(kind: str, scaler: str | None) -> None:
    choice = Choice(Step(kind), (Step(scaler),) if scaler else ())
    assert msgspec.json.decode(msgspec.json.encode(checked(choice)), type=Choice) == choice


@pytest.mark.parametrize(
    "kind",
    [
        "river.anomaly.QuantileFilter",
        "river.anomaly.PredictiveAnomalyDetection",
        "os.system",
        "river.anomaly",
        "",
        "HST",
    ],
)
def test_what_is_not_listed_is_refused(kind: str) -> None:
    with pytest.raises(SettingsError, match=r"detector\.class: unknown class"):
        checked(Choice(Step(kind)))


def test_the_nearest_class_is_named() -> None:
    with pytest.raises(SettingsError, match=r'did you mean "river.anomaly.HalfSpaceTrees"\?'):
        checked(Choice(Step("river.anomaly.HalfSpaceTree")))
    with pytest.raises(SettingsError, match=r"scalers\[0\]\.class: .*StandardScaler"):
        checked(Choice(Step(TREES), (Step("river.preprocessing.StandardScalar"),)))


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ({"n_tree": 5}, r'n_tree: unknown key; did you mean "n_trees"\?'),
        ({"n_trees": "5"}, r"n_trees: Expected `int`, got `str`"),
        ({"n_trees": True}, r"n_trees: Expected `int`, got `bool`"),
        ({"n_trees": 0}, r"n_trees: Expected `int` >= 1"),
        ({"height": 30}, r"height: Expected `int` <= 12"),
        ({"limits": {"a": 3}}, r"limits: Expected `array`, got `int` - at `\$\[\.\.\.\]`"),
        ({"seed": -1}, r"seed: Expected `int` >= 0"),
    ],
)
def test_a_wrong_parameter_is_named(parameters: dict[str, Any], message: str) -> None:
    with pytest.raises(SettingsError, match=r"detector\.parameters\." + message):
        checked(Choice(Step(TREES, parameters)))


def test_what_json_cannot_say_is_no_parameter() -> None:
    with pytest.raises(SettingsError, match="engine: unknown key"):
        checked(Choice(Step("river.anomaly.LocalOutlierFactor", {"engine": "river.neighbors.SWINN"})))
