"""The thief's copy: a small network that learns from the victim's answers and can be differentiated by its input."""

from __future__ import annotations

import numpy as np

from detector.query import F64
from detector.redteam.victim import softmax


class Substitute:
    """One rectified hidden layer and a softmax, trained on soft labels by Adam (Kingma & Ba 2015)."""

    def __init__(self, d: int, k: int, rng: np.random.Generator, *, hidden: int = 64) -> None:
        scale = np.sqrt(2.0 / d), np.sqrt(2.0 / hidden)
        self.parameters = [
            rng.normal(0.0, scale[0], (d, hidden)),
            np.zeros(hidden),
            rng.normal(0.0, scale[1], (hidden, k)),
            np.zeros(k),
        ]
        self._rng = rng
        self._adam = Adam(self.parameters)

    def predict(self, x: F64) -> F64:
        """(n, d) -> (n, k) probabilities."""
        return softmax(self._hidden(x) @ self.parameters[2] + self.parameters[3])

    def fit(self, x: F64, answers: F64, *, epochs: int = 10, batch: int = 64) -> None:
        """Learn on from inputs (n, d) and the victim's probabilities (n, k)."""
        for _ in range(epochs):
            order = self._rng.permutation(len(x))
            for start in range(0, len(x), batch):
                rows = order[start : start + batch]
                self._step(x[rows], answers[rows])

    def gradient(self, x: F64, at_probabilities: F64) -> F64:
        """(n, d): the gradient by the input of sum_k at_probabilities[:, k] * p_k(x)."""
        p = self.predict(x)
        at_logits = p * (at_probabilities - (p * at_probabilities).sum(axis=1, keepdims=True))
        return self._to_input(x, at_logits)

    def _hidden(self, x: F64) -> F64:
        h: F64 = np.maximum(x @ self.parameters[0] + self.parameters[1], 0.0)
        return h

    def _to_input(self, x: F64, at_logits: F64) -> F64:
        open_units = x @ self.parameters[0] + self.parameters[1] > 0
        g: F64 = ((at_logits @ self.parameters[2].T) * open_units) @ self.parameters[0].T
        return g

    def _step(self, x: F64, answers: F64) -> None:
        h = self._hidden(x)
        error = (softmax(h @ self.parameters[2] + self.parameters[3]) - answers) / len(x)
        back = (error @ self.parameters[2].T) * (h > 0)
        self._adam.descend([x.T @ back, back.sum(axis=0), h.T @ error, error.sum(axis=0)])


class Adam:
    """Kingma & Ba 2015 with its default moments, changing `parameters` in place."""

    def __init__(self, parameters: list[F64], *, rate: float = 3e-3) -> None:
        self._parameters = parameters
        self._rate = rate
        self._steps = 0
        self._mean = [np.zeros_like(p) for p in parameters]
        self._square = [np.zeros_like(p) for p in parameters]

    def descend(self, gradients: list[F64]) -> None:
        self._steps += 1
        rate = self._rate * np.sqrt(1 - 0.999**self._steps) / (1 - 0.9**self._steps)
        for p, g, m, v in zip(self._parameters, gradients, self._mean, self._square, strict=True):
            m += 0.1 * (g - m)
            v += 0.001 * (g * g - v)
            p -= rate * m / (np.sqrt(v) + 1e-8)
