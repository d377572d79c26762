"""The three disjoint sets of honest clients: who teaches, who sets the scale, who calibrates."""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Mapping, Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import coo_matrix
from scipy.sparse.csgraph import connected_components

LEARN, SCALE, CALIBRATE = 0, 1, 2
CALIBRATE_SHARE = 0.5
CALIBRATE_MOST = 0.65  # where the promise needs it
LEARN_SHARE = 0.6  # of those that do not calibrate


class Sets(NamedTuple):
    """of (clients,) int8: LEARN, SCALE or CALIBRATE; stands (clients,) bool: calibrates (one a unit does); unit
    (clients,) int64: clients of one unit went into the same set; whole: the kinds of groups that were drawn whole.
    """

    of: NDArray[np.int8]
    stands: NDArray[np.bool_]
    unit: NDArray[np.int64]
    whole: tuple[str, ...]

    @property
    def drawn(self) -> str:
        """What was drawn: `client`, or the kinds of groups that were drawn whole."""
        return " and ".join(self.whole) or "client"


def draw(
    clients: list[str],
    groups: Mapping[str, Sequence[Collection[str]]],
    closed: NDArray[np.bool_],
    seed: int,
    needs: Sequence[int],
) -> Sets:
    """Cuts the clients, in the order of a keyed hash, into the three sets.

    groups: by kind, the groups of each client. Siblings (clients that share a group of a kind) go into the same set,
    and one of them stands for all in the calibration, where as many units are left as that kind needs; `needs` has a
    number for each kind, the first of which the clients need too. Only clients whose window `closed` inside the log
    can calibrate.
    """
    unit, names = np.arange(len(clients)), list(clients)
    whole = []
    for (kind, of), need in zip(groups.items(), needs[: len(groups)], strict=True):
        joined, joined_names = _joined(unit, names, of)
        if any(of) and _capacity(joined, closed) >= need:
            unit, names = joined, joined_names
            whole.append(kind)
    return _drawn(unit, names, clients, closed, seed, needs[0], tuple(whole))


def _joined(
    unit: NDArray[np.int64], names: list[str], groups: Sequence[Collection[str]]
) -> tuple[NDArray[np.int64], list[str]]:
    """Units of clients that share a unit or a group, and the name of each: the least of those that it was made of."""
    nodes: dict[str, int] = {}
    pairs = [(i, nodes.setdefault(name, len(nodes))) for i, of in enumerate(groups) for name in of]
    left = np.array([unit[i] for i, _ in pairs], np.int64)
    right = np.array([node for _, node in pairs], np.int64) + len(names)
    size = len(names) + len(nodes)
    edges = coo_matrix((np.ones(len(pairs)), (left, right)), (size, size))
    of_node = connected_components(edges, directed=False)[1]
    least: dict[int, str] = {}
    for node, name in enumerate([*names, *(f"\0{name}" for name in nodes)]):
        component = int(of_node[node])
        least[component] = min(least.get(component, name), name)
    numbers = {component: number for number, component in enumerate(least)}
    return np.array([numbers[c] for c in of_node[unit].tolist()], np.int64), list(least.values())


def _capacity(unit: NDArray[np.int64], closed: NDArray[np.bool_]) -> int:
    return int(CALIBRATE_SHARE * len(np.unique(unit[closed])))


def _drawn(
    unit: NDArray[np.int64],
    names: list[str],
    clients: list[str],
    closed: NDArray[np.bool_],
    seed: int,
    need: int,
    whole: tuple[str, ...],
) -> Sets:
    members: dict[int, list[int]] = {}
    for i, own in enumerate(unit.tolist()):
        members.setdefault(own, []).append(i)
    order = sorted(members, key=lambda own: keyed(names[own], seed))
    usable = [own for own in order if any(closed[i] for i in members[own])]
    wanted = max(round(CALIBRATE_SHARE * len(usable)), min(need, int(CALIBRATE_MOST * len(usable))))
    calibrating = set(usable[:wanted])
    others = [own for own in order if own not in calibrating]
    learning = set(others[: round(LEARN_SHARE * len(others))])
    of = np.full(len(unit), SCALE, np.int8)
    stands = np.zeros(len(unit), np.bool_)
    for own in order:
        if own in calibrating:
            of[members[own]] = CALIBRATE
            candidates = [i for i in members[own] if closed[i]]
            stands[min(candidates, key=lambda i: keyed(clients[i], seed))] = True
        elif own in learning:
            of[members[own]] = LEARN
    return Sets(of, stands, unit, whole)


def keyed(name: str, seed: int) -> bytes:
    data = name.encode("utf-8", "surrogatepass")
    return hashlib.blake2b(data, digest_size=16, key=seed.to_bytes(8, "little", signed=True)).digest()
