"""What exposure knows of the honest and of the model: one value of plain arrays, and how it travels in a profile."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from features.contract import LABELS

MEASURES = ("exposure.agreement", "exposure.answers", "exposure.cells")
AGREEMENT, ANSWERS, CELLS = range(len(MEASURES))
CLONE = 1_000  # queries, of the clone that the share is told of

EXAMS = 3  # looks, of which one is an exam, too
_FIRST, _FINER, _LEAST, _MOST = 20, 16, 2, 180


def _looks() -> NDArray[np.int64]:
    found = [_FIRST]
    while len(found) < _MOST:
        found.append(found[-1] + max(found[-1] // _FINER, _LEAST))
    return np.array(found, np.int64)


LOOKS = (
    _looks()
)  # queries at which an entity is looked at: 20, 22, 24 ... 96, 102, 108, 114 ..., a sixteenth more each time


class Known(NamedTuple):
    """d projected dimensions, L = LABELS places of labels, m cells, A audit queries, M measures, S looks.

    centres (d, m) int16       of the cells
    mass (m,)                  share of audit queries in each cell
    cell_alpha (m,)            the honest law (Pólya) of an entity's cells
    answer_alpha (L,)          likewise of the answers it gets
    answer_shares (2, L)       of the whole population: as it asks, and all answers alike
    mean (d,), basis (d, d), between (d,)   x -> (x - mean) @ basis, in which the spread within an answer is 1 and the
                               spread of the answers' centres is `between`
    audit (d, A), audit_places (A,) uint8   the audit queries there, and the places of the victim's answers
    places (k,) int64          the places that occur among them; none where the log has no labels
    centre, spread (M, S)      of agreement: honest median at each look, and a tenth of what the 90th percentile lies
                               above it; NaN where too few came to the look. Of bets, which are nats: 0 and 1
    reached (S,) int64         how many entities of the scale set came to each look
    scale (M, 4)               calibration.Scale of the highest u = (x - centre) / spread of honest entities
    weight (M,)                that a measure's word has beside the other channels of the score
    chance, clone              agreement of who always gives the commonest answer, and of a student of CLONE queries
    """

    centres: NDArray[np.int16]
    mass: NDArray[np.float64]
    cell_alpha: NDArray[np.float64]
    answer_alpha: NDArray[np.float64]
    answer_shares: NDArray[np.float64]
    mean: NDArray[np.float64]
    basis: NDArray[np.float64]
    between: NDArray[np.float64]
    audit: NDArray[np.float64]
    audit_places: NDArray[np.uint8]
    places: NDArray[np.int64]
    centre: NDArray[np.float64]
    spread: NDArray[np.float64]
    reached: NDArray[np.int64]
    scale: NDArray[np.float64]
    weight: NDArray[np.float64]
    chance: float
    clone: float

    @property
    def labelled(self) -> bool:
        return len(self.places) > 0

    @property
    def judged(self) -> int:
        """Up to how many queries agreement is judged against honest entities; 0 where it never is."""
        looks = LOOKS[np.isfinite(self.centre[AGREEMENT])]
        return int(looks[-1]) if len(looks) else 0

    def arrays(self) -> dict[str, NDArray[Any]]:
        return {name: np.asarray(value) for name, value in self._asdict().items()}


def known_from(arrays: Mapping[str, NDArray[Any]]) -> Known:
    """What `Known.arrays` gave."""
    found = {name: arrays[name] for name in Known._fields}
    return Known(**found | {name: float(found[name]) for name in ("chance", "clone")})  # type: ignore[arg-type]


def blank_scales() -> dict[str, NDArray[Any]]:
    """Scales before any was set: nothing is judged by them."""
    shape = len(MEASURES), len(LOOKS)
    return {
        "centre": np.full(shape, np.nan),
        "spread": np.ones(shape),
        "reached": np.zeros(len(LOOKS), np.int64),
        "scale": np.ones((len(MEASURES), 4)),
        "weight": np.ones(len(MEASURES)),
    }


def unlabelled(dims: int) -> dict[str, NDArray[Any]]:
    """The student's part where the log has no labels: it learns nothing."""
    return {
        "answer_alpha": np.ones(LABELS),
        "answer_shares": np.full((2, LABELS), 1.0 / LABELS),
        "mean": np.zeros(dims),
        "basis": np.zeros((dims, dims)),
        "between": np.zeros(dims),
        "audit": np.zeros((dims, 0)),
        "audit_places": np.zeros(0, np.uint8),
        "places": np.zeros(0, np.int64),
    }
