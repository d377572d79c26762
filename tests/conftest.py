"""What many tests share: how Hypothesis runs, and a small profile, fitted once on a made-up honest log."""

from __future__ import annotations

import os
from collections.abc import Sequence

import numpy as np
import pytest
from hypothesis import HealthCheck, settings

from detector.logs.native import decode_many
from detector.profile import fit
from detector.profile.artefact import Profile
from tests import people

settings.register_profile("here", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.register_profile("ci", settings.get_profile("here"), derandomize=True, print_blob=True)
settings.load_profile("ci" if os.environ.get("CI") else "here")

HORIZON_US = 4 * people.DAY_US


def fitted(log: list[bytes], *, trained: bool = True, sizes: Sequence[int] = (), **options: object) -> Profile:
    """A profile of a log, with training data or without."""
    inputs = people.training()
    training = fit.Training(inputs, np.full(len(inputs), -1, np.int32)) if trained else None
    chosen = {"promise": 0.05, "horizon_us": HORIZON_US} | options
    return fit.fit(lambda: people.chunks(log, sizes), decode_many, training, fit.Options(**chosen), lambda text: None)  # type: ignore[arg-type]


@pytest.fixture(scope="session")
def honest_log() -> list[bytes]:
    return people.log_of(people.honest(1, 420))


@pytest.fixture(scope="session")
def profile(honest_log: list[bytes]) -> Profile:
    """A promise of 5% within four days, at two levels (clients, organisations); all signals are on."""
    return fitted(honest_log)
