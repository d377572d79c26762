"""What many tests share: how Hypothesis runs, and a small profile, fitted once on a made-up honest log."""

from __future__ import annotations

import logging
import os
import signal
import sys
import threading
from collections.abc import Callable, Iterator, Sequence

import numpy as np
import pytest
import structlog
from hypothesis import HealthCheck, settings

from detector.cli import main
from detector.logs.native import decode_many
from detector.profile import fit
from detector.profile.artefact import Profile
from detector.profile.training import Training
from tests import people

settings.register_profile("here", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.register_profile("ci", settings.get_profile("here"), derandomize=True, print_blob=True)
settings.load_profile("ci" if os.environ.get("CI") else "here")

Call = Callable[..., tuple[int, str, str]]
HORIZON_US = 4 * people.DAY_US


def fitted(log: list[bytes], *, trained: bool = True, sizes: Sequence[int] = (), **options: object) -> Profile:
    """A profile of a log, with training data or without."""
    inputs = people.training()
    training = Training(inputs, np.full(len(inputs), -1, np.int32)) if trained else None
    chosen = {"promise": 0.05, "horizon_us": HORIZON_US} | options
    return fit.fit(lambda: people.chunks(log, sizes), decode_many, training, fit.Options(**chosen), lambda text: None)  # type: ignore[arg-type]


@pytest.fixture(scope="session")
def honest_log() -> list[bytes]:
    return people.log_of(people.honest(1, 420))


@pytest.fixture(scope="session")
def profile(honest_log: list[bytes]) -> Profile:
    """A promise of 5% within four days, for clients and organisations, and rings beside; all signals are on."""
    return fitted(honest_log, rings=True)


@pytest.fixture
def as_before() -> Iterator[None]:
    """A command sets up the process that it usually has for itself; the tests go on in this one."""
    root = logging.getLogger()
    handlers, level, hooks = root.handlers[:], root.level, (sys.excepthook, threading.excepthook)
    signals = {number: signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGINT)}
    yield
    root.handlers[:] = handlers
    root.setLevel(level)
    sys.excepthook, threading.excepthook = hooks
    structlog.reset_defaults()
    for number, handler in signals.items():
        signal.signal(number, handler)


@pytest.fixture
def call(as_before: None, capsys: pytest.CaptureFixture[str]) -> Call:
    """Runs a command in this process: status, stdout, and what stderr says beside the log."""

    def run(*arguments: object) -> tuple[int, str, str]:
        status = main([str(argument) for argument in arguments])
        out, err = capsys.readouterr()
        return status, out, "".join(line for line in err.splitlines(keepends=True) if not line.startswith("{"))

    return run
