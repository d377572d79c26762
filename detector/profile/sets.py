"""The three disjoint sets of honest clients: who teaches, who sets the scale, who calibrates."""

from __future__ import annotations

import hashlib
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

LEARN, SCALE, CALIBRATE = 0, 1, 2
CALIBRATE_SHARE = 0.5
CALIBRATE_MOST = 0.65  # where the promise needs it
LEARN_SHARE = 0.6  # of those that do not calibrate


class Sets(NamedTuple):
    """of (clients,) int8: LEARN, SCALE or CALIBRATE; stands (clients,) bool: calibrates (one a unit does).

    unit: `client`, or the group's name where whole groups were drawn.
    """

    of: NDArray[np.int8]
    stands: NDArray[np.bool_]
    unit: str


def draw(
    clients: list[str],
    groups: list[str | None],
    group_name: str | None,
    closed: NDArray[np.bool_],
    seed: int,
    need: int,
) -> Sets:
    """Cuts the clients, in the order of a keyed hash, into the three sets.

    Siblings (clients of one group) go into the same set, and one of them stands for the group in the calibration,
    where there are enough groups to carry the promise (`need`); else clients are drawn one by one. Only clients
    whose window `closed` inside the log can calibrate.
    """
    units = [client if group is None else f"\0{group}" for client, group in zip(clients, groups, strict=True)]
    grouped = group_name is not None and any(group is not None for group in groups)
    if grouped and _capacity(units, closed) >= need:
        return _drawn(units, clients, closed, seed, need, group_name or "")
    return _drawn(clients, clients, closed, seed, need, "client")


def _capacity(units: list[str], closed: NDArray[np.bool_]) -> int:
    usable = {unit for unit, can in zip(units, closed, strict=True) if can}
    return int(CALIBRATE_SHARE * len(usable))


def _drawn(
    units: list[str], clients: list[str], closed: NDArray[np.bool_], seed: int, need: int, unit_name: str
) -> Sets:
    members: dict[str, list[int]] = {}
    for i, unit in enumerate(units):
        members.setdefault(unit, []).append(i)
    order = sorted(members, key=lambda unit: keyed(unit, seed))
    usable = [unit for unit in order if any(closed[i] for i in members[unit])]
    wanted = max(round(CALIBRATE_SHARE * len(usable)), min(need, int(CALIBRATE_MOST * len(usable))))
    calibrating = set(usable[:wanted])
    others = [unit for unit in order if unit not in calibrating]
    learning = set(others[: round(LEARN_SHARE * len(others))])
    of = np.full(len(units), SCALE, np.int8)
    stands = np.zeros(len(units), np.bool_)
    for unit in order:
        if unit in calibrating:
            of[members[unit]] = CALIBRATE
            candidates = [i for i in members[unit] if closed[i]]
            stands[min(candidates, key=lambda i: keyed(clients[i], seed))] = True
        elif unit in learning:
            of[members[unit]] = LEARN
    return Sets(of, stands, unit_name)


def keyed(name: str, seed: int) -> bytes:
    data = name.encode("utf-8", "surrogatepass")
    return hashlib.blake2b(data, digest_size=16, key=seed.to_bytes(8, "little", signed=True)).digest()
