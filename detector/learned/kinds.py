"""Which River models may be the one-class model or the classifier of triage, and what may be said of their parameters.

The list is closed: a name is looked up in it, nothing is imported by name. Left out on purpose: filters (their answer
is yes or no), `PredictiveAnomalyDetection` (it learns while it scores), `Normalizer` (it divides by the length of a
vector that may be zero, and throws away how far out a vector lies), `AdaptiveStandardScaler` (it knows the last few
vectors only, and stays there when frozen).
"""

from __future__ import annotations

import inspect
from typing import Annotated, Any, NamedTuple

import msgspec
from river import anomaly, forest, linear_model, optim, preprocessing, tree

from detector.errors import SettingsError, nearest_name

Count = Annotated[int, msgspec.Meta(ge=1, le=10_000)]
Limits = dict[str, tuple[float, float]]

# By what River's constructors say of a parameter; what is not here (optimisers, engines) cannot be written in JSON.
_TYPES: dict[str, Any] = {
    "int": Count,
    "int | None": Count | None,
    "float": float,
    "bool": bool,
    "optim.base.Scheduler | float": float,
    "dict[base.typing.FeatureName, tuple[float, float]] | None": Limits | None,
}
# Narrower than the type: what a tree of that height, or so many of them, would cost in memory.
_NARROW: dict[str, Any] = {
    "seed": Annotated[int, msgspec.Meta(ge=0, le=2**63 - 1)],
    "height": Annotated[int, msgspec.Meta(ge=1, le=12)],
    "n_trees": Annotated[int, msgspec.Meta(ge=1, le=200)],
    "n_random_cuts": Annotated[int, msgspec.Meta(ge=1, le=500)],
}


class Detector(NamedTuple):
    """univariate: it judges one number, so that there is one a signal. bounded: its scores end at 1."""

    made: type
    univariate: bool = False
    bounded: bool = False


DETECTORS: dict[str, Detector] = {
    "river.anomaly.GaussianScorer": Detector(anomaly.GaussianScorer, univariate=True, bounded=True),
    "river.anomaly.HalfSpaceTrees": Detector(anomaly.HalfSpaceTrees, bounded=True),
    "river.anomaly.LODA": Detector(anomaly.LODA),
    "river.anomaly.LocalOutlierFactor": Detector(anomaly.LocalOutlierFactor),
    "river.anomaly.OneClassSVM": Detector(anomaly.OneClassSVM),
    "river.anomaly.StandardAbsoluteDeviation": Detector(anomaly.StandardAbsoluteDeviation, univariate=True),
}
SCALERS: dict[str, type] = {
    "river.preprocessing.MaxAbsScaler": preprocessing.MaxAbsScaler,
    "river.preprocessing.MinMaxScaler": preprocessing.MinMaxScaler,
    "river.preprocessing.RobustScaler": preprocessing.RobustScaler,
    "river.preprocessing.StandardScaler": preprocessing.StandardScaler,
}
CLASSIFIERS: dict[str, type] = {
    "river.forest.ARFClassifier": forest.ARFClassifier,
    "river.linear_model.LogisticRegression": linear_model.LogisticRegression,
    "river.tree.HoeffdingTreeClassifier": tree.HoeffdingTreeClassifier,
}
RATE = "learning_rate"  # of the optimiser, which JSON cannot say otherwise


class Step(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One River model: `class`, its dotted path, and `parameters`, plain JSON values by constructor argument."""

    kind: str = msgspec.field(name="class")
    parameters: dict[str, Any] = {}


class Choice(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The one-class model: a detector, after any number of scalers."""

    detector: Step = Step("river.anomaly.HalfSpaceTrees", {"n_trees": 25, "height": 8})
    scalers: tuple[Step, ...] = ()


def checked(choice: Choice) -> Choice:
    """The choice itself; raises SettingsError, which says the place, what is wrong and what would be right.

    >>> checked(Choice(Step("river.anomaly.HalfSpaceTrees", {"hight": 6})))
    Traceback (most recent call last):
    ...
    detector.errors.SettingsError: detector.parameters.hight: unknown key; did you mean "height"?
    """
    _check("detector", choice.detector, {name: one.made for name, one in DETECTORS.items()})
    for i, scaler in enumerate(choice.scalers):
        _check(f"scalers[{i}]", scaler, SCALERS)
    return choice


def classifier(step: Step) -> Any:
    """A River classifier that was taught nothing yet; `learning_rate` is that of plain gradient steps.

    >>> classifier(Step("river.linear_model.LogisticRegression", {"learning_rate": 0.1})).optimizer.learning_rate
    0.1
    """
    own = dict(step.parameters)
    if RATE in own:
        own["optimizer"] = optim.SGD(own.pop(RATE))
    return CLASSIFIERS[step.kind](**own)


def arguments_of(made: type) -> dict[str, Any]:
    """The constructor's arguments that JSON can say, with the type of each."""
    found = {}
    for name, argument in inspect.signature(made).parameters.items():
        accepted = _NARROW.get(name) or _type_of(argument)
        if accepted is not None:
            found[name] = accepted
    return found


def _type_of(argument: inspect.Parameter) -> Any:
    if argument.annotation is not inspect.Parameter.empty:
        return _TYPES.get(str(argument.annotation))
    if argument.default is None:
        return _TYPES["int | None"]
    # River leaves arguments with a plain default without a type. `type` itself, Binarizer's, is no JSON.
    return _TYPES.get(type(argument.default).__name__)


def _check(place: str, step: Step, known: dict[str, type]) -> None:
    if step.kind not in known:
        raise SettingsError(f'{place}.class: unknown class "{step.kind}"; {nearest_name(step.kind, known)}')
    accepted = arguments_of(known[step.kind])
    for name, value in step.parameters.items():
        if name not in accepted:
            raise SettingsError(f"{place}.parameters.{name}: unknown key; {nearest_name(name, accepted)}")
        try:
            msgspec.convert(value, accepted[name])
        except msgspec.ValidationError as error:
            raise SettingsError(f"{place}.parameters.{name}: {error}") from error
