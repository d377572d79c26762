"""Workers without brokers whose topics are kept as brokers keep them: all that was ever written, in its order."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, field
from typing import Any

import msgspec

from detector.cluster.clients import JUDGE
from detector.cluster.names import Names
from detector.cluster.partition import TOLD, Partition
from detector.cluster.passing import GROUPS, TOWN
from detector.cluster.policies import Entry
from detector.query import DeadLetter
from tests.cluster.world import Kept, Place, World

NAMES = Names("test")
KEPT = {JUDGE: NAMES.state, GROUPS: NAMES.groups, TOWN: NAMES.sky}
POINTS = 7  # in one message: fewer than a step gives, so that they come in several

Topic = tuple[str, int]
Written = tuple[bytes, bytes | None]


@dataclass
class Recording(Kept):
    """What is durable of a partition, and all that ever was. written: of its topic."""

    written: list[Written] = field(default_factory=list)

    def keep(self, partition: Partition) -> None:
        self.written += partition.entries()
        super().keep(partition)


class Recorded(World):
    """written: by topic and partition, what a consumer of committed transactions is given."""

    def __init__(self, *world: Any, **options: Any) -> None:
        self.written: dict[Topic, list[Written]] = defaultdict(list)
        super().__init__(*world, **options)

    def enter(self, entry: Entry) -> None:
        self.written[NAMES.policies, 0].append(entry)
        super().enter(entry)

    def tell(self, place: Place) -> None:
        found, number = self.live[place].telling, place[1]
        for topic, alerts in ((NAMES.alerts, found.alerts), (NAMES.held, found.held)):
            for alert in alerts:
                self._write((topic, len(alert.entity.id) % self.routes.partitions), alert)
        for start in range(0, len(found.points), POINTS):
            self._write((NAMES.tape, number), found.points[start : start + POINTS])
        for letter in found.letters:
            self._write((NAMES.letters, number), letter)
        super().tell(place)
        self.written[KEPT[place[0]], number].append((TOLD, self.kept[place].entries[TOLD]))

    def pass_on(self, partition: Partition) -> None:
        self.written[NAMES.town, 0] += [(b"", one.value) for one in partition.parcels if one.to == TOWN]
        super().pass_on(partition)

    def open(self, place: Place) -> None:
        if not isinstance(self.kept[place], Recording):
            self.kept[place] = Recording(written=self.written[KEPT[place[0]], place[1]])
        super().open(place)

    def ended(self) -> None:
        """All is judged and saved."""
        self.drain()
        for place in self.live:
            self.snapshot(place)

    def letters(self) -> list[DeadLetter]:
        return [letter for kept in self.kept.values() for letter in kept.told.letters]

    def _write(self, topic: Topic, value: object) -> None:
        self.written[topic].append((b"", msgspec.msgpack.encode(value)))
