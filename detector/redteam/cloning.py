"""How good a copy becomes with the queries that it cost: a clone of what was answered, held against the victim.

The clone is a multinomial logistic regression (scikit-learn) on what was asked and the labels that were answered. With
so few queries it copies the bundled victims as well as a network does.
"""

from __future__ import annotations

import warnings
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import LogisticRegression

from detector.query import F64, I64
from detector.redteam.traffic import Traffic

COUNTS = (16, 20, 25, 32, 40, 50, 64, 80, 100, 128, 160, 200, 256, 320, 400, 500, 640, 800, 1000)
ENOUGH = 0.8  # of the final fidelity
HELD_OUT = 2_000  # honest queries
STEPS = 200  # of the clone's solver

Inputs = NDArray[np.floating]
Labels = NDArray[np.integer]


class Exam(NamedTuple):
    """Inputs (n, d) that no thief asked, the victim's labels (n,) for them, and the true ones where they are known."""

    inputs: F64
    answers: I64
    truth: I64 | None


class Grade(NamedTuple):
    """fidelity: share of the exam on which the clone agrees with the victim; accuracy: with the truth."""

    fidelity: float
    accuracy: float | None


class Fidelity(NamedTuple):
    """final: agreement of the clone of all queries; enough: queries after which it had ENOUGH of that."""

    final: float
    enough: int


def graded(inputs: Inputs, labels: Labels, exam: Exam) -> Grade:
    """The clone of these queries (m, d) and answers (m,), m at least 1, at the exam."""
    said = _said(inputs, labels, exam.inputs)
    accuracy = None if exam.truth is None else float((said == exam.truth).mean())
    return Grade(float((said == exam.answers).mean()), accuracy)


def fidelities(today: Traffic, kind: str, seed: int) -> dict[str, Fidelity]:
    """Client -> how its clone grew, for each account of a kind. Judged on honest queries of the same log."""
    truth = np.array([account.truth for account in today.accounts])
    honest = np.flatnonzero(truth[today.account] == "honest")
    held_out = np.random.default_rng(seed).choice(honest, min(HELD_OUT, len(honest)), replace=False)
    rows, labels = today.rows(), today.labels
    exam = Exam(today.inputs[held_out], labels[held_out], None)
    found = {}
    for client in (account.client for account in today.accounts if account.truth == kind):
        mine = rows[client]
        grown = [graded(today.inputs[mine[:n]], labels[mine[:n]], exam).fidelity for n in COUNTS if n <= len(mine)]
        enough = next(n for n, agreed in zip(COUNTS, grown, strict=False) if agreed >= ENOUGH * grown[-1])
        found[client] = Fidelity(grown[-1], enough)
    return found


def _said(inputs: Inputs, labels: Labels, others: Inputs) -> Labels:
    if len(np.unique(labels)) < 2:
        return np.full(len(others), labels[0])
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        clone = LogisticRegression(max_iter=STEPS).fit(inputs, labels)
    said: Labels = clone.predict(others)
    return said
