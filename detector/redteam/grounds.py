"""Where a range stands: a victim, what its clients ask, what thieves own, the exam of clones; bundled or the user's."""

from __future__ import annotations

import dataclasses
import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from detector import columns
from detector.errors import SettingsError
from detector.profile.artefact import UNREADABLE, read_arrays
from detector.profile.training import Training
from detector.query import F64, I64
from detector.redteam.cloning import Exam
from detector.redteam.honest import Images, written_by_many
from detector.redteam.served import Units, UsersVictim, asker_of
from detector.redteam.traffic import Traffic
from detector.redteam.world import World, digits_world

BUNDLED = ("digits",)
EXAM = 1_000  # fresh honest inputs on which clones are judged; each is asked once
EXAM_HANDS = 50  # clients that they come from
LEAST_ROWS = 200  # of the user's data: half are what clients ask, a quarter the thieves', a quarter the training's
_EXAM, _SPLIT = 3, 4  # kinds of random streams


@dataclass(frozen=True)
class Grounds:
    """A world in [0, 1], the exam, and how its inputs are written in the model's own units."""

    world: World
    exam: Exam
    units: Units
    known: bool  # whether the true classes are
    names: tuple[str | int, ...] = ()

    @property
    def training(self) -> Training:
        """What `fit` learns from, in the model's units."""
        train = self.world.train
        return Training(self.units.own(train.pixels), columns.label_codes(self._called(train.classes)))

    def as_logged(self, traffic: Traffic, model: str | None = None) -> Traffic:
        """The traffic in the model's own units, and under the name that a profile has for it."""
        smallest = float(np.min((self.units.high - self.units.low)[self.units.high > self.units.low], initial=1.0))
        return dataclasses.replace(
            traffic,
            model=model or traffic.model,
            inputs=self.units.own(traffic.inputs.astype(np.float64)).astype(np.float32),
            decimals=traffic.decimals + max(0, math.ceil(-math.log10(smallest))),
            labels_only=isinstance(self.world.victim, UsersVictim) and self.world.victim.labels_only,
            names=self.names,
        )

    def _called(self, classes: I64) -> list[str | int]:
        return [self.names[code] for code in classes] if self.names else classes.tolist()


def grounds(victim: str, data: Path | None, seed: int) -> Grounds:
    """The bundled world (`digits`), or the user's: `data` is an .npz with `inputs` (n, d), or (n, s, s) for
    pictures, and optionally `labels` (n,).

    Raises SettingsError for a victim or data that cannot be used.
    """
    if victim in BUNDLED:
        if data is not None:
            raise SettingsError(f"--data is for a victim of your own; {victim} brings its images")
        return grounds_of(digits_world(seed), seed)
    asker = asker_of(victim)
    if data is None:
        raise SettingsError("a victim of your own needs --data FILE.npz: inputs such as its clients ask")
    inputs, labels, picture = _read(data)
    units = Units.of(inputs)
    words = labels is not None and isinstance(labels[0], str)
    names = tuple(sorted(set(map(str, labels or ())))) if words else ()
    numbers = range(int(max(labels)) + 1) if labels and not words else ()
    user = UsersVictim(_called(victim), units, asker, names or tuple(numbers))
    unit = units.unit(inputs)
    if labels is None:
        classes = user.ask(unit).argmax(axis=1)
    elif words:
        classes = np.array([names.index(str(label)) for label in labels])
    else:
        classes = np.array(labels)
    world = _parted(user, Images(unit, classes.astype(np.int64), picture), seed)
    return Grounds(world, _exam(world, seed, known=labels is not None), units, labels is not None, names)


def grounds_of(world: World, seed: int) -> Grounds:
    """Those of a world in [0, 1] whose classes are known."""
    width = world.pool.pixels.shape[1]
    return Grounds(world, _exam(world, seed, known=True), Units(np.zeros(width), np.ones(width)), known=True)


def _parted(victim: UsersVictim, images: Images, seed: int) -> World:
    rows = np.random.default_rng([seed, _SPLIT]).permutation(len(images.classes))
    train, thief, pool = np.split(rows, [len(rows) // 4, len(rows) // 2])
    return World(victim, images.part(train), images.part(pool), images.part(thief))


def _exam(world: World, seed: int, *, known: bool) -> Exam:
    """Pool inputs as EXAM_HANDS clients would send them, all alike."""
    rng = np.random.default_rng([seed, _EXAM])
    rows = rng.choice(len(world.pool.classes), EXAM, replace=len(world.pool.classes) < EXAM)
    drawn = written_by_many(world.pool.part(rows), EXAM_HANDS, rng)
    answers: I64 = world.victim.ask(drawn.pixels).argmax(axis=1)
    return Exam(drawn.pixels, answers, drawn.classes if known else None)


def _read(path: Path) -> tuple[F64, list[str | int] | None, bool]:
    """Inputs (n, d), labels, and whether the inputs are square pictures."""
    try:
        arrays = read_arrays(path)
    except UNREADABLE as error:
        raise SettingsError(f"--data {path} cannot be read: {error}") from error
    if "inputs" not in arrays:
        raise SettingsError(f"--data {path} holds {', '.join(arrays) or 'nothing'}, but no array named inputs")
    inputs = np.asarray(arrays["inputs"], np.float64)
    if inputs.ndim < 2 or len(inputs) < LEAST_ROWS or not np.isfinite(inputs).all():
        raise SettingsError(f"--data {path}: inputs of the shape {inputs.shape}; at least {LEAST_ROWS} finite rows are")
    labels = arrays.get("labels")
    if labels is not None and labels.shape != (len(inputs),):
        raise SettingsError(f"--data {path} holds {len(inputs)} inputs and labels of the shape {labels.shape}")
    if labels is not None and not _usable(labels):
        raise SettingsError(f"--data {path} holds labels that are neither names nor whole numbers from 0 on")
    picture = inputs.ndim == 3 and inputs.shape[1] == inputs.shape[2]
    return inputs.reshape(len(inputs), -1), None if labels is None else labels.tolist(), picture


def _usable(labels: NDArray[Any]) -> bool:
    """Names, or whole numbers from 0 on."""
    if labels.dtype.kind == "U":
        return True
    return labels.dtype.kind in "iu" and int(labels.min()) >= 0


def _called(victim: str) -> str:
    """A name for the log: the last part of the address, or the function."""
    return victim.rstrip("/").replace(":", "/").rsplit("/", 1)[-1] or "victim"
