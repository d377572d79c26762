"""Sweeps of a language model, made of other people's exchanges. Where no model was asked, the answer that belongs to
what the prompt was made of stands in for its own.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache

import numpy as np

from detector.query import F64
from detector.redteam.exchanges import Exchange
from detector.text.words import Words, directions

LENGTH = 200  # prompts of a sweep
TEMPLATES = (
    "Write a short paragraph about {}.", "What is {}? Explain it in simple terms.", "Give me five facts about {}.",
    "Question: {}\nAnswer:",
)  # fmt: skip
ELICITING = ("Think step by step.", "Explain your reasoning step by step before you answer.", "Show your work.")
AGAIN = ("In other words: {}", "{} Please.", "I would like to know: {}", "Could you help me with this? {}")
GOING_ON = (
    "Can you explain that in more detail?", "continue", "Give me an example", "Why?", "what else", "rewrite it please",
)  # fmt: skip
LEADING = 3  # words of one prompt that a made-up task begins with

Rng = np.random.Generator
Pool = Sequence[Exchange]
Make = Callable[[Pool, Rng, int], list[Exchange]]
"""(pool, rng, n) -> n exchanges, or as many as the pool gives."""

Rewrite = Callable[[Sequence[Exchange], Rng], list[Exchange]]


@dataclass(frozen=True)
class Sweep:
    """A family of sweeps under its name; `embeds`: it needs the extra `text`."""

    name: str
    title: str
    make: Make
    embeds: bool = False


@dataclass(frozen=True)
class TextManner:
    """What a thief who knows the method makes of any sweep."""

    name: str
    title: str
    rewrite: Rewrite
    embeds: bool = False


def shuffled(pool: Pool, rng: Rng, n: int = LENGTH) -> list[Exchange]:
    return [pool[i] for i in rng.choice(len(pool), n, replace=n > len(pool))]


def one_topic(pool: Pool, rng: Rng, n: int = LENGTH) -> list[Exchange]:
    """The prompts most like one of them, shuffled."""
    some = [pool[i] for i in rng.choice(len(pool), min(len(pool), 4_000), replace=False)]
    vectors = _words().embed([one.asked for one in some])
    nearest = np.argsort(-(vectors @ vectors[0]), kind="stable")[:n]
    return [some[i] for i in rng.permutation(nearest)]


def templates(pool: Pool, rng: Rng, n: int = LENGTH) -> list[Exchange]:
    template = TEMPLATES[rng.integers(len(TEMPLATES))]
    return [Exchange(template.format(_phrase(one.asked, rng)), one.answer) for one in shuffled(pool, rng, n)]


def sentences(pool: Pool, rng: Rng, n: int = LENGTH) -> list[Exchange]:
    """Loose sentences of answers, or of prompts where there are no answers."""
    found: list[Exchange] = []
    for i in rng.permutation(len(pool)):
        text = pool[i].answer or pool[i].asked
        parts = [s for s in re.split(r"(?<=[.!?])\s+", text) if 20 < len(s) < 200]
        if parts:
            found.append(Exchange(parts[rng.integers(len(parts))], pool[i].answer))
        if len(found) == n:
            break
    return found


def salad(pool: Pool, rng: Rng, n: int = LENGTH) -> list[Exchange]:
    words = [word for one in shuffled(pool, rng, n) for word in one.asked.split()[:50]]
    texts = [" ".join(rng.choice(words, rng.integers(4, 25))) for _ in range(n)]
    return [Exchange(text, one.answer) for text, one in zip(texts, shuffled(pool, rng, n), strict=True)]


def eliciting(pool: Pool, rng: Rng, n: int = LENGTH) -> list[Exchange]:
    """Prompts with a request for the reasoning."""
    return [Exchange(f"{one.asked}\n{rng.choice(ELICITING)}", one.answer) for one in shuffled(pool, rng, n)]


def paraphrased(pool: Pool, rng: Rng, n: int = LENGTH) -> list[Exchange]:
    """Each prompt in three wordings, all shuffled."""
    some = [Exchange(t.format(one.asked), one.answer) for one in shuffled(pool, rng, n)[: n // 3] for t in AGAIN[:3]]
    return [some[i] for i in rng.permutation(len(some))]


def self_instructed(pool: Pool, rng: Rng, n: int = LENGTH) -> list[Exchange]:
    """Tasks that are made up from seed tasks: the beginning of one, what another is about.

    Wang et al. 2023, "Self-Instruct: Aligning Language Models with Self-Generated Instructions", with recombination in
    the place of the model that writes them.
    """
    found = []
    for verb, about in zip(shuffled(pool, rng, n), shuffled(pool, rng, n), strict=True):
        start = " ".join(verb.asked.split()[:LEADING])
        found.append(Exchange(f"{start} {_phrase(about.asked, rng)}", about.answer))
    return found


def casually(sweep: Sequence[Exchange], rng: Rng) -> list[Exchange]:
    return [Exchange(re.sub(r"[^\w\s?]", "", one.asked).lower() or "hi", one.answer) for one in sweep]


def followed_up(sweep: Sequence[Exchange], rng: Rng) -> list[Exchange]:
    """After every other prompt a word of going on, with the same answer again."""
    found: list[Exchange] = []
    for one in sweep:
        found.append(one)
        if rng.random() < 0.5:
            found.append(Exchange(str(rng.choice(GOING_ON)), one.answer))
    return found[: len(sweep)]


def chained(sweep: Sequence[Exchange], rng: Rng) -> list[Exchange]:
    """Like follows like: always the nearest that is left."""
    some = list(sweep)
    vectors = _words().embed([one.asked for one in some])
    order, left = [0], list(range(1, len(some)))
    while left:
        order.append(left.pop(int(np.argmax(vectors[left] @ vectors[order[-1]]))))
    return [some[i] for i in order]


SWEEPS: tuple[Sweep, ...] = (
    Sweep("shuffled", "other people's prompts, shuffled", shuffled),
    Sweep("topic", "one topic", one_topic, embeds=True),
    Sweep("templates", "templates", templates),
    Sweep("sentences", "loose sentences", sentences),
    Sweep("salad", "word salad", salad),
    Sweep("eliciting", "with requests for reasoning", eliciting),
    Sweep("paraphrased", "three wordings of each", paraphrased),
    Sweep("self-instruct", "tasks made up from seed tasks", self_instructed),
)
TEXT_MANNERS: tuple[TextManner, ...] = (
    TextManner("casual", "rewritten casually", casually),
    TextManner("followed", "with follow-ups", followed_up),
    TextManner("sorted", "sorted by similarity", chained, embeds=True),
)


def hidden(sweep: Sequence[Exchange], cover: Sequence[Exchange], share: float, rng: Rng) -> list[Exchange]:
    """The sweep, mixed into honest traffic in its order, until either ends."""
    if share == 1.0:
        return list(sweep)
    own, others = iter(sweep), iter(cover)
    found: list[Exchange] = []
    while (following := next(own if rng.random() < share else others, None)) is not None:
        found.append(following)
    return found


def embedded(texts: Sequence[str]) -> F64:
    """(n, d) directions of what the texts are about. Raises MissingExtra without the extra `text`."""
    found: F64 = directions(_words().embed(texts))
    return found


@cache
def _words() -> Words:
    return Words()


def _phrase(text: str, rng: Rng) -> str:
    words = re.findall(r"[\w']+", text[:2_000]) or ["this"]
    start = int(rng.integers(0, max(len(words) - 3, 1)))
    return " ".join(words[start : start + int(rng.integers(1, 6))])
