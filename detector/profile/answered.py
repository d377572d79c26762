"""Natural inputs of honest clients with the answers that they got, and what the model would answer to made ones."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from detector import columns
from detector.columns import Reader
from detector.learned.imagined import Imagined
from detector.learned.number_sweeps import Answers, Asked
from detector.query import ABSENT, NO_LABEL, Query


def natural(
    queries: Sequence[Query], owner: NDArray[np.int64], reader: Reader, width: int
) -> tuple[Asked, NDArray[np.int64]]:
    """Of the queries, owner (n,), those whose input can be read, and their owners."""
    read = reader.read(queries, width)
    fit = np.setdiff1d(np.arange(len(queries)), [one.place for one in read.unfit])
    some = [queries[i] for i in fit]
    return Asked(read.inputs[fit], columns.labels_of(some), columns.top_of(some)), owner[fit]


def by_copy(queries: Sequence[Query], asked: Asked, copy: Imagined | None) -> Answers:
    """The copy's answers, under the labels that the log has for them; without a copy, the label of what an input was
    made of, and no probabilities.
    """
    if copy is None:
        return lambda inputs, of: (asked.labels[of], np.full((len(inputs), 2), ABSENT))
    codes = _codes(queries)

    def answers(inputs: NDArray[np.float64], of: NDArray[np.int64]) -> tuple[NDArray[np.int32], NDArray[np.float64]]:
        told = copy.answers(inputs)
        labels = codes[told.argmax(1)] if told.shape[1] == len(codes) else asked.labels[of]
        return labels, np.sort(told, axis=1)[:, :-3:-1]

    return answers


def _codes(queries: Sequence[Query]) -> NDArray[np.int32]:
    """Of each place among the probabilities, the label that goes with it most often; NO_LABEL where none does."""
    told = [query for query in queries if query.probabilities]
    wide = max((len(query.probabilities or ()) for query in told), default=0)
    labels = columns.labels_of(told)
    highest = np.array([int(np.argmax(query.probabilities or (0.0,))) for query in told], np.int64)
    codes = np.full(wide, NO_LABEL, np.int32)
    for place in np.unique(highest).tolist():
        values, counts = np.unique(labels[highest == place], return_counts=True)
        codes[place] = values[np.argmax(counts)]
    return codes
