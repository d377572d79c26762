"""Forgetting an entity over workers: what is asked of all, and how a stage lets go of it.

A request lies among the policies until it is done. The owner of a partition of clients takes it when all that was found
before is told and passed on, and saves at once: the entity is not in what is saved, which owes the others word of it.
That word goes before what is handed on next, so it reaches groups and the town behind all that came of the entity, and
before all that comes of who takes its name later. The town enters that it is done, and takes the request away.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import msgspec

from detector.decide import Case
from detector.entities import Entities
from detector.run.forgetting import CLIENT, tables_of, unnamed
from detector.storm import Sky

ROW, CASE = b"r", b"c"  # before an entity's key of 16 bytes, in the entries of a partition


class Forget(msgspec.Struct, frozen=True):
    """Who is to be forgotten. keep_alerts: those that wait for a sink are delivered."""

    id: str
    kind: str
    entity: str
    keep_alerts: bool = False

    @property
    def of_client(self) -> bool:
        return self.kind == CLIENT


def erase(tables: Iterable[Entities], cases: dict[bytes, Case], changed: set[bytes], one: Forget) -> list[bytes]:
    """Lets go of an entity's rows and case; returns their keys. changed: keys of cases that are not saved yet."""
    erased = []
    for table in tables:
        slot = table.find(one.entity) if table.kind in tables_of(one.kind) else None
        if slot is not None:
            key = table.keys[slot]
            table.forget(one.entity)
            cases.pop(key, None)
            changed.discard(key)
            erased.append(key)
    return erased


def entries_of(erased: Iterable[bytes]) -> list[bytes]:
    """The keys of their entries."""
    return [before + key for key in erased for before in (ROW, CASE)]


def lose(tables: Iterable[Entities], cases: dict[bytes, Case], key: bytes) -> None:
    """Lets go of a row or a case of which the entry was taken away."""
    if key[:1] == CASE:
        cases.pop(key[1:], None)
    for table in tables:
        if key[:1] == ROW and key[1:] in table.keys:
            table.forget(table.ids[table.keys.index(key[1:])])


def without_member(waiting: bytes, client: str) -> bytes:
    """Queries of groups in open ticks, which stay, without the name of one who asked. They are sums: who else asked is
    named in his place, if anybody is.
    """
    columns: dict[str, Any] = msgspec.msgpack.decode(waiting)
    who, of = columns["clients"], list(zip(columns["groups"], columns["tick"], strict=True))
    others = {place: name for place, name in zip(of, who, strict=True) if name != client}
    columns["clients"] = [others.get(of[i], "") if name == client else name for i, name in enumerate(who)]
    return msgspec.msgpack.encode(columns)


def without_name(sky: Sky, client: str) -> Sky:
    """What waits in the town, without the name of a client among the members of groups."""
    return msgspec.structs.replace(sky, waiting=tuple(unnamed(one, client) for one in sky.waiting))
