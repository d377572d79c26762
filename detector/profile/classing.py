"""What `fit` learns of entity classes: declared automation and backends, each with nulls and a calibration of its own.

A class with too few clients is judged by change against each client's own past, on the scale of how people change: by
shape, a template that runs over unrelated texts is a sweep. Exposure counts too, but for backends, who gather what a
population asks. Nothing is promised then.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import msgspec
import numpy as np
from numpy.typing import NDArray

from detector.classes import CLASSES, LEAKS_BY_TRADE
from detector.errors import SettingsError, nearest_name
from detector.evidence.law import DILUTION_BET, HALF, KT, Law
from detector.policy import level_of_class
from detector.profile import calibration, learn, promised, scaling, sets, trying
from detector.profile.artefact import Level
from detector.profile.groups import FEWEST

BORROWS = (
    "borrows from people: {clients} clients of the class are too few for a law of its own, so only change against "
    "one's own past{exposure} counts, by how people change, and nothing is promised"
)
_EXPOSURE = " and exposure"


class Membership(msgspec.Struct, frozen=True):
    """In the honest log, the client or the clients of the group (`kind`, `id`) are of the class `name`."""

    name: str
    kind: str
    id: str

    def of(self, id_: str) -> Membership:
        """The same for another id."""
        return Membership(self.name, self.kind, id_)


class Classed(NamedTuple):
    """What was learned of a class; suprema: ascending, those of people where it borrows."""

    name: str
    level: Level
    law: Law
    suprema: NDArray[np.int64]


def read_membership(text: str) -> Membership:
    """From `automation=client:svc-1` or `backend=organisation:acme`. Raises SettingsError.

    >>> read_membership("automation=client:svc-1")
    Membership(name='automation', kind='client', id='svc-1')
    """
    name, _, entity = text.partition("=")
    kind, colon, id_ = entity.partition(":")
    if not (colon and kind and id_):
        raise SettingsError(f"--class {text}: write NAME=client:ID or NAME=KIND:ID, as automation=client:svc-1")
    if name not in CLASSES:
        raise SettingsError(f"--class {text}: unknown class; {nearest_name(name, CLASSES)}")
    return Membership(name, kind, id_)


def classes_of(
    clients: Sequence[str], groups: Mapping[str, Sequence[set[str]]], memberships: Sequence[Membership]
) -> NDArray[np.int64]:
    """(clients,): the place in CLASSES, -1 for people. groups: by kind, those of each client."""
    found = np.full(len(clients), -1, np.int64)
    for one in sorted(memberships, key=lambda one: one.kind == "client"):  # a client's own comes last, and stays
        place = CLASSES.index(one.name)
        if one.kind == "client":
            found[[i for i, client in enumerate(clients) if client == one.id]] = place
        else:
            found[[i for i, of in enumerate(groups.get(one.kind, ())) if one.id in of]] = place
    return found


class People(NamedTuple):
    """Whom classes borrow from: the clients that set the scale of people and those that calibrate, and their nulls."""

    scaling: learn.Measured
    calibrating: learn.Measured
    nulls: learn.Nulls


class Asking(NamedTuple):
    """Whose queries are whose: clients and their `classes`, see classes_of; `closed` (clients,): who may calibrate.
    `share` is promised to each class of its own clients.
    """

    measured: learn.Measured
    clients: Sequence[str]
    classes: NDArray[np.int64]
    closed: NDArray[np.bool_]
    people: People
    share: float | None
    confidence: float | None
    seed: int


def learn_classes(asking: Asking) -> list[Classed]:
    """A level for each class that has clients in the log."""
    members = {name: np.flatnonzero(asking.classes == place) for place, name in enumerate(CLASSES)}
    return [_learned(name, of, asking) for name, of in members.items() if len(of)]


def _learned(name: str, members: NDArray[np.int64], asking: Asking) -> Classed:
    share, confidence = asking.share, asking.confidence
    need = calibration.entities_needed(share, confidence) if share is not None else FEWEST
    drawn = sets.draw([asking.clients[i] for i in members], {}, asking.closed[members], asking.seed, [need])
    of = np.full(len(asking.clients), -1, np.int8)
    of[members] = drawn.of
    counts = [int(np.count_nonzero(of == which)) for which in (sets.LEARN, sets.SCALE, sets.CALIBRATE)]
    if share is None or min(counts[:2]) < FEWEST or counts[2] < need:
        return _borrowed(name, len(members), asking)
    measured = _judged(name, asking.measured)
    teachers, known = measured.of(of == sets.LEARN), asking.people.nulls
    nulls = learn.in_bins_of(known, teachers.owner, learn.bins_of(teachers, known.edges), teachers.kit.signals)
    law = scaling.learn_scale(measured.of(of == sets.SCALE), nulls, nulls.active)
    standing = np.zeros(len(asking.clients), np.bool_)
    standing[members] = drawn.stands
    suprema = np.sort(trying.try_clients(measured.of(standing), law).suprema)
    fired = calibration.threshold(suprema, share, confidence=confidence)
    level = promised.level(level_of_class(name), share, counts[:2], suprema, fired, 0, confidence)
    return Classed(name, level, law, suprema)


def _borrowed(name: str, clients: int, asking: Asking) -> Classed:
    """The honest law is that a client is only like itself: turning from one's own past is all that is left to weigh."""
    people, share, confidence = asking.people, asking.share, asking.confidence
    weight, alpha = learn.blank_honest(len(people.nulls.active))
    alone = people.nulls._replace(weight=weight, alpha=HALF * alpha)
    law = scaling.silenced(scaling.learn_scale(people.scaling, alone, alone.active), slice(None), KT, DILUTION_BET)
    suprema = np.sort(trying.try_clients(_judged(name, people.calibrating), law).suprema)
    fired = None if share is None else calibration.threshold(suprema, share, confidence=confidence)
    level = promised.level(level_of_class(name), None, (0, 0), suprema, fired, 0, confidence)
    note = BORROWS.format(clients=clients, exposure="" if name in LEAKS_BY_TRADE else _EXPOSURE)
    return Classed(name, msgspec.structs.replace(level, note=note, calibrated=0), law, suprema)


def _judged(name: str, measured: learn.Measured) -> learn.Measured:
    """What the class is judged by."""
    return measured.unexposed() if name in LEAKS_BY_TRADE else measured
