"""Detectors that the range scores beside querywarden: the baselines of the literature, and the user's own."""

from __future__ import annotations

from collections.abc import Callable

from detector.errors import SettingsError, nearest_name
from detector.named import PYTHON, named
from detector.redteam.detectors.contract import Asked, Detector
from detector.redteam.detectors.mmd import Mmd
from detector.redteam.detectors.prada import Prada

__all__ = ["BASELINES", "OURS", "Asked", "Detector", "detector_named"]

OURS = "querywarden"  # judges a whole log, not client by client: detector.redteam.judged

BASELINES: tuple[tuple[str, Callable[[], Detector]], ...] = (
    ("prada", Prada),
    ("mmd", Mmd),
    ("mmd-1500", lambda: Mmd(1500)),
)


def detector_named(name: str) -> Detector:
    """A baseline, or `python:package.module:Class`: the user's own, an adapter made without arguments.

    Raises SettingsError with the nearest right name, and for a class that is no detector.
    """
    if name.startswith(PYTHON):
        made = named(name)()
        lacking = [method for method in ("fit", "first_alarm") if not callable(getattr(made, method, None))]
        if lacking:
            raise SettingsError(f"{name} has no {' and no '.join(lacking)} (docs/range.md, adapters)")
        adapter: Detector = made
        return adapter
    for known, make in BASELINES:
        if known == name:
            return make()
    right = [OURS, *(known for known, _ in BASELINES)]
    raise SettingsError(f"no detector is called {name!r}; {nearest_name(name, right)}, or {PYTHON}MODULE:CLASS")
