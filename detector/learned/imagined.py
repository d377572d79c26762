"""What the served model would have answered to a query that nobody asked: a small copy, taught on the log's answers.

`fit` cannot ask the model. The copy need not be good: it says how sure the answer to a made query would be, so that
what is taught on made queries can read the answers to real ones.
"""

from __future__ import annotations

import warnings

import numpy as np
from numpy.typing import NDArray
from sklearn.exceptions import ConvergenceWarning
from sklearn.neural_network import MLPRegressor
from threadpoolctl import threadpool_limits

HIDDEN, ROUNDS, RATE = 64, 25, 2e-3
LEAST = 1e-6  # of a probability
SURE = 8.0  # nats beyond which an answer is sure: their differences are not learned
BATCH = 256


class Imagined:
    """The copy. Distils logits (Ba, Caruana 2014, "Do Deep Nets Really Need to be Deep?")."""

    def __init__(self, inputs: NDArray[np.float64], probabilities: NDArray[np.float64], seed: int) -> None:
        """inputs (n, d) with the answers that they got (n, k), k at least 2."""
        self._mean, self._spread = inputs.mean(0), max(float(inputs.std()), 1e-12)
        logits = np.log(np.maximum(probabilities, LEAST))
        logits = np.clip(logits - logits.mean(1, keepdims=True), -SURE, SURE)
        self._copy = MLPRegressor(
            hidden_layer_sizes=(HIDDEN,),
            batch_size=min(BATCH, len(inputs)),
            max_iter=ROUNDS,
            learning_rate_init=RATE,
            random_state=seed,
        )
        with warnings.catch_warnings(), threadpool_limits(1):
            warnings.simplefilter("ignore", ConvergenceWarning)  # it stops after ROUNDS
            self._copy.fit(self._scaled(inputs), logits)

    def answers(self, inputs: NDArray[np.float64]) -> NDArray[np.float64]:
        """Probabilities (n, k) of the answers to inputs (n, d). Who asks often limits the threads once, himself."""
        logits = self._copy.predict(self._scaled(inputs)).reshape(len(inputs), -1)
        odds = np.exp(logits - logits.max(1, keepdims=True))
        return np.asarray(odds / odds.sum(1, keepdims=True), np.float64)

    def top(self, inputs: NDArray[np.float64]) -> NDArray[np.float64]:
        """The two largest probabilities of the answers to inputs (n, d): (n, 2)."""
        with threadpool_limits(1):
            return np.asarray(np.sort(self.answers(inputs), axis=1)[:, :-3:-1])

    def _scaled(self, inputs: NDArray[np.float64]) -> NDArray[np.float64]:
        return np.asarray((inputs - self._mean) / self._spread, np.float64)
