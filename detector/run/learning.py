"""Learning mode: what is still missing before a profile can be fitted, said in one sentence."""

from __future__ import annotations

import numpy as np

from detector.entities import Entities
from detector.profile.calibration import entities_needed
from detector.profile.sets import CALIBRATE_SHARE

PROMISE = 0.01
HORIZON_DAYS = 30
DAY_US = 86_400_000_000


def what_is_missing(clients: Entities, newest: int) -> str:
    """For the default promise: 1% of clients within 30 days.

    >>> from detector.profile.artefact import client_row
    >>> from features import NUMBERS
    >>> what_is_missing(Entities("m", "client", client_row(NUMBERS), b""), 0)[:60]
    'no profile yet: 0 clients seen over 0.0 days, 0 of them for '
    """
    first = clients.rows["first_at"][: len(clients)][clients.rows["n"][: len(clients)] > 0]  # not the forgotten
    days = (newest - int(first.min())) / DAY_US if len(first) else 0.0
    closed = int(np.count_nonzero(first + HORIZON_DAYS * DAY_US <= newest))
    need = int(np.ceil(entities_needed(PROMISE, None) / CALIBRATE_SHARE))
    return (
        f"no profile yet: {len(first):,} clients seen over {days:.1f} days, {closed:,} of them for "
        f"{HORIZON_DAYS} days; a promise of {PROMISE:.0%} needs about {need} such; budgets run meanwhile. "
        "`querywarden fit` makes a profile from the kept log"
    )
