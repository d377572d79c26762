"""What workers do at each stage: how the work of a partition is made, and which settings they would not follow."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from importlib.util import find_spec
from typing import NamedTuple

from detector.cluster.clients import JUDGE, Clients
from detector.cluster.groups import Groups
from detector.cluster.handing import Handing
from detector.cluster.names import Names
from detector.cluster.partition import Partition, Work
from detector.cluster.passing import GROUPS, TOWN
from detector.cluster.town import Town
from detector.cluster.wire import Routes
from detector.errors import MissingExtra, SettingsError
from detector.pipeline import Pipeline
from detector.profile.artefact import Profile
from detector.run.judge import check_groups
from detector.settings import Settings, micros
from detector.sources.kafka import KafkaSettings


class Stage(NamedTuple):
    """Topics: what comes in, in so many partitions, and what is kept of each. made: a partition of which nothing is
    known.
    """

    name: str
    taken: str
    kept: str
    partitions: int
    made: Callable[[int], Partition]


def places_of(stages: Sequence[Stage]) -> list[str]:
    """What the partitions of all stages are called among policies."""
    return [place_of(stage, number) for stage in stages for number in range(stage.partitions)]


def place_of(stage: Stage, number: int) -> str:
    return f"{stage.name}-{number}"


def need_faust() -> None:
    """Raises MissingExtra without the packages of the extra [faust]."""
    if find_spec("faust") is None or find_spec("kafka") is None or find_spec("crc32c") is None:
        raise MissingExtra("a worker", "faust")


def check(settings: Settings, profile: Profile | None) -> tuple[KafkaSettings, Profile]:
    """The source and the profile of a worker. Raises SettingsError for what it would not do as one process does."""
    source = settings.source
    if not isinstance(source, KafkaSettings):
        raise SettingsError("source: a worker reads a Kafka topic; files are read by `querywarden run`")
    if profile is None:
        raise SettingsError("profile.path: a worker needs a profile; without one `querywarden run` records for `fit`")
    check_groups(settings, profile)
    for broken, message in (
        (settings.shadow.profile is not None, "shadow: workers run no second profile; leave it out"),
        (source.partitions is not None, "source.partitions: workers share out all partitions; leave it out"),
        (source.on_gap != "refuse", 'source.on_gap: a worker always refuses a gap; leave it at "refuse"'),
        (source.group is not None, "source.group: the groups of workers are named by cluster.name; leave it out"),
    ):
        if broken:
            raise SettingsError(message)
    return source, profile


class Making:
    """Makes the work of each stage. streams: of the log, as far as they are known."""

    def __init__(self, settings: Settings, profile: Profile, routes: Routes, streams: Sequence[str]) -> None:
        self._settings, self._profile, self._routes, self._streams = settings, profile, routes, streams
        before = settings.run.no_alerts_before
        self._alerts_from = micros(before) if before else 0

    def stages(self, names: Names) -> list[Stage]:
        """Those that the profile needs."""
        partitions = self._routes.partitions
        judge = Stage(JUDGE, names.queries, names.state, partitions, lambda number: self._with(self.clients(number)))
        groups = Stage(GROUPS, names.sums, names.groups, partitions, lambda number: self._with(self.groups(number)))
        town = Stage(TOWN, names.town, names.sky, 1, lambda number: self._with(self.town()))
        return [judge, *([groups] if self._profile.summary.groups else []), town]

    def clients(self, number: int) -> Clients:
        unnamed = self._settings.entities.unnamed_members
        handing = Handing(self._profile, unnamed)
        pipeline = Pipeline(
            self._profile,
            [],  # until it is known which hold: before anything is applied
            self._routes.only(number),
            keep_payloads=self._settings.log.keep_payload_of_dead_letters,
            alerts_from=self._alerts_from,
            also_versions=self._settings.profile.also_versions,
            unnamed_members=unnamed,
            spans=handing,
        )
        return Clients(self._profile.summary.id, number, pipeline, handing, self._streams, self._routes)

    def groups(self, number: int) -> Groups:
        unnamed = self._settings.entities.unnamed_members
        return Groups(self._profile, number, self._routes.partitions, self._alerts_from, unnamed)

    def town(self) -> Town:
        return Town(self._profile, self._routes.partitions, self._alerts_from, self._settings.learning.successor)

    def _with(self, work: Work) -> Partition:
        return Partition(self._profile.summary.id, self._routes.partitions, work)
