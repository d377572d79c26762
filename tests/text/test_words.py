"""The offline embedding, where the extra is installed."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from detector.errors import ProfileError
from detector.text import words
from detector.text.words import Words

needs_the_extra = pytest.mark.skipif(not words.installed(), reason="the extra `text` is not installed")


@pytest.fixture(scope="module")
def embedder() -> Words:
    return Words()


@needs_the_extra
@settings(max_examples=20)
@given(texts=st.lists(st.text(max_size=80), min_size=1, max_size=5))
def test_a_vector_depends_on_its_text_alone(embedder: Words, texts: list[str]) -> None:
    together = embedder.embed(texts)
    assert together.tobytes() == np.concatenate([embedder.embed([text]) for text in texts]).tobytes()
    lengths = np.linalg.norm(together, axis=1)
    assert (np.isclose(lengths, 1) | (lengths == 0)).all()


@needs_the_extra
def test_what_means_alike_lies_close(embedder: Words) -> None:
    egg, boil, loan = embedder.embed(["How do I boil an egg?", "cooking eggs in water", "the interest of a bank loan"])
    assert egg @ boil > egg @ loan


@needs_the_extra
def test_what_was_forgotten_is_learned_again(embedder: Words, monkeypatch: pytest.MonkeyPatch) -> None:
    texts = ["one two three", "four five six", "one two three"]
    before = embedder.embed(texts)
    monkeypatch.setattr(words, "KEPT", 2)
    assert Words().embed(texts).tobytes() == before.tobytes()


def test_a_missing_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    words._files.cache_clear()
    monkeypatch.setattr(words, "PACKAGE", "no_such_package_here")
    with pytest.raises(ProfileError, match=r"querywarden\[text\]"):
        Words()
    words._files.cache_clear()
