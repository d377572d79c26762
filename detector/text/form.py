"""How a text is written, as a few numbers and hashes: what is left of it beside its meaning once the text is gone."""

from __future__ import annotations

from collections.abc import Sequence

import numba
import numpy as np
from numpy.typing import NDArray

from detector.query import ABSENT

MOST = 4_096  # bytes of a text that are looked at, beyond its length
READ = 1_024  # characters of it in which phrases are looked for
OPENING = 160  # characters of an answer, likewise
TOLD_APART = 512  # words, when repeats are counted

FORM = (
    "length",  # log2 of characters
    "words",  # log2 of words
    "digits",  # share of characters, as the next four
    "marks",
    "capitals",
    "symbols",
    "foreign",
    "repeats",  # share of words that came before in the text
    "lines",  # log2 of lines
    "asks",  # 1 where it holds a question mark, and 1 more where it ends with one
    "elicits",  # 1 where it asks for the reasoning behind an answer
    "first",  # hash of the first two words
    "last",  # hash of the last word
    "answered",  # log2 of characters of the answer, ABSENT without one
    "refused",  # 1 where the answer is a refusal
)
(
    LENGTH,
    WORDS,
    DIGITS,
    MARKS,
    CAPITALS,
    SYMBOLS,
    FOREIGN,
    REPEATS,
    LINES,
    ASKS,
    ELICITS,
    FIRST,
    LAST,
    ANSWERED,
    REFUSED,
) = range(len(FORM))

_ELICITS = (
    "step by step", "step-by-step", "chain of thought", "chain-of-thought", "your reasoning", "your thought",
    "your work", "your thinking", "your steps", "your rationale", "think aloud", "think out loud", "think carefully",
    "think through", "reasoning process", "reasoning trace", "reasoning step", "let's think", "<think", "justify your",
)  # fmt: skip
_REFUSES = ("i'm sorry", "i am sorry", "i can't", "i cannot", "i won't", "unable to", "not able to", "as an ai")


def forms(texts: Sequence[str], answers: Sequence[str | None]) -> NDArray[np.float64]:
    """(n, len(FORM))."""
    found = np.zeros((len(texts), len(FORM)))
    if not len(texts):
        return found
    data = [text[:MOST].encode("utf-8", "surrogatepass")[:MOST] for text in texts]
    sizes = np.array(list(map(len, data)), np.int64)
    _shapes(np.frombuffer(b"".join(data), np.uint8), sizes, found)
    found[:, LENGTH] = np.log2(1.0 + np.array(list(map(len, texts))))
    found[:, ELICITS] = [_holds(text[:READ], _ELICITS) for text in texts]
    found[:, ANSWERED] = [ABSENT if answer is None else np.log2(1.0 + len(answer)) for answer in answers]
    found[:, REFUSED] = [ABSENT if answer is None else _holds(answer[:OPENING], _REFUSES) for answer in answers]
    return found


def _holds(text: str, phrases: Sequence[str]) -> bool:
    lower = text.lower()
    return any(phrase in lower for phrase in phrases)


@numba.njit(cache=True)
def _shapes(data, sizes, found):  # type: ignore[no-untyped-def]
    """Bytes of all texts, one after another, and how many belong to each."""
    seen = np.empty(2 * TOLD_APART, np.uint64)
    start = 0
    for i in range(sizes.size):
        stop = start + sizes[i]
        digits, marks, capitals, symbols, foreign, lines, questions = 0, 0, 0, 0, 0, 1, 0
        words, again = 0, 0
        seen[:] = 0
        word, first, last = np.uint64(0), np.uint64(0), np.uint64(0)
        end = np.uint8(0)
        for j in range(start, stop + 1):
            c = data[j] if j < stop else np.uint8(32)
            if c <= 32:
                if word != 0:
                    if words < 2:
                        first = (first * np.uint64(31) + word) | np.uint64(1)
                    last = word
                    again += _told(seen, word, words)
                    words += 1
                word = np.uint64(0)
                lines += c == 10
                continue
            end = c
            lower = c
            if 48 <= c <= 57:
                digits += 1
            elif 65 <= c <= 90:
                capitals += 1
                lower = c + 32
            elif c >= 128:
                foreign += 1
            elif c in (123, 125, 60, 62, 61, 59, 95, 124, 92, 91, 93, 43, 42, 47, 35, 36, 64, 94, 38, 126, 96, 37):
                symbols += 1
            elif not 97 <= c <= 122:
                marks += 1
                questions += c == 63
            word = (word ^ np.uint64(lower)) * np.uint64(0x100000001B3) + np.uint64(1)
        size = max(sizes[i], 1)
        found[i, WORDS] = np.log2(1.0 + words)
        found[i, DIGITS] = digits / size
        found[i, MARKS] = marks / size
        found[i, CAPITALS] = capitals / size
        found[i, SYMBOLS] = symbols / size
        found[i, FOREIGN] = foreign / size
        found[i, REPEATS] = again / max(words, 1)
        found[i, LINES] = np.log2(1.0 * lines)
        found[i, ASKS] = (1.0 if questions > 0 else 0.0) + (1.0 if end == 63 else 0.0)
        found[i, FIRST] = np.float64(_folded(first))
        found[i, LAST] = np.float64(_folded(last))
        start = stop


@numba.njit(cache=True)
def _told(seen, word, words):  # type: ignore[no-untyped-def]
    """1 where the word came before; notes it, up to TOLD_APART words."""
    place = np.int64(word >> np.uint64(40)) % seen.size
    while seen[place] != 0:
        if seen[place] == word:
            return 1
        place = (place + 1) % seen.size
    if words < TOLD_APART:
        seen[place] = word
    return 0


@numba.njit(cache=True)
def _folded(word):  # type: ignore[no-untyped-def]
    """16 bits, 0 for no word."""
    if word == 0:
        return np.uint64(0)
    return np.uint64(1) + ((word * np.uint64(0x9E3779B97F4A7C15)) >> np.uint64(48)) % np.uint64(65_535)
