"""Sweeps of a language model that nobody made, of honest people's exchanges: they teach the sequence model.

Each kind is one way to come by many prompts without asking for oneself. Where a prompt was never asked, the answer to
what it was made of stands in for its own. An embedding that the log carries belongs to the prompt that was logged, so
where embeddings are the log's only kinds of whole prompts are made (`worded` false).
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple

import msgspec
import numpy as np
from numpy.typing import NDArray

from detector.query import Query

LENGTH = 128  # prompts of a sweep
EACH = 32  # sweeps of a kind
SHARES = (0.3, 0.1)  # of a client's prompts, where a sweep is hidden among them
WIDEST = 3  # times LENGTH, of the nearest prompts that a topic is drawn from
SPOKEN = 400  # characters of a prompt that stand in a template
SENTENCE = 20, 200  # characters of a loose one
SALAD = 3, 30  # words
FEWEST = 200  # exchanges that sweeps are made of
HIDING = ("shuffled", "topic", "form", "templates", "sentences")
TEMPLATES = (
    "Tell me about {}", "{}\n\nSummarise this.", "Explain {} to a beginner", "Translate into French: {}",
    "Is the following true? {}", "Classify this text: {}",
)  # fmt: skip
POLITE = ("{} Thanks.", "Hello. {}", "Please answer: {}", "{}\nBe brief.")
GOING_ON = (
    "and then?", "go on", "please continue", "more", "explain", "shorter please", "are you sure?", "make it better",
)  # fmt: skip

Rng = np.random.Generator


class People(NamedTuple):
    """Exchanges of honest clients: queries with text; owner (n,) of each, in the order in which each client asked;
    meaning (n, d) of the prompt alone, at length one; form (n, k), comparable columns.
    """

    queries: Sequence[Query]
    owner: NDArray[np.int64]
    meaning: NDArray[np.float64]
    form: NDArray[np.float64]


class Places(NamedTuple):
    """Of each sweep its kind, the share of it that is one (1.0: all), and the places of what it asks."""

    kinds: list[str]
    shares: list[float]
    places: list[NDArray[np.int64]]


class Sweeps(NamedTuple):
    """See Places: those of prompts or rows among `queries`."""

    kinds: list[str]
    shares: list[float]
    places: list[NDArray[np.int64]]
    queries: list[Query]


def of_people(people: People, each: int, seed: int, *, worded: bool = True) -> Sweeps:
    """`each` sweeps of every kind, and half as many of the HIDING kinds for each of SHARES.

    shuffled   prompts of many people
    topic      those nearest to one of them
    form       those written most like one of them
    sorted     like follows like: always the nearest that is left, of all prompts or of a topic
    templates  phrases or prompts in one sentence
    sentences  loose sentences of answers
    salad      words of many prompts
    followed   prompts of many people, and words of going on after them
    casual     without capitals and signs
    reworded   each prompt in three wordings, all shuffled
    """
    rng = np.random.default_rng(seed)
    maker = _Maker(people, rng)
    kinds: dict[str, Callable[[], NDArray[np.int64]]] = {
        "shuffled": maker.shuffled,
        "topic": maker.topic,
        "form": maker.form,
        "sorted": maker.in_order,
    }
    if worded:
        kinds |= {
            "templates": maker.templates,
            "sentences": maker.sentences,
            "salad": maker.salad,
            "followed": maker.followed,
            "casual": maker.casual,
            "reworded": maker.reworded,
        }
    return Sweeps(*of_kinds(kinds, HIDING, people.owner, each, rng), maker.queries)


def of_kinds(
    kinds: Mapping[str, Callable[[], NDArray[np.int64]]],
    hiding: Sequence[str],
    owner: NDArray[np.int64],
    each: int,
    rng: Rng,
    length: int = LENGTH,
) -> Places:
    """`each` sweeps of every kind, and half as many of the `hiding` kinds for each of SHARES, among queries of `owner`
    (n,). length: of what a kind makes.
    """
    found = Places([], [], [])
    for kind, make in kinds.items():
        for share in (1.0, *(SHARES if kind in hiding else ())):
            for _ in range(each if share == 1.0 else each // 2):
                found.kinds.append(kind)
                found.shares.append(share)
                found.places.append(make() if share == 1.0 else hidden(make(), share, owner, rng, length))
    return found


def hidden(
    sweep: NDArray[np.int64], share: float, owner: NDArray[np.int64], rng: Rng, length: int = LENGTH
) -> NDArray[np.int64]:
    """A sweep among the queries of one client, and of others when those are all, in the order in which they asked."""
    edges = np.append(np.flatnonzero(np.diff(owner, prepend=-1)), len(owner))
    cover: list[int] = []
    while len(cover) < length:
        which = int(rng.integers(len(edges) - 1))
        cover += range(int(edges[which]), int(edges[which + 1]))
    own, others = iter(sweep.tolist()), iter(cover)
    return np.array([next(own) if odd else next(others) for odd in rng.random(length) < share], np.int64)


class _Maker:
    """Sweeps as places among `queries`: the people's own, and behind them what is made."""

    def __init__(self, people: People, rng: Rng) -> None:
        self._people, self._rng = people, rng
        self._own = len(people.queries)
        self.queries = list(people.queries)

    def shuffled(self) -> NDArray[np.int64]:
        return self._rng.choice(self._own, LENGTH, replace=self._own < LENGTH)

    def topic(self) -> NDArray[np.int64]:
        meaning = self._people.meaning
        return self._nearest(-(meaning @ meaning[self._rng.integers(self._own)]))

    def form(self) -> NDArray[np.int64]:
        form = self._people.form
        return self._nearest(np.abs(form - form[self._rng.integers(self._own)]).sum(1))

    def in_order(self) -> NDArray[np.int64]:
        some = self.shuffled() if self._rng.random() < 0.5 else self.topic()
        meaning = self._people.meaning[some]
        left = np.ones(len(some), np.bool_)
        order = [0]
        for _ in range(1, len(some)):
            left[order[-1]] = False
            order.append(int(np.argmax(np.where(left, meaning @ meaning[order[-1]], -np.inf))))
        return some[order]

    def templates(self) -> NDArray[np.int64]:
        template = TEMPLATES[self._rng.integers(len(TEMPLATES))]
        whole = self._rng.random() < 0.5
        return self._made(self.shuffled(), lambda text: template.format(text[:SPOKEN] if whole else self._phrase(text)))

    def sentences(self) -> NDArray[np.int64]:
        least, most = SENTENCE

        def one(place: int) -> str:
            query = self.queries[place]
            parts = re.split(r"(?<=[.!?])\s+", f"{query.text or query.input}")
            fit = [part for part in parts if least < len(part) < most] or [parts[0][:most]]
            return str(self._rng.choice(fit))

        return self._told([(int(place), one(int(place))) for place in self.shuffled()])

    def salad(self) -> NDArray[np.int64]:
        words = [word for place in self.shuffled() for word in f"{self.queries[place].input}".split()[:50]] or ["so"]
        return self._made(self.shuffled(), lambda _: " ".join(self._rng.choice(words, self._rng.integers(*SALAD))))

    def followed(self) -> NDArray[np.int64]:
        often, told = self._rng.uniform(0.2, 0.6), []
        for place in self.shuffled().tolist():
            told.append((place, ""))
            while self._rng.random() < often:
                told.append((place, str(self._rng.choice(GOING_ON))))
        return self._told(told[:LENGTH])

    def casual(self) -> NDArray[np.int64]:
        return self._made(self.shuffled(), lambda text: re.sub(r"[^\w\s]", "", text).lower() or "hi")

    def reworded(self) -> NDArray[np.int64]:
        ways = self._rng.permutation(len(POLITE))[:3].tolist()
        some = self.shuffled()[: LENGTH // len(ways)].tolist()
        told = [(place, POLITE[way].format(self.queries[place].input)) for place in some for way in ways]
        return self._rng.permutation(self._told(told))

    def _nearest(self, apart: NDArray[np.float64]) -> NDArray[np.int64]:
        wide = int(LENGTH * self._rng.uniform(1, WIDEST))
        near = np.argsort(apart, kind="stable")[:wide]
        return near[self._rng.choice(len(near), LENGTH, replace=len(near) < LENGTH)]

    def _phrase(self, text: str) -> str:
        words = re.findall(r"[\w']+", text[:2_000]) or ["this"]
        start = int(self._rng.integers(0, max(len(words) - 3, 1)))
        return " ".join(words[start : start + int(self._rng.integers(1, 8))])

    def _made(self, places: NDArray[np.int64], reword: Callable[[str], str]) -> NDArray[np.int64]:
        return self._told([(place, reword(f"{self.queries[place].input}")) for place in places.tolist()])

    def _told(self, told: Sequence[tuple[int, str]]) -> NDArray[np.int64]:
        """Prompts as they are worded; the empty wording is the prompt itself."""
        found = []
        for place, text in told:
            if text:
                self.queries.append(msgspec.structs.replace(self.queries[place], input=text))
                found.append(len(self.queries) - 1)
            else:
                found.append(place)
        return np.array(found, np.int64)
