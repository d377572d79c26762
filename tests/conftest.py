"""What many tests share: how Hypothesis runs, and a small profile, fitted once on a made-up honest log."""

from __future__ import annotations

import fcntl
import logging
import os
import signal
import sys
import threading
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import structlog
from hypothesis import HealthCheck, settings
from threadpoolctl import threadpool_limits

from detector.cli import main
from detector.logs.native import decode_many
from detector.profile import artefact, fit
from detector.profile.artefact import Profile
from detector.profile.training import Training
from tests import people

settings.register_profile("here", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.register_profile("ci", settings.get_profile("here"), derandomize=True, print_blob=True)
settings.load_profile("ci" if os.environ.get("CI") else "here")

if "PYTEST_XDIST_WORKER" in os.environ:  # workers have a core each: the threads of two would wait for each other
    threadpool_limits(1)
    os.environ["OMP_NUM_THREADS"] = "1"  # of their children

Call = Callable[..., tuple[int, str, str]]
HORIZON_US = 4 * people.DAY_US


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> Any:
    """For `--dist loadscope`: who shares what (tests/sharing.py). Otherwise xdist's own."""
    from tests.sharing import Sharing

    return Sharing(config, log) if config.getoption("dist") == "loadscope" else None


def fitted(log: list[bytes], *, trained: bool = True, sizes: Sequence[int] = (), **options: object) -> Profile:
    """A profile of a log, with training data or without."""
    inputs = people.training()
    training = Training(inputs, np.full(len(inputs), -1, np.int32)) if trained else None
    chosen = {"promise": 0.05, "horizon_us": HORIZON_US} | options
    return fit.fit(lambda: people.chunks(log, sizes), decode_many, training, fit.Options(**chosen), lambda text: None)  # type: ignore[arg-type]


@pytest.fixture(scope="session")
def honest_log() -> list[bytes]:
    return people.log_of(people.honest(1, 420))


def handed_over(name: str, tmp_path_factory: pytest.TempPathFactory, make: Callable[[], Profile]) -> Path:
    """The folder of a profile that the workers of this run share: the first that needs it makes it, the others wait."""
    base = tmp_path_factory.getbasetemp()
    folder = (base.parent if "PYTEST_XDIST_WORKER" in os.environ else base) / name
    with folder.with_suffix(".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not folder.exists():
            artefact.save(make(), folder.with_suffix(".new"))
            folder.with_suffix(".new").rename(folder)
    return folder


@pytest.fixture(scope="session")
def saved(honest_log: list[bytes], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """`profile`, on disk."""
    return handed_over("profile", tmp_path_factory, lambda: fitted(honest_log, rings=True))


@pytest.fixture(scope="session")
def profile(saved: Path) -> Profile:
    """A promise of 5% within four days, for clients and organisations, and rings beside; all signals are on."""
    return artefact.load(saved)


@pytest.fixture(scope="session")
def other_saved(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Another profile of the same model, of other clients and without rings, on disk."""
    return handed_over("other", tmp_path_factory, lambda: fitted(people.log_of(people.honest(2, 420))))


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
