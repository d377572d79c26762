"""Sweeps of a language model, made of other people's exchanges. Where no model was asked, the answer that belongs to
what the prompt was made of stands in for its own.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np

from bench.conversations import Exchange
from detector.text.words import Words

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

Rng = np.random.Generator
Pool = Sequence[Exchange]


def shuffled(pool: Pool, rng: Rng) -> list[Exchange]:
    return [pool[i] for i in rng.choice(len(pool), LENGTH, replace=False)]


def one_topic(pool: Pool, rng: Rng) -> list[Exchange]:
    """The prompts most like one of them, shuffled."""
    some = [pool[i] for i in rng.choice(len(pool), min(len(pool), 4_000), replace=False)]
    vectors = Words().embed([one.asked for one in some])
    nearest = np.argsort(-(vectors @ vectors[0]), kind="stable")[:LENGTH]
    return [some[i] for i in rng.permutation(nearest)]


def templates(pool: Pool, rng: Rng) -> list[Exchange]:
    template = TEMPLATES[rng.integers(len(TEMPLATES))]
    return [Exchange(template.format(_phrase(one.asked, rng)), one.answer) for one in shuffled(pool, rng)]


def sentences(pool: Pool, rng: Rng) -> list[Exchange]:
    """Loose sentences of answers."""
    found: list[Exchange] = []
    for i in rng.permutation(len(pool)):
        parts = [s for s in re.split(r"(?<=[.!?])\s+", pool[i].answer) if 20 < len(s) < 200]
        if parts:
            found.append(Exchange(parts[rng.integers(len(parts))], pool[i].answer))
        if len(found) == LENGTH:
            break
    return found


def salad(pool: Pool, rng: Rng) -> list[Exchange]:
    words = [word for one in shuffled(pool, rng) for word in one.asked.split()[:50]]
    texts = [" ".join(rng.choice(words, rng.integers(4, 25))) for _ in range(LENGTH)]
    return [Exchange(text, one.answer) for text, one in zip(texts, shuffled(pool, rng), strict=True)]


def eliciting(pool: Pool, rng: Rng) -> list[Exchange]:
    """Prompts with a request for the reasoning."""
    return [Exchange(f"{one.asked}\n{rng.choice(ELICITING)}", one.answer) for one in shuffled(pool, rng)]


def paraphrased(pool: Pool, rng: Rng) -> list[Exchange]:
    """Each prompt in three wordings, all shuffled."""
    some = [Exchange(t.format(one.asked), one.answer) for one in shuffled(pool, rng)[: LENGTH // 3] for t in AGAIN[:3]]
    return [some[i] for i in rng.permutation(len(some))]


def casual(pool: Pool, rng: Rng) -> list[Exchange]:
    return [Exchange(re.sub(r"[^\w\s?]", "", one.asked).lower() or "hi", one.answer) for one in shuffled(pool, rng)]


def followed(pool: Pool, rng: Rng) -> list[Exchange]:
    """After every other prompt a word of going on, with the same answer again."""
    found: list[Exchange] = []
    for one in shuffled(pool, rng):
        found.append(one)
        if rng.random() < 0.5:
            found.append(Exchange(str(rng.choice(GOING_ON)), one.answer))
    return found[:LENGTH]


def sorted_(pool: Pool, rng: Rng) -> list[Exchange]:
    """Like follows like: always the nearest that is left."""
    some = shuffled(pool, rng)
    vectors = Words().embed([one.asked for one in some])
    order, left = [0], list(range(1, len(some)))
    while left:
        order.append(left.pop(int(np.argmax(vectors[left] @ vectors[order[-1]]))))
    return [some[i] for i in order]


class Sweep(NamedTuple):
    title: str
    make: Callable[[Pool, Rng], list[Exchange]]
    kind: str  # tuned: looked at during development; kept: not; adaptive
    share: float = 1.0


SWEEPS = {
    "shuffled": Sweep("other people's prompts, shuffled", shuffled, "tuned"),
    "topic": Sweep("one topic", one_topic, "tuned"),
    "templates": Sweep("templates", templates, "tuned"),
    "sentences": Sweep("loose sentences", sentences, "tuned"),
    "salad": Sweep("word salad", salad, "tuned"),
    "eliciting": Sweep("with requests for reasoning", eliciting, "kept"),
    "paraphrased": Sweep("three wordings of each", paraphrased, "kept"),
    "casual": Sweep("rewritten casually", casual, "adaptive"),
    "followed": Sweep("with follow-ups", followed, "adaptive"),
    "sorted": Sweep("sorted by similarity", sorted_, "adaptive"),
    "shuffled@30%": Sweep("shuffled, 30% hidden in honest traffic", shuffled, "hidden", 0.3),
    "topic@30%": Sweep("one topic, 30% hidden", one_topic, "hidden", 0.3),
    "templates@30%": Sweep("templates, 30% hidden", templates, "hidden", 0.3),
    "shuffled@10%": Sweep("shuffled, 10% hidden", shuffled, "hidden", 0.1),
    "templates@10%": Sweep("templates, 10% hidden", templates, "hidden", 0.1),
}


def hidden(sweep: Sequence[Exchange], cover: Sequence[Exchange], share: float, rng: Rng) -> list[Exchange]:
    """The sweep, mixed into honest traffic in its order, until either ends."""
    if share == 1.0:
        return list(sweep)
    own, others = iter(sweep), iter(cover)
    found: list[Exchange] = []
    while (following := next(own if rng.random() < share else others, None)) is not None:
        found.append(following)
    return found


def _phrase(text: str, rng: Rng) -> str:
    words = re.findall(r"[\w']+", text[:2_000]) or ["this"]
    start = int(rng.integers(0, max(len(words) - 3, 1)))
    return " ".join(words[start : start + int(rng.integers(1, 6))])
