"""The model that is served and copied: a small network with known weights, and the images that taught it."""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from sklearn.exceptions import ConvergenceWarning
from sklearn.neural_network import MLPClassifier

from detector.query import F64
from detector.redteam.honest import Images


class Served(Protocol):
    """A model that answers: ours (`Victim`), or the user's (detector.redteam.served)."""

    @property
    def name(self) -> str: ...

    def ask(self, inputs: F64) -> F64:
        """(n, d) inputs in [0, 1] -> (n, k) probabilities."""
        ...


@dataclass(frozen=True)
class Victim:
    """A served classifier over images of d pixels in [0, 1] with k classes.

    `weights[i]` (in, out) and `biases[i]` (out,) are its layers: rectified inside, softmax at the end.
    """

    name: str
    weights: tuple[F64, ...]
    biases: tuple[F64, ...]

    def ask(self, inputs: F64) -> F64:
        """(n, d) images -> (n, k) probabilities."""
        h = inputs
        for W, b in zip(self.weights[:-1], self.biases[:-1], strict=True):
            h = np.maximum(h @ W + b, 0.0)
        return softmax(h @ self.weights[-1] + self.biases[-1])


def softmax(logits: F64) -> F64:
    """Rows of logits -> rows of probabilities."""
    e = np.exp(logits - logits.max(axis=1, keepdims=True))
    shares: F64 = e / e.sum(axis=1, keepdims=True)
    return shares


def train_victim(name: str, images: Images, *, hidden: int = 64, epochs: int = 30, seed: int = 0) -> Victim:
    """Fit a one-layer `MLPClassifier` on images of at least three classes."""
    model = MLPClassifier((hidden,), max_iter=epochs, n_iter_no_change=epochs, random_state=seed, tol=0.0)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)  # the epochs are chosen, not found
        model.fit(images.pixels, images.classes)
    return Victim(name, tuple(model.coefs_), tuple(model.intercepts_))
