"""Simulated traffic on its way into detection: as a log on disk, as chunks in memory, or at once as columns."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import numpy as np

from detector import columns
from detector.profile.honest import Survey
from detector.profile.projection import Projection
from detector.query import F64, Batch, Chunk
from detector.redteam.traffic import Traffic
from detector.run.replay import read_logs

NEVER = 2**62  # no record claims a later time


def reader(path: Path) -> Callable[[], Iterator[Chunk]]:
    """What `fit` reads its log with."""
    return lambda: read_logs([str(path)])


def chunks(lines: Sequence[bytes], size: int = 4000, stream: str = "file:bench") -> Iterator[Chunk]:
    """Lines of a log (without newlines), as a source hands them on."""
    for start in range(0, len(lines), size):
        part = list(lines[start : start + size])
        yield Chunk(stream, part, list(range(start, start + len(part))), start + len(part), [NEVER] * len(part))


def surveyed(traffic: Traffic) -> Survey:
    """What `honest.survey` finds in the log that the traffic would be written to, without its groups."""
    found = Survey(model=traffic.model)
    order = np.unique(traffic.account, return_index=True)[1]
    for number in traffic.account[np.sort(order)].tolist():
        found.index[traffic.accounts[number].client] = len(found.index)
    slots = slots_of(traffic, found)
    found.volume = np.bincount(slots).tolist()
    for ends, pick in ((found.first, np.minimum), (found.last, np.maximum)):
        extreme = traffic.at[np.unique(slots, return_index=True)[1]]
        pick.at(extreme, slots, traffic.at)
        ends += extreme.tolist()
    found.groups = [{} for _ in found.index]
    found.models[traffic.model] = len(traffic)
    return found


def slots_of(traffic: Traffic, survey: Survey) -> columns.np.ndarray:
    """(n,) the place of each query's client in the survey."""
    place = np.full(len(traffic.accounts), -1, np.int64)
    for number, account in enumerate(traffic.accounts):
        place[number] = survey.index.get(account.client, -1)
    return place[traffic.account]


def batch_of(traffic: Traffic, slots: columns.np.ndarray, projection: Projection, secret: np.uint64) -> Batch:
    """The columns that the traffic's log would be decoded to; the log's query ids are left out (nothing is retried)."""
    x, residual = projection.apply(inputs_of(traffic))
    return Batch(
        slots=slots,
        at=traffic.at,
        x=x,
        residual=residual,
        labels=traffic.labels,
        top=columns.top_from(traffic.probabilities),
        ids=np.zeros(len(traffic), np.uint64),
    )


def inputs_of(traffic: Traffic) -> F64:
    """(n, d) the inputs with the four decimals that the log has of them."""
    return np.round(traffic.inputs.astype(np.float64), 4)
