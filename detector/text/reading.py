"""From queries that hold text to vectors and forms; what is no text is named and set aside.

What is embedded is the exchange, prompt and answer, where the log carries the answer: people go on from what they were
told as much as from what they asked.

An embedder of the operator's own is a function of one text that he names in his settings or on the command line. A
profile says which one it was made with; it never has code run that he did not name.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from detector.columns import AS_NUMBERS, NUMBERS, WIDTH, Read, Reader, Unfit
from detector.errors import ProfileError
from detector.query import F64, Query
from detector.text import words
from detector.text.form import forms

ANSWER = 512  # characters of an answer that are embedded
EMBEDDERS = WORDS, LOG = "words", "log"  # who embeds: this program, or whoever wrote the log
Embed = Callable[
    [str], Sequence[float]
]  # one text to its numbers, always as many: a batch could change their last bits

_named: dict[str, Embed] = {}


def trust(name: str, embed: Embed) -> None:
    """The operator named this function of his: profiles that were made with it may be read by it."""
    _named[name] = embed


def reader_of(embedder: str | None) -> Reader:
    """Who reads for a profile; None: numbers. Raises ProfileError where the extra `text` is needed and not there."""
    return AS_NUMBERS if embedder is None else Text(embedder)


class Text:
    """Inputs are what was asked and answered, vectors of length one; forms have len(FORM) columns.

    embedder: WORDS, LOG (the log's own `embedding`, of `width` numbers; None takes the first's), or a function that was
    named to `trust`. Raises ProfileError where it was not.
    """

    def __init__(self, embedder: str) -> None:
        self.embedder = embedder
        self._words = words.Words() if embedder == WORDS else None
        self._own = _named.get(embedder)
        if embedder not in EMBEDDERS and self._own is None:
            raise ProfileError(
                f"the profile reads text by {embedder}, a function that nobody named here: set `embedder` under "
                "[profile], or give `fit --embedder`"
            )

    def read(self, queries: Sequence[Query], width: int | None) -> Read:
        asked = [query.input if isinstance(query.input, str) else "" for query in queries]
        form = forms(asked, [query.text for query in queries])
        unfit = [Unfit(i, NUMBERS, _no_text(q)) for i, q in enumerate(queries) if not isinstance(q.input, str)]
        if self._words is not None:
            answers = [(query.text or "")[:ANSWER] for query in queries]
            inputs = words.directions(self._words.embed(asked) + self._words.embed(answers))
        elif self._own is not None:
            answers = [(query.text or "")[:ANSWER] for query in queries]
            prompted, misfit = _of_width([self._own(text) for text in asked], width)
            answered, more = _of_width([self._own(text) for text in answers], prompted.shape[1])
            inputs, misfit = words.directions(prompted + answered), misfit + more
            unfit = sorted({u.place: u for u in (*misfit, *unfit)}.values())
        else:
            logged, misfit = _of_width([query.embedding or [] for query in queries], width)
            inputs = words.directions(logged)
            unfit = sorted({u.place: u for u in (*misfit, *unfit)}.values())
        gone = [u.place for u in unfit]
        inputs[gone], form[gone] = 0.0, 0.0
        return Read(inputs, form, unfit)


def _no_text(query: Query) -> str:
    kind = "named values" if isinstance(query.input, dict) else "numbers"
    return f"the input is {len(query.input)} {kind}, this profile reads text"


def _of_width(found: Sequence[Sequence[float]], width: int | None) -> tuple[F64, list[Unfit]]:
    width = next((len(vector) for vector in found if len(vector)), 0) if width is None else width
    inputs, unfit = np.zeros((len(found), width)), []
    for i, vector in enumerate(found):
        if len(vector) == width and np.isfinite(vector).all():
            inputs[i] = vector
        else:
            unfit.append(Unfit(i, WIDTH, f"the embedding has {len(vector)} numbers, this profile reads {width}"))
    return inputs, unfit
