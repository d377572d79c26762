"""What a worker judges: clients alone. What spans clients is refused, or left out where the settings ask for that."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from importlib.util import find_spec

import msgspec

from detector.errors import MissingExtra, SettingsError
from detector.logs.contract import Decode
from detector.pipeline import Pipeline
from detector.policy import Dated
from detector.profile.artefact import Profile
from detector.settings import Settings, micros
from detector.sources.kafka import KafkaSettings


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
    summary = profile.summary
    spanning = [*summary.groups, *(["rings"] if summary.rings else []), "the population"]
    for broken, message in (
        (
            not settings.cluster.clients_only,
            f"cluster.clients_only: the profile also judges {', '.join(spanning)}, which span partitions and are not "
            "judged by workers yet. Set it to true to have clients alone judged, or use `querywarden run`",
        ),
        (
            settings.policy.storm.at_least > 0,
            "policy.storm.at_least: storms count the alerts of all clients, and a worker sees those of its partitions. "
            "Set it to 0: then no alert is held",
        ),
        (bool(settings.entities.groups), "entities.groups: workers judge no groups yet; leave it out"),
        (settings.shadow.profile is not None, "shadow: workers run no second profile; leave it out"),
        (
            settings.learning.successor == "auto",
            'learning.successor: no successor is learned by workers; "auto" would promise one',
        ),
        (source.partitions is not None, "source.partitions: workers share out all partitions; leave it out"),
        (source.on_gap != "refuse", 'source.on_gap: a worker always refuses a gap; leave it at "refuse"'),
        (source.group is not None, "source.group: the groups of workers are named by cluster.name; leave it out"),
    ):
        if broken:
            raise SettingsError(message)
    return source, profile


def clients_of(profile: Profile) -> Profile:
    """The same profile without what it judges beside clients. Its id stays: what is promised of clients is the same."""
    return replace(profile, summary=msgspec.structs.replace(profile.summary, groups=(), rings=None))


def pipelines(settings: Settings, profile: Profile, decode: Decode) -> Callable[[list[Dated]], Pipeline]:
    """How a partition's pipeline is made."""
    alone, before = clients_of(profile), settings.run.no_alerts_before

    def made(policies: list[Dated]) -> Pipeline:
        pipeline = Pipeline(
            alone,
            policies,
            decode,
            keep_payloads=settings.log.keep_payload_of_dead_letters,
            alerts_from=micros(before) if before else 0,
            also_versions=settings.profile.also_versions,
            unnamed_members=settings.entities.unnamed_members,
        )
        pipeline.population = None  # of a part of the clients it would say something else
        return pipeline

    return made
