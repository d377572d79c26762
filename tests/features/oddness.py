"""How odd each signal of a client's stream is by itself, on the score's scale, under a fitted profile."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from detector.evidence import polya, sums
from detector.profile.artefact import Profile
from features import NUMBERS
from features.cells import cells_of
from tests import people
from tests.driving import drive, pipeline


def oddness(profile: Profile, records: Sequence[bytes]) -> dict[str, dict[str, float]]:
    """By client and signal, as they stand at the end: 1 is what one honest client in a hundred comes to."""
    made = pipeline(profile)
    drive(made, people.chunks(records))
    law, table = profile.laws["client"], made.clients
    found, desk = {}, sums.desk(len(NUMBERS.signals))
    polya.laid(desk[0], law)
    for slot, client in enumerate(table.ids):
        line, vector = sums.lines(len(NUMBERS.signals), 1), np.zeros(len(NUMBERS.signals))
        sums.refresh(table.rows[slot], line[0], law.tables[0])
        sums.find_all(line[0], law.tables[0], desk[0])
        polya.vector_of(desk[0], polya.doubled_of(polya.longest_of(line[0])), vector)
        found[client] = dict(zip(list(NUMBERS.names), vector.tolist(), strict=True))
    return found


def share_odd(profile: Profile, signal: str, clients: int = 60) -> float:
    """The share of fresh honest clients who are as odd in one signal as one in a hundred should be."""
    found = oddness(profile, people.log_of(people.honest(31, clients)))
    return float(np.mean([one[signal] >= 1.0 for one in found.values()]))


def pool(n: int = 4_000) -> np.ndarray:
    """Natural inputs of all kinds, as nobody by himself asks them."""
    mix = np.full(people.KINDS, 1 / people.KINDS)
    return people.natural(np.random.default_rng(3), mix, np.zeros(6), 0.02, n)


def cells_in(profile: Profile, inputs: np.ndarray) -> np.ndarray:
    return cells_of(profile.projection.apply(inputs).x, profile.learned["cells"])


def stream(client: str, inputs: Sequence[np.ndarray], gap_us: int = 37 * people.MINUTE_US) -> list[bytes]:
    """These inputs, asked by one client at an even pace."""
    return people.log_of([people.Asked(people.START_US + i * gap_us, client, None, x) for i, x in enumerate(inputs)])
