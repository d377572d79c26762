"""Data-free extraction: a generator that is taught to make inputs on which the copy still errs.

Structured fakes, not noise: after some rounds its images use the victim's classes. `data_free` follows the copy's own
gradient (no extra queries); `zeroth_order` is DFME, which estimates the victim's gradient from pairs of queries that
differ by a thousandth: such pairs alone give it away to anything that looks for near duplicates.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from detector.query import F64
from detector.redteam.attacks.contract import Ask, Block, asked
from detector.redteam.substitute import Adam, Substitute

LATENT = 24
HIDDEN = 48
BATCH = 32
STUDENT_BATCHES = 5  # DFME: one generator step for five student steps
STEP = 1e-3  # DFME: length of the finite difference


class Generator:
    """z (n, LATENT) -> images (n, d) in [0, 1]: one tanh layer and a sigmoid, so that its fakes are smooth in z."""

    def __init__(self, d: int, rng: np.random.Generator) -> None:
        self._rng = rng
        self.parameters = [
            rng.normal(0.0, 1.5 / np.sqrt(LATENT), (LATENT, HIDDEN)),
            rng.normal(0.0, 0.1, HIDDEN),
            rng.normal(0.0, 3.0 / np.sqrt(HIDDEN), (HIDDEN, d)),
            rng.normal(-1.0, 0.5, d),
        ]
        self._adam = Adam(self.parameters, rate=0.01)

    def latent(self, n: int) -> F64:
        return self._rng.standard_normal((n, LATENT))

    def make(self, z: F64) -> F64:
        W, b, V, c = self.parameters
        x: F64 = 1.0 / (1.0 + np.exp(-(np.tanh(z @ W + b) @ V + c)))
        return x

    def descend(self, z: F64, x: F64, at_x: F64) -> None:
        """One step against the gradient `at_x` (n, d) of a loss by the images x = make(z)."""
        W, b, V, _ = self.parameters
        h = np.tanh(z @ W + b)
        at_out = at_x * x * (1 - x)
        at_h = (at_out @ V.T) * (1 - h * h)
        self._adam.descend([z.T @ at_h, at_h.sum(axis=0), h.T @ at_out, at_out.sum(axis=0)])


def data_free(ask: Ask, seeds: F64, rng: np.random.Generator, budget: int) -> Iterator[Block]:
    """Generator against copy, the victim asked only to teach the copy.

    The game of Truong et al. 2021, "Data-Free Model Extraction", with the copy's gradient in the victim's place, as in
    Zhou et al. 2020, "DaST"; the pull towards all classes is the information entropy loss of Chen et al. 2019, "DAFL".
    """
    generator, student, left = Generator(seeds.shape[1], rng), None, budget
    while left > 0:
        z = generator.latent(min(BATCH, left))
        x = generator.make(z)
        block = asked(ask, x)
        yield block
        left -= len(x)
        student = student or Substitute(x.shape[1], block[1].shape[1], rng)
        p = student.predict(x)
        spread = np.log(p.mean(axis=0) + 1e-12)  # downhill is towards classes that the batch has too little of
        generator.descend(z, x, student.gradient(x, spread - np.sign(p - block[1])) / len(x))
        student.fit(*block, epochs=3)


def zeroth_order(ask: Ask, seeds: F64, rng: np.random.Generator, budget: int) -> Iterator[Block]:
    """DFME with one direction a sample: the victim's gradient by forward differences.

    Truong et al. 2021, "Data-Free Model Extraction" (m = 1, step 1e-3, one generator step for five student steps);
    Kariyappa et al. 2021, "MAZE", differs in the loss.
    """
    generator, student, left = Generator(seeds.shape[1], rng), None, budget
    while left > 0:
        z = generator.latent(min(BATCH, left))
        x = generator.make(z)
        u = rng.standard_normal(x.shape)
        u /= np.linalg.norm(u, axis=1, keepdims=True)
        pairs = np.stack([x, np.clip(x + STEP * u, 0.0, 1.0)], axis=1).reshape(-1, x.shape[1])[:left]
        block = asked(ask, pairs)
        yield block
        left -= len(pairs)
        student = student or Substitute(x.shape[1], block[1].shape[1], rng)
        loss = np.abs(block[1] - student.predict(pairs)).sum(axis=1)
        whole = len(pairs) // 2
        slope = (loss[1 : 2 * whole : 2] - loss[0 : 2 * whole : 2]) / STEP
        generator.descend(z[:whole], x[:whole], -slope[:, None] * u[:whole] * x.shape[1] / max(whole, 1))
        for _ in range(STUDENT_BATCHES):
            if left <= 0:
                return
            block = asked(ask, generator.make(generator.latent(min(BATCH, left))))
            yield block
            left -= len(block[0])
            student.fit(*block, epochs=1)
