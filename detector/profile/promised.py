"""A promise in the two units that people think in: a share of honest clients, and false alerts a week."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from detector.errors import PromiseRefused
from detector.profile import calibration
from detector.profile.artefact import Level

WEEK_DAYS = 7.0
OBSERVES = "observes only: nothing is promised and nobody is named"


def alerts_a_week(share: float, clients: int, days: float) -> float:
    """False alerts to expect a week, if as many clients come as the `clients` that came in `days`: each new client is
    named with a probability of at most `share` within its horizon.

    >>> alerts_a_week(0.01, 1_000, 70.0)
    1.0
    """
    return share * clients * WEEK_DAYS / days


def share_of(weekly: float, clients: int, days: float) -> float:
    """The share that lets so many false alerts a week be expected. Raises PromiseRefused when it names everybody.

    >>> share_of(1.0, 1_000, 70.0)
    0.01
    """
    share = weekly * days / (WEEK_DAYS * clients)
    if share >= 1.0:
        most = alerts_a_week(1.0, clients, days)
        raise PromiseRefused(
            f"{weekly:g} alerts a week are more than there are clients: {clients:,} came in {days:.1f} days, which is "
            f"{most:.3g} a week. Ask for fewer"
        )
    return share


def passed_after_exclusion(calibrated: int, rank: int, excluded: int) -> float:
    """The share of honest clients that may pass the threshold if those who were taken out were honest after all.

    With m suprema left, r taken out and the k-th smallest as the threshold: (m + 1 - k + r) / (m + 1), not less.

    >>> passed_after_exclusion(199, 199, 0), passed_after_exclusion(199, 198, 2)
    (0.005, 0.02)
    """
    return (calibrated + 1 - rank + excluded) / (calibrated + 1)


def level(
    kind: str,
    share: float | None,
    counts: Sequence[int],
    suprema: NDArray[np.int64],
    fired: calibration.Threshold | None,
    excluded: int,
    confidence: float | None,
) -> Level:
    """What is promised at one level. counts: of the entities that taught and that set the scale; suprema: ascending."""
    return Level(
        kind=kind,
        share=share,
        learned=counts[0],
        scaled=counts[1],
        calibrated=len(suprema),
        rank=fired.rank if fired else None,
        excluded=excluded,
        threshold=fired.score if fired else None,
        low=fired.low if fired else None,
        high=fired.high if fired else None,
        smallest=calibration.smallest_share(len(suprema), excluded, confidence),
        unit=kind,
        note="",
    )
