"""What a text means, as 256 numbers: the mean of static vectors of its tokens, which come with the package `wordllama`.

Vectors and tokenizer are files of that package (256 dimensions of Llama 2's vocabulary, 16 MB); its code is not
imported, and nothing is fetched. A text is read word by word: tokens of this vocabulary do not reach across spaces, so
a word is the same wherever it stands, and its tokens are kept: most words have been seen before.
"""

from __future__ import annotations

import importlib.util
from collections.abc import Sequence
from functools import cache
from pathlib import Path

import numba
import numpy as np
from numpy.typing import NDArray

from detector.errors import ProfileError

WIDTH = 256
MOST = 1_024  # characters of a text that are read
LONGEST = 48  # characters of a word: what is longer (a link, a script without spaces) is cut into several
KEPT = 65_536  # words whose tokens are kept; when they are full, all are dropped
PACKAGE = "wordllama"
VECTORS, TOKENIZER = "weights/l2_supercat_256.safetensors", "tokenizers/l2_supercat_tokenizer_config.json"


def installed() -> bool:
    """Whether the extra `text` is there."""
    return all(importlib.util.find_spec(name) is not None for name in (PACKAGE, "safetensors", "tokenizers"))


class Words:
    """Texts to vectors of length one. What a text gives does not depend on the texts before it."""

    def __init__(self) -> None:
        self._tokenizer, self._vectors = _files()
        self._tokens: dict[str, list[int]] = {}

    def embed(self, texts: Sequence[str]) -> NDArray[np.float64]:
        """(n, WIDTH); zeros for a text of nothing but spaces."""
        found = np.empty((len(texts), WIDTH))
        read = list(map(_words, texts))
        tokens: list[int] = []
        ends = np.empty(len(texts), np.int64)
        for i, words in enumerate(read):
            for ids in self._known(words):
                tokens += ids
            ends[i] = len(tokens)
        _mean(self._vectors, np.array(tokens, np.int64), ends, found)
        unit: NDArray[np.float64] = directions(found)
        return unit

    def _known(self, words: list[str]) -> list[list[int]]:
        """The tokens of each word."""
        try:
            return [self._tokens[word] for word in words]
        except KeyError:
            self._learn(words)
        return [self._tokens[word] for word in words]

    def _learn(self, words: list[str]) -> None:
        if len(self._tokens) > KEPT:
            self._tokens.clear()
        new = [word for word in dict.fromkeys(words) if word not in self._tokens]
        encoded = self._tokenizer.encode(new, is_pretokenized=True, add_special_tokens=False)
        for word in new:
            self._tokens[word] = []
        for place, token in zip(encoded.word_ids, encoded.ids, strict=True):
            self._tokens[new[place]].append(token)


def _words(text: str) -> list[str]:
    words = text[:MOST].split()
    if max(map(len, words), default=0) <= LONGEST:
        return words
    return [word[i : i + LONGEST] for word in words for i in range(0, len(word), LONGEST)]


@numba.njit(cache=True)
def _mean(vectors, tokens, ends, found):  # type: ignore[no-untyped-def]
    """A BLAS product would depend on how many texts there are; this sum has one order."""
    start = 0
    for i in range(ends.size):
        for d in range(found.shape[1]):
            found[i, d] = 0.0
        for j in range(start, ends[i]):
            for d in range(found.shape[1]):
                found[i, d] += vectors[tokens[j], d]
        start = ends[i]


@numba.njit(cache=True)
def directions(vectors):  # type: ignore[no-untyped-def]
    """Each of (n, d) at length one; zeros stay zeros."""
    found = np.zeros_like(vectors)
    for i in range(vectors.shape[0]):
        length = 0.0
        for d in range(vectors.shape[1]):
            length += vectors[i, d] * vectors[i, d]
        if length > 0.0:
            for d in range(vectors.shape[1]):
                found[i, d] = vectors[i, d] / np.sqrt(length)
    return found


@cache
def _files():  # type: ignore[no-untyped-def]
    """Tokenizer and vectors (tokens, WIDTH) float32. Raises ProfileError where the extra is not installed."""
    try:
        from safetensors.numpy import load_file
        from tokenizers import Tokenizer
    except ModuleNotFoundError as error:
        raise ProfileError(_missing(error.name or "")) from error
    spec = importlib.util.find_spec(PACKAGE)
    if spec is None or not spec.submodule_search_locations:
        raise ProfileError(_missing(PACKAGE))
    folder = Path(spec.submodule_search_locations[0])
    try:
        (vectors,) = load_file(folder / VECTORS).values()
        return Tokenizer.from_file(str(folder / TOKENIZER)), vectors.astype(np.float32)
    except (OSError, ValueError) as error:
        raise ProfileError(f"the files of the package {PACKAGE} cannot be read: {error}") from error


def _missing(package: str) -> str:
    return f"text needs the package {package}: pip install 'querywarden[text]'"
