"""How a prompt is written, by itself: its length, signs, capitals, lines, repeats; whether it asks for the reasoning.

Sees: sets of a form that people do not write (instructions of a textbook, word salad, all questions), clients who ask
for the reasoning behind each answer, answers that are all long.
Misses: sweeps in the form of honest prompts. Off where the log carries no answers: `answer`.
Innocent: applications with a template of their own. It never accuses alone (Signal.alone): people write as they like.
"""

from __future__ import annotations

import numba
import numpy as np
from numpy.typing import NDArray

from detector.query import Batch
from features.chance import share
from features.contract import Feature, Field, Learned, Rows, Signal, nothing_to_learn

HIDES = "sweeps in a form that people do not write"


def _signal(what: str, few: str, many: str, cuts: tuple[float, ...] = ()) -> Signal:
    return Signal(
        f"wording.{what}",
        staged=False,
        additive=True,
        low=f"{few} than {{honest}} of honest prompts",
        high=f"{many} than {{honest}} of honest prompts",
        hides=HIDES,
        alone=False,
        cuts=cuts,
    )


SIGNALS = (
    _signal("length", "are shorter", "are longer"),
    _signal("marks", "have fewer signs", "have more signs"),
    _signal("capitals", "have fewer capitals", "have more capitals"),
    _signal("symbols", "have fewer digits and symbols", "have more digits and symbols (as code and formulas have)"),
    _signal("repeats", "repeat fewer words", "repeat more words"),
    _signal("lines", "have fewer lines and questions", "have more lines and questions"),
    _signal(
        "elicits", "ask for no reasoning, as more", "ask for the reasoning behind the answer, unlike more", (0.5, 1.5)
    ),
    _signal("answer", "got shorter answers", "got longer answers"),
)

FIELDS = (Field("wording_seen", "<u4"),)
(LENGTH, WORDS, DIGITS, MARKS, CAPITALS, SYMBOLS, FOREIGN, REPEATS, LINES, ASKS, ELICITS) = range(11)
ANSWERED = 13


def measure(batch: Batch, rows: Rows, learned: Learned, values: NDArray[np.float64], stages: NDArray[np.int8]) -> None:
    _word(batch.slots, batch.form, rows, values)
    stages[:] = 0


@numba.njit(cache=True)
def _word(slots, form, rows, values):  # type: ignore[no-untyped-def]
    for i in range(slots.size):
        row = rows[slots[i]]
        # Many have none at all: a share of chance spreads such a value over its bins, as its honest frequency asks.
        chance = 1e-4 * share(row.salt, np.int64(row.wording_seen))
        values[i, 0] = form[i, LENGTH] + chance
        values[i, 1] = form[i, MARKS] + chance
        values[i, 2] = form[i, CAPITALS] + chance
        values[i, 3] = form[i, DIGITS] + form[i, SYMBOLS] + chance
        values[i, 4] = form[i, REPEATS] + chance
        values[i, 5] = form[i, LINES] + 0.25 * form[i, ASKS] + chance
        values[i, 6] = form[i, ELICITS]
        values[i, 7] = form[i, ANSWERED] + chance
        row.wording_seen += 1


FEATURE = Feature("wording", SIGNALS, FIELDS, nothing_to_learn, measure)
