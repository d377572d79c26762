"""Which sweeps the benchmark of text is about, and which of them were looked at while it was tuned."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

from detector.redteam.exchanges import Exchange
from detector.redteam.sweeps import (
    Pool,
    Rewrite,
    Rng,
    casually,
    chained,
    eliciting,
    followed_up,
    one_topic,
    paraphrased,
    salad,
    sentences,
    shuffled,
    templates,
)


class Sweep(NamedTuple):
    title: str
    make: Callable[[Pool, Rng], list[Exchange]]
    kind: str  # tuned: looked at during development; kept: not; adaptive
    share: float = 1.0


def _after(rewrite: Rewrite) -> Callable[[Pool, Rng], list[Exchange]]:
    return lambda pool, rng: rewrite(shuffled(pool, rng), rng)


SWEEPS = {
    "shuffled": Sweep("other people's prompts, shuffled", shuffled, "tuned"),
    "topic": Sweep("one topic", one_topic, "tuned"),
    "templates": Sweep("templates", templates, "tuned"),
    "sentences": Sweep("loose sentences", sentences, "tuned"),
    "salad": Sweep("word salad", salad, "tuned"),
    "eliciting": Sweep("with requests for reasoning", eliciting, "kept"),
    "paraphrased": Sweep("three wordings of each", paraphrased, "kept"),
    "casual": Sweep("rewritten casually", _after(casually), "adaptive"),
    "followed": Sweep("with follow-ups", _after(followed_up), "adaptive"),
    "sorted": Sweep("sorted by similarity", _after(chained), "adaptive"),
    "shuffled@30%": Sweep("shuffled, 30% hidden in honest traffic", shuffled, "hidden", 0.3),
    "topic@30%": Sweep("one topic, 30% hidden", one_topic, "hidden", 0.3),
    "templates@30%": Sweep("templates, 30% hidden", templates, "hidden", 0.3),
    "shuffled@10%": Sweep("shuffled, 10% hidden", shuffled, "hidden", 0.1),
    "templates@10%": Sweep("templates, 10% hidden", templates, "hidden", 0.1),
}
