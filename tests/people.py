"""A small served model and those who ask it, made up for the tests: honest clients, and ways to copy the model."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Any, NamedTuple

import msgspec
import numpy as np
from numpy.typing import NDArray

from detector.query import Chunk

MODEL = "made"
WIDTH = 20  # numbers of an input
KINDS = 5  # of natural inputs
START_US = 1_767_225_600_000_000  # 2026-01-01
MINUTE_US = 60_000_000
DAY_US = 86_400_000_000
END_US = START_US + 1_000 * DAY_US  # nothing was written later
STREAM = "file:made"

_world = np.random.default_rng(20260101)
_PROTOTYPES = _world.normal(0.0, 1.5, (KINDS, 6))
_LOADINGS = _world.normal(0.0, 1.0, (6, WIDTH))
_VICTIM = _world.normal(0.0, 1.0, (WIDTH, 3))


class Asked(NamedTuple):
    """One query, before it is written down."""

    at: int
    client: str
    group: str | None
    input: NDArray[np.float64]


def natural(
    rng: np.random.Generator, mix: NDArray[np.float64], pen: NDArray[np.float64], noise: float, n: int
) -> NDArray[np.float64]:
    """n inputs as a client with this mix of kinds and this pen asks them."""
    kinds = rng.choice(KINDS, n, p=mix)
    latent = _PROTOTYPES[kinds] + pen + rng.normal(0.0, 0.6, (n, 6))
    inputs: NDArray[np.float64] = np.round(0.1 * latent @ _LOADINGS + rng.normal(0.0, noise, (n, WIDTH)), 4)
    return inputs


def training(n: int = 500) -> NDArray[np.float64]:
    rng = np.random.default_rng(7)
    return natural(rng, np.full(KINDS, 1 / KINDS), np.zeros(6), 0.02, n)


def answers(inputs: NDArray[np.float64]) -> NDArray[np.float64]:
    """The victim's probabilities (n, 3)."""
    logits = 4.0 * np.atleast_2d(inputs) @ _VICTIM
    odds = np.exp(logits - logits.max(1, keepdims=True))
    probabilities: NDArray[np.float64] = np.round(odds / odds.sum(1, keepdims=True), 5)
    return probabilities


def honest(
    seed: int, clients: int, *, days: float = 12.0, starts: float = 0.65, life: float = 5.0, volume: int = 45
) -> list[Asked]:
    """What honest clients ask in a log of so many `days`: they begin in the first `starts` of it, one to three to a
    group, one in ten in none.
    """
    asked: list[Asked] = []
    group, left = 0, 0
    for number in range(clients):
        rng = np.random.default_rng([seed, number])
        if left == 0:
            group, left = group + 1, int(rng.choice(3, p=[0.6, 0.25, 0.15])) + 1
        left -= 1
        inputs = natural(
            rng,
            rng.dirichlet(np.full(KINDS, 2.0)),
            rng.normal(0.0, 0.3, 6),
            float(rng.uniform(0.015, 0.03)),
            5 + int(rng.exponential(volume)),
        )
        first = starts * days * rng.random()
        at = np.sort(rng.uniform(first, min(first + life * rng.random(), days), len(inputs)))
        name = None if rng.random() < 0.1 else f"o{seed}-{group}"
        asked += _written(f"c{seed}-{number}", name, START_US + np.rint(at * DAY_US).astype(np.int64), inputs)
    return in_order(asked)


def noise(client: str, *, seed: int = 0, n: int = 60, at: int = START_US, group: str | None = None) -> list[Asked]:
    """A copier who asks uniform noise."""
    rng = np.random.default_rng([seed, 99])
    return _written(client, group, at + np.arange(n) * MINUTE_US, rng.uniform(-1.0, 1.0, (n, WIDTH)))


def children(client: str, *, seed: int = 0, n: int = 200, at: int = START_US) -> list[Asked]:
    """A copier who asks natural seeds, then small steps away from what he asked (Papernot et al. 2017)."""
    rng = np.random.default_rng([seed, 98])
    seeds = natural(rng, np.full(KINDS, 1 / KINDS), np.zeros(6), 0.02, 30)
    steps = seeds[rng.integers(30, size=n - 30)] + 0.05 * rng.choice([-1.0, 1.0], (n - 30, WIDTH))
    return _written(client, None, at + np.arange(n) * MINUTE_US, np.concatenate([seeds, steps]))


def in_order(asked: Iterable[Asked]) -> list[Asked]:
    return sorted(asked, key=lambda one: (one.at, one.client))


def _written(client: str, group: str | None, at: NDArray[np.int64], inputs: NDArray[np.float64]) -> list[Asked]:
    return [Asked(int(t), client, group, row) for t, row in zip(at, inputs, strict=True)]


def line(
    client: str | None,
    at: int,
    input: Any,  # noqa: A002
    *,
    id: str | None = None,  # noqa: A002
    group: str | None = None,
    probabilities: Any = None,
    label: int | None = None,
    model: str = MODEL,
    **more: Any,
) -> bytes:
    """One record of the native log format."""
    record: dict[str, Any] = {"at": at / 1e6, "client": client, "model": model, "input": input, "id": id}
    record["groups"] = {"organisation": group} if group else None
    record["output"] = {"label": label, "probabilities": probabilities}
    return msgspec.json.encode(record | more)


def log_of(asked: Sequence[Asked], *, probabilities: bool = True) -> list[bytes]:
    """The records of these queries, with the victim's answers and ids that are their own."""
    said = answers(np.array([one.input for one in asked]))
    return [
        line(
            one.client,
            one.at,
            one.input.tolist(),
            id=f"{one.client}/{i}",
            group=one.group,
            probabilities=said[i].tolist() if probabilities else None,
            label=int(said[i].argmax()),
        )
        for i, one in enumerate(asked)
    ]


def chunk(payloads: Sequence[bytes], *, stream: str = STREAM, at: int = 0) -> Chunk:
    """Consecutive records, the first of them number `at` of its stream."""
    n = len(payloads)
    return Chunk(stream, list(payloads), list(range(at, at + n)), at + n, [END_US] * n)


def chunks(payloads: Sequence[bytes], sizes: Iterable[int] = (), *, stream: str = STREAM) -> Iterator[Chunk]:
    """The records cut into chunks of these sizes; the last size goes on, 1,000 where none is given."""
    start, size = 0, 1_000
    following = iter(sizes)
    while start < len(payloads):
        size = next(following, size)
        yield chunk(payloads[start : start + size], stream=stream, at=start)
        start += size
