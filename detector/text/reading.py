"""From queries that hold text to vectors and forms; what is no text is named and set aside.

What is embedded is the exchange, prompt and answer, where the log carries the answer: people go on from what they were
told as much as from what they asked.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from detector.columns import AS_NUMBERS, NUMBERS, WIDTH, Read, Reader, Unfit
from detector.query import F64, Query
from detector.text import words
from detector.text.form import forms

ANSWER = 512  # characters of an answer that are embedded
EMBEDDERS = WORDS, LOG = "words", "log"  # who embeds: this program, or whoever wrote the log


def reader_of(embedder: str | None) -> Reader:
    """Who reads for a profile; None: numbers. Raises ProfileError where the extra `text` is needed and not there."""
    return AS_NUMBERS if embedder is None else Text(embedder)


class Text:
    """Inputs are what was asked and answered, vectors of length one; forms have len(FORM) columns.

    embedder: WORDS, or LOG (the log's own `embedding`, of `width` numbers; None takes the first's)."""

    def __init__(self, embedder: str) -> None:
        self.embedder = embedder
        self._words = words.Words() if embedder == WORDS else None

    def read(self, queries: Sequence[Query], width: int | None) -> Read:
        asked = [query.input if isinstance(query.input, str) else "" for query in queries]
        form = forms(asked, [query.text for query in queries])
        unfit = [Unfit(i, NUMBERS, _no_text(q)) for i, q in enumerate(queries) if not isinstance(q.input, str)]
        if self._words is not None:
            answers = [(query.text or "")[:ANSWER] for query in queries]
            inputs = words.directions(self._words.embed(asked) + self._words.embed(answers))
        else:
            inputs, misfit = _logged(queries, width)
            unfit = sorted({u.place: u for u in (*misfit, *unfit)}.values())
        gone = [u.place for u in unfit]
        inputs[gone], form[gone] = 0.0, 0.0
        return Read(inputs, form, unfit)


def _no_text(query: Query) -> str:
    kind = "named values" if isinstance(query.input, dict) else "numbers"
    return f"the input is {len(query.input)} {kind}, this profile reads text"


def _logged(queries: Sequence[Query], width: int | None) -> tuple[F64, list[Unfit]]:
    found = [query.embedding or [] for query in queries]
    width = next((len(vector) for vector in found if vector), 0) if width is None else width
    inputs, unfit = np.zeros((len(queries), width)), []
    for i, vector in enumerate(found):
        if len(vector) == width:
            inputs[i] = vector
        else:
            unfit.append(Unfit(i, WIDTH, f"the embedding has {len(vector)} numbers, this profile reads {width}"))
    return words.directions(inputs), unfit
