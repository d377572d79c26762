"""What `querywarden range` found, as it stands in range.json (docs/range.md, "range.json")."""

from __future__ import annotations

import platform
from collections import Counter
from collections.abc import Iterable, Sequence
from importlib.metadata import version
from pathlib import Path

import msgspec
import numpy as np

from detector.redteam.campaigns import Skipped
from detector.redteam.detectors.conformal import interval

FORMAT = "querywarden-range/1"


class Spread(msgspec.Struct, frozen=True):
    """Of several numbers; null where there are none."""

    median: float | None
    least: float | None
    most: float | None


class Copy(msgspec.Struct, frozen=True):
    """Clones of campaigns: agreement with the victim on honest inputs, and with the truth where it is known."""

    fidelity: Spread
    accuracy: Spread | None


class Share(msgspec.Struct, frozen=True):
    """named of `of`, and the 95% interval of the share (Clopper and Pearson 1934)."""

    named: int
    of: int
    share: float
    interval: tuple[float, float]


class Honest(msgspec.Struct, frozen=True):
    """Fresh honest clients under one detector. calibrated, rank: of its threshold; expected: how many are named in 95
    of 100 calibrations by the Beta-binomial law, null where the detector did not say; kinds: of the alerts that named
    them.
    """

    named: Share
    calibrated: int | None
    rank: int | None
    expected: tuple[int, int] | None
    kinds: dict[str, int] = {}


class Judge(msgspec.Struct, frozen=True):
    """One detector, held to `promise`."""

    name: str
    promise: float | None
    honest: Honest


class Against(msgspec.Struct, frozen=True):
    """One detector against one campaign: accounts named; each one's own queries until then; kinds of alerts; the clone
    of all that was asked until then, and how much fidelity that is less than in the end (median over campaigns).
    """

    detector: str
    named: Share
    queries: Spread
    each: tuple[int, ...]
    kinds: dict[str, int]
    copy: Copy
    saved: float


class Attacked(msgspec.Struct, frozen=True):
    """One campaign as it was run `campaigns` times. end: clones of all that was asked."""

    campaign: str
    title: str
    campaigns: int
    accounts: int
    budget: int
    end: Copy
    against: tuple[Against, ...]


class Adapted(msgspec.Struct, frozen=True):
    """What adapting costs a thief: the fidelity (median) of his clone in the end, and that of the plain campaign.
    cost: how much less he has; below 0 where adapting helps him.
    """

    campaign: str
    plain: str
    fidelity: float
    plain_fidelity: float
    cost: float


class Victim(msgspec.Struct, frozen=True):
    """width: numbers of an input, 0 of a language model, of which no clone is made; classes: that it answers with;
    accuracy: on the exam, null without a truth.
    """

    name: str
    width: int
    classes: int
    accuracy: float | None


class Report(msgspec.Struct, frozen=True):
    """The whole. profile: its id, null where the range fitted it itself; versions: of what the figures depend on."""

    format: str
    versions: dict[str, str]
    seed: int
    attacks: str
    budget: int
    victim: Victim
    profile: str | None
    detectors: tuple[Judge, ...]
    campaigns: tuple[Attacked, ...]
    adapted: tuple[Adapted, ...]
    skipped: tuple[Skipped, ...]
    seconds: float


def spread(numbers: Sequence[float]) -> Spread:
    if not numbers:
        return Spread(None, None, None)
    return Spread(float(np.median(numbers)), float(min(numbers)), float(max(numbers)))


def share(named: int, of: int) -> Share:
    return Share(named, of, named / of if of else 0.0, interval(named, of) if of else (0.0, 1.0))


def counted(kinds: Iterable[str]) -> dict[str, int]:
    """How many of each, by name."""
    return dict(sorted(Counter(kinds).items()))


def versions() -> dict[str, str]:
    packages = ("querywarden", "numpy", "numba", "scikit-learn", "scipy", "river")
    return {"python": platform.python_version()} | {name: version(name) for name in packages}


def save(report: Report, path: Path) -> None:
    path.write_bytes(msgspec.json.format(msgspec.json.encode(report), indent=1) + b"\n")


def load(path: Path) -> Report:
    """Raises msgspec.ValidationError for what is no such file."""
    return msgspec.json.decode(path.read_bytes(), type=Report)
