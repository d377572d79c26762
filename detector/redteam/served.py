"""The user's own model as a victim: behind an HTTP address, or a Python function of his; in its own units."""

from __future__ import annotations

import http.client
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Protocol
from urllib.parse import SplitResult, urlsplit

import msgspec
import numpy as np

from detector.errors import SettingsError
from detector.named import PYTHON, named
from detector.query import F64

TIMEOUT_S = 30.0
MOST_BYTES = 1 << 20  # of an answer
LEAST_SHARE = 1e-6  # labels become probabilities so near to 0 and 1


@dataclass(frozen=True)
class Units:
    """What 0 and 1 of the range are in the model's own units: `low`, `high` (d,)."""

    low: F64
    high: F64

    def own(self, inputs: F64) -> F64:
        """(n, d) in [0, 1] -> in the model's units."""
        out: F64 = self.low + inputs * (self.high - self.low)
        return out

    def unit(self, inputs: F64) -> F64:
        """(n, d) in the model's units -> in [0, 1]; a column that never changes is 0."""
        span = self.high - self.low
        out: F64 = np.clip((inputs - self.low) / np.where(span > 0, span, 1.0), 0.0, 1.0)
        return out

    @staticmethod
    def of(inputs: F64) -> Units:
        """Those of data (n, d): from each column's least to its greatest value; for data in [0, 1] as they are."""
        if inputs.min() >= 0.0 and inputs.max() <= 1.0:
            return Units(np.zeros(inputs.shape[1]), np.ones(inputs.shape[1]))
        return Units(inputs.min(axis=0), inputs.max(axis=0))


class Answers(msgspec.Struct):
    """What the victim says: a label, and probabilities where it gives them."""

    label: int | str | None = None
    probabilities: list[float] | None = None


class Asker(Protocol):
    """Answers rows in the model's own units, (n, d)."""

    def __call__(self, inputs: F64) -> F64 | Sequence[int | str]: ...


class UsersVictim:
    """A model of the user's, of which we know the answers alone. `labels_only`: it gives no probabilities."""

    def __init__(self, name: str, units: Units, asker: Asker, classes: Sequence[int | str] = ()) -> None:
        """`classes`: the labels that it may answer, in the order of its shares."""
        self.name = name
        self.units = units
        self.labels_only = False
        self.asked = 0
        self._asker = asker
        self._codes = {label: code for code, label in enumerate(classes)}
        self._width = len(self._codes)
        self._named = any(isinstance(label, str) for label in classes)

    def ask(self, inputs: F64) -> F64:
        """(n, d) in [0, 1] -> (n, k) probabilities; of labels alone, nearly one for the label."""
        self.asked += len(inputs)
        told = self._asker(self.units.own(inputs))
        if isinstance(told, np.ndarray) and told.ndim == 2:
            if self._named and told.shape[1] != self._width:
                raise SettingsError(
                    f"the victim {self.name} gives shares of {told.shape[1]} classes; --data has {self._width} labels"
                )
            return _probabilities(told, len(inputs), self.name)
        self.labels_only = True
        return self._shares([label.item() if isinstance(label, np.generic) else label for label in told], len(inputs))

    def _shares(self, labels: Sequence[int | str], n: int) -> F64:
        if len(labels) != n:
            raise SettingsError(f"the victim {self.name} gave {len(labels)} answers to {n} inputs")
        unknown = sorted({str(label) for label in labels if label not in self._codes})
        if unknown:
            raise SettingsError(
                f"the victim {self.name} answers with {', '.join(unknown[:5])}, which no row of --data is labelled with"
            )
        out = np.full((n, max(self._width, 2)), LEAST_SHARE)
        out[np.arange(n), [self._codes[label] for label in labels]] = 1.0
        shares: F64 = out / out.sum(axis=1, keepdims=True)
        return shares


def asker_of(victim: str) -> Asker:
    """`http://...`, `https://...` or `python:module:function`. Raises SettingsError for anything else."""
    if victim.startswith(PYTHON):
        return _Function(victim, named(victim))
    address = urlsplit(victim)
    if address.scheme in ("http", "https") and address.hostname:
        return Http(address)
    raise SettingsError(f"--victim {victim!r}: digits, an address (http://HOST/PATH), or {PYTHON}MODULE:FUNCTION")


class _Function:
    def __init__(self, name: str, predict: Callable[[F64], Any]) -> None:
        self._name, self._predict = name, predict

    def __call__(self, inputs: F64) -> F64 | Sequence[int | str]:
        told = np.asarray(self._predict(inputs))
        if told.ndim == 2:
            return told.astype(np.float64)
        if told.ndim == 1:
            labels: list[int | str] = told.tolist()
            return labels
        raise SettingsError(
            f"{self._name} gave an array of the shape {told.shape}; (n, k) shares or (n,) labels are read"
        )


class Http:
    """One request an input: POST {"input": [...]}; the answer is {"label": ..., "probabilities": [...]}, or one."""

    def __init__(self, address: SplitResult) -> None:
        kind = http.client.HTTPSConnection if address.scheme == "https" else http.client.HTTPConnection
        self._address = address.geturl()
        self._path = (address.path or "/") + (f"?{address.query}" if address.query else "")
        assert address.hostname is not None
        self._connection = kind(address.hostname, address.port, timeout=TIMEOUT_S)
        self._decode = msgspec.json.Decoder(Answers).decode

    def __call__(self, inputs: F64) -> F64 | Sequence[int | str]:
        told = [self._one(row.tolist()) for row in inputs]
        if all(one.probabilities for one in told):
            widths = {len(one.probabilities or ()) for one in told}
            if len(widths) > 1:
                raise SettingsError(f"{self._address} answers with probabilities of {sorted(widths)} classes")
            return np.array([one.probabilities for one in told])
        labels = [one.label for one in told if one.label is not None]
        if len(labels) < len(told):
            raise SettingsError(f"{self._address} answers with neither a label nor probabilities")
        return labels

    def _one(self, row: list[float]) -> Answers:
        body = msgspec.json.encode({"input": row})
        try:
            self._connection.request("POST", self._path, body, {"Content-Type": "application/json"})
            answer = self._connection.getresponse()
            read = answer.read(MOST_BYTES)
        except (OSError, http.client.HTTPException) as error:
            raise SettingsError(f"{self._address} cannot be asked: {error}") from error
        if answer.status != http.client.OK:
            raise SettingsError(f"{self._address} answers with status {answer.status}: {read[:200]!r}")
        try:
            return self._decode(read)
        except msgspec.DecodeError as error:
            raise SettingsError(f"{self._address} answers with something else than a label: {error}") from error


def _probabilities(told: F64, n: int, name: str) -> F64:
    if told.shape[0] != n or told.shape[1] < 2 or not np.isfinite(told).all() or (told < 0).any():
        raise SettingsError(
            f"the victim {name} gave answers of the shape {told.shape} to {n} inputs: not (n, k) shares"
        )
    return told
