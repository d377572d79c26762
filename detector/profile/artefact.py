"""The profile: all that was learned from honest traffic, as a value and as a folder of two files."""

from __future__ import annotations

import hashlib
import os
import zipfile
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
from numpy.typing import NDArray

from detector.alert import Promise
from detector.entities import Entities, client_dtype, describe, group_dtype
from detector.errors import ProfileError
from detector.evidence import law as laws
from detector.evidence.law import Law
from detector.exposure import student
from detector.exposure.known import Known, known_from
from detector.learned.kinds import Choice
from detector.learned.oneclass import Taught
from detector.learned.successor import First
from detector.only import Only
from detector.policy import Policy
from detector.profile.projection import Projection
from detector.profile.table import Table
from detector.rings.accounts import ACCOUNT, RING, account_dtype, ring_dtype
from detector.rings.level import Learned as RingsLearned
from features import KITS, TABLE
from features.kit import Kit

FORMAT = 4
MEASURED = "measured"
PRESUMED = "presumed honest"


class SignalOff(msgspec.Struct, frozen=True):
    """A signal that this profile does not use, why, and which attacks that hides."""

    signal: str
    reason: str
    hides: str


class Oddest(msgspec.Struct, frozen=True):
    """A calibration client that scored high, with the sentence of its strongest reason."""

    id: str
    score: float
    queries: int
    text: str


class ByVolume(msgspec.Struct, frozen=True):
    """Of the calibration clients that asked at least so many queries, and fewer than the next class: how many there
    are, and how many of them are among the highest twentieth of all.
    """

    least: int
    clients: int
    high: int


class Level(msgspec.Struct, frozen=True):
    """What is promised at one level (docs/mathematics.md, "The promise").

    share: of the level's entities named within the horizon; None where the level only observes.
    calibrated, rank: the threshold is the rank-th smallest supremum of `calibrated` entities; excluded: those taken
    out, who count as never passed. low, high: the 5th and 95th percentile of the share that the threshold
    really lets pass, by the Beta law. smallest: no share below this could be promised. unit: what was drawn
    (`client`, or `organisation` where one client of each stands for it). volumes: whether high scores come with volume.
    """

    kind: str
    share: float | None
    learned: int
    scaled: int
    calibrated: int
    rank: int | None
    excluded: int
    threshold: float | None
    low: float | None
    high: float | None
    smallest: float
    unit: str
    note: str
    oddest: tuple[Oddest, ...] = ()
    volumes: tuple[ByVolume, ...] = ()


class Watching(msgspec.Struct, frozen=True):
    """The one-class model (detector.learned.oneclass.Taught without its vectors, which are an array)."""

    choice: Choice
    river: str
    seed: int


class Seen(msgspec.Struct, frozen=True):
    """What share of a kind of made queries lies beyond what 99% of fresh honest queries show in the joint signal, and
    whether that kind taught it.
    """

    kind: str
    share: float
    taught: bool


class Swept(msgspec.Struct, frozen=True):
    """How a sequence model that was not taught on a kind of made sweeps sees it (detector.profile.sequencing).

    share: of the made client's queries that are of the sweep. made: how many there were. seen: what share of them
    became as odd as one honest client in a hundred, and median queries until then.
    """

    kind: str
    share: float
    made: int
    seen: float
    queries: float | None


class Summary(msgspec.Struct, frozen=True):
    """`profile.json`. `id` is the hash of everything else in it and of the arrays.

    kit: the families that measure (features.KITS). horizon_us: span of the promise; None: the log's own (`horizon` is
    then "log"). epoch_us: half of it. promise: None where the profile only observes. suspicion: score above which an
    entity teaches nothing. groups: the kinds that are judged beside clients. versions: of the served model, as far as
    the log names it. only: the use of the model that it is for; None: all of them. embedder: of text
    (detector.text.reading), else None. seen: how the joint signal sees made queries. swept: how the sequence model
    sees made sweeps, worst first; empty where there is no such model. rings: None where none are looked for. classes:
    of entities, that have levels of their own.
    """

    format: int
    id: str
    model: str
    kit: str
    width: int
    secret: str
    seed: int
    promise: float | None
    confidence: float | None
    horizon: str
    epoch_us: int
    state: str
    reference: str
    log_from: str
    log_to: str
    queries: int
    clients: int
    unreadable: int
    unidentified: int
    alerts_a_day: float
    suspicion: float
    groups: tuple[str, ...]
    levels: tuple[Level, ...]
    signals: tuple[str, ...]
    off: tuple[SignalOff, ...]
    policy: Policy
    rows: dict[str, Any]
    watch: Watching | None = None
    remarks: tuple[str, ...] = ()
    versions: tuple[str, ...] = ()
    only: Only | None = None
    embedder: str | None = None
    seen: tuple[Seen, ...] = ()
    rings: RingsLearned | None = None
    classes: tuple[str, ...] = ()
    swept: tuple[Swept, ...] = ()


@dataclass(frozen=True)
class Profile:
    """`laws` by level; `suprema`: grid levels of the calibration entities' highest scores, ascending, by level."""

    summary: Summary
    projection: Projection
    learned: Mapping[str, NDArray[Any]]
    laws: Mapping[str, Law]
    suprema: Mapping[str, NDArray[np.int64]]
    known: Known  # of exposure
    first: First | None = None  # what made the one-class model
    table: Table | None = None  # of what is asked by named values

    @property
    def secret(self) -> bytes:
        return bytes.fromhex(self.summary.secret)

    @property
    def kit(self) -> Kit:
        return KITS[self.summary.kit]

    def level(self, kind: str) -> Level:
        return next(level for level in self.summary.levels if level.kind == kind)

    def entities(self, kind: str) -> Entities:
        """An empty table for the entities of a level."""
        layouts = {"client": client_row, ACCOUNT: account_row, RING: ring_row}
        return Entities(self.summary.model, kind, layouts.get(kind, group_row)(self.kit), self.secret)

    def promise(self, kind: str, threshold: float) -> Promise:
        """What stands behind an alert of a level whose threshold was `threshold`."""
        level = self.level(kind)
        held = level.threshold is not None and threshold >= level.threshold
        return Promise(
            share=level.share if held else None,
            confidence=self.summary.confidence if held else None,
            horizon=self.summary.horizon,
            state=self.summary.state if held else "none",
        )


@cache
def client_row(kit: Kit) -> np.dtype[np.void]:
    return client_dtype(len(kit.signals), (*kit.fields, *student.FIELDS))


@cache
def group_row(kit: Kit) -> np.dtype[np.void]:
    return group_dtype(len(kit.additive))


@cache
def account_row(kit: Kit) -> np.dtype[np.void]:
    return account_dtype(len(kit.additive))


@cache
def ring_row(_: Kit) -> np.dtype[np.void]:
    return ring_dtype()


def row_layouts(kit: Kit) -> dict[str, Any]:
    """The layouts of all kinds of rows as this version writes them."""
    rows = {"client": client_row, "group": group_row, ACCOUNT: account_row, RING: ring_row}
    return {kind: describe(row(kit)) for kind, row in rows.items()}


def save(profile: Profile, directory: Path) -> None:
    """Writes the two files; `profile.json` comes last and by rename, so that a torn write is no profile."""
    directory.mkdir(parents=True, exist_ok=True)
    np.savez_compressed(directory / "arrays.npz", allow_pickle=False, **_arrays(profile))
    partial = directory / "profile.json.partial"
    partial.unlink(missing_ok=True)
    with open(partial, "xb", opener=_private) as file:
        file.write(msgspec.json.format(msgspec.json.encode(profile.summary), indent=2) + b"\n")
    os.replace(partial, directory / "profile.json")


def _private(path: str, flags: int) -> int:
    return os.open(path, flags, 0o600)  # it holds the secret of the keys


# What reading JSON, a zip archive and arrays may raise when a byte of them was changed.
UNREADABLE = (
    OSError,
    EOFError,
    ValueError,
    KeyError,
    RuntimeError,
    MemoryError,
    msgspec.MsgspecError,
    zipfile.BadZipFile,
    zlib.error,
)


def load(directory: Path) -> Profile:
    """Raises ProfileError with what was found where, when the directory does not hold a profile of this format."""
    try:
        summary = msgspec.json.decode((directory / "profile.json").read_bytes(), type=Summary)
        arrays = read_arrays(directory / "arrays.npz")
    except FileNotFoundError as error:
        raise ProfileError(f"{directory} is not a profile: {error.filename} is not there") from error
    except UNREADABLE as error:
        raise ProfileError(f"the profile {directory} cannot be read: {error}") from error
    _check(summary, arrays, directory)
    return _assembled(summary, arrays)


def read_arrays(path: Path) -> dict[str, NDArray[Any]]:
    """The arrays of an .npz file, none of them pickled. Raises one of UNREADABLE."""
    with zipfile.ZipFile(path) as archive:
        damaged = archive.testzip()
    if damaged is not None:  # before NumPy makes anything of it
        raise zipfile.BadZipFile(f"{damaged} in {path.name} is damaged")
    with np.load(path, allow_pickle=False) as stored:
        return {name: stored[name] for name in stored.files}


def identify(profile: Profile) -> Profile:
    """The same profile with its `id` filled in."""
    return Profile(
        msgspec.structs.replace(profile.summary, id=_fingerprint(profile.summary, _arrays(profile))),
        profile.projection,
        profile.learned,
        profile.laws,
        profile.suprema,
        profile.known,
        profile.first,
        profile.table,
    )


def _check(summary: Summary, arrays: Mapping[str, NDArray[Any]], directory: Path) -> None:
    if summary.format != FORMAT:
        raise ProfileError(f"the profile {directory} has format {summary.format}, this version reads {FORMAT}")
    if summary.id != _fingerprint(summary, arrays):
        raise ProfileError(f"the profile {directory} was changed after it was made: its id does not fit its contents")
    if summary.kit not in KITS:
        raise ProfileError(f"the profile {directory} reads {summary.kit}, this version reads {', '.join(KITS)}")
    if summary.rows != row_layouts(KITS[summary.kit]):
        raise ProfileError(f"the profile {directory} was made for another row layout: make it anew with `fit`")


def _fingerprint(summary: Summary, arrays: Mapping[str, NDArray[Any]]) -> str:
    digest = hashlib.blake2b(digest_size=6)
    digest.update(msgspec.json.encode(msgspec.structs.replace(summary, id="")))
    for name in sorted(arrays):
        array = np.ascontiguousarray(arrays[name])
        digest.update(f"{name} {array.dtype.str} {array.shape}".encode() + array.tobytes())
    return digest.hexdigest()


_LAW = (
    "active", "edges", "weight", "alpha", "shares", "rise", "centre", "knee", "spread", "shape", "most", "slope",
    "sequence", "heard",
)  # fmt: skip


def _arrays(profile: Profile) -> dict[str, NDArray[Any]]:
    arrays = {f"projection.{name}": np.asarray(value) for name, value in profile.projection._asdict().items()}
    arrays |= {f"learned.{name}": value for name, value in profile.learned.items()}
    if profile.table is not None:
        arrays |= {f"table.{name}": value for name, value in profile.table._asdict().items()}
    arrays |= {f"exposure.{name}": value for name, value in profile.known.arrays().items()}
    for kind, law in profile.laws.items():
        arrays |= {f"law.{kind}.{name}": np.asarray(getattr(law, name)) for name in _LAW}
        arrays[f"suprema.{kind}"] = profile.suprema[kind]
    if profile.first is not None:
        arrays["watch.vectors"] = profile.first.taught.array()
        arrays["watch.scale_n"], arrays["watch.scale_vectors"] = kept_looks(profile.first.scale)
    return arrays


def kept_looks(looks: Sequence[tuple[int, bytes]]) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
    """n (m,) and vectors (m, F) of looks."""
    n = np.array([n for n, _ in looks], np.int64)
    return n, np.frombuffer(b"".join(vector for _, vector in looks), "<f4").reshape(len(looks), -1)


def _first(watch: Watching | None, signals: tuple[str, ...], arrays: Mapping[str, NDArray[Any]]) -> First | None:
    if watch is None:
        return None
    taught = Taught(watch.choice, watch.river, signals, arrays["watch.vectors"].astype("<f4").tobytes(), watch.seed)
    vectors = [vector.astype("<f4").tobytes() for vector in arrays["watch.scale_vectors"]]
    return First(taught, tuple(zip(arrays["watch.scale_n"].tolist(), vectors, strict=True)))


def _assembled(summary: Summary, arrays: Mapping[str, NDArray[Any]]) -> Profile:
    def under(prefix: str) -> dict[str, NDArray[Any]]:
        return {name.removeprefix(prefix): value for name, value in arrays.items() if name.startswith(prefix)}

    parts = under("projection.")
    return Profile(
        summary,
        Projection(parts["mean"], parts["scale"], parts["directions"], float(parts["unit"]), parts["lags"]),
        under("learned."),
        {level.kind: laws.make(**under(f"law.{level.kind}.")) for level in summary.levels},
        under("suprema."),
        known_from(under("exposure.")),
        _first(summary.watch, summary.signals, arrays),
        Table(**under("table.")) if summary.kit == TABLE.name else None,
    )
