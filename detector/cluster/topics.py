"""Creates the topics of workers, checks those that are there, and settles where reading the log begins."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec
from kafka import OffsetAndMetadata, TopicPartition
from kafka.admin import ConfigResource, ConfigResourceType

from detector.cluster.names import Names, wanted
from detector.errors import SettingsError
from detector.settings import Settings
from detector.sources import kafka_client
from detector.sources.kafka import KafkaSettings
from detector.sources.kafka_client import NoTopic
from detector.sources.kafka_reader import KafkaSource


def settle(settings: Settings, source: KafkaSettings) -> list[str]:
    """Creates what is missing and checks the rest; returns what was found and done, a sentence a line.

    Raises SettingsError for a topic that is not as it must be, SourceBusy or SourceRefused.
    """
    admin = kafka_client.connect_admin(source)
    try:
        known = _partitions(admin, source, Names(settings.cluster.name).state) is not None
        said = [_begun(settings, source, known=known)]
        for name, configs in wanted(settings).items():
            found = _partitions(admin, source, name)
            if found is None:
                _create(admin, source, settings, name, configs)
                said.append(f"{name}: created, {settings.cluster.partitions} partitions")
            else:
                _check(admin, source, settings, name, configs, found)
                said.append(f"{name}: as it must be, {found} partitions")
    finally:
        admin.close()
    return said


def check(settings: Settings, source: KafkaSettings) -> str:
    """Checks that all topics are as they must be; returns the id of the log's topic. Raises as `settle` does."""
    admin = kafka_client.connect_admin(source)
    try:
        for name, configs in wanted(settings).items():
            found = _partitions(admin, source, name)
            if found is None:
                raise SettingsError(f"there is no topic {name}: run `querywarden topics` first")
            _check(admin, source, settings, name, configs, found)
        return kafka_client.describe(admin, source).id
    finally:
        admin.close()


def _partitions(admin: Any, source: KafkaSettings, name: str) -> int | None:
    try:
        return len(kafka_client.describe(admin, msgspec.structs.replace(source, topic=name)).partitions)
    except NoTopic:
        return None


def _create(admin: Any, source: KafkaSettings, settings: Settings, name: str, configs: Mapping[str, str]) -> None:
    topic = {
        "num_partitions": settings.cluster.partitions,
        "replication_factor": settings.cluster.replication,
        "configs": dict(configs),
    }
    with kafka_client.told(msgspec.structs.replace(source, topic=name)):
        admin.create_topics({name: topic}, wait_for_metadata=True)


def _check(
    admin: Any, source: KafkaSettings, settings: Settings, name: str, configs: Mapping[str, str], found: int
) -> None:
    wanted = settings.cluster.partitions
    if found != wanted:
        raise SettingsError(
            f"cluster.partitions: {wanted}, but the topic {name} has {found}. A client's state lives in its partition, "
            f"so their number cannot change: set it to {found}, or take another cluster.name and begin anew"
        )
    with kafka_client.told(msgspec.structs.replace(source, topic=name)):
        answer = admin.describe_configs([ConfigResource(ConfigResourceType.TOPIC, name)], config_filter="all")
    is_set = next(iter(next(iter(answer.values())).values()))
    for key, value in configs.items():
        if (now := str(is_set[key]["value"])) != value:
            raise SettingsError(
                f"the topic {name} has {key} = {now}, it must be {value}: change it with your broker's tools"
            )


def _begun(settings: Settings, source: KafkaSettings, *, known: bool) -> str:
    """Settles where each partition of the log begins of which no place is committed, as `source.start` says; at its
    beginning where the workers are known already: it came later, or the broker has forgotten the place.
    """
    group = Names(settings.cluster.name).projecting
    if known:
        source = msgspec.structs.replace(source, start="earliest")
    with kafka_client.described(source) as describe:
        topic = describe()
    own = msgspec.structs.replace(source, group=group, partitions=topic.partitions)
    reader = KafkaSource(own)
    reader.open({})
    try:
        starts = {int(stream.rpartition("/")[2]): at for stream, at in reader.positions().items()}
    finally:
        reader.close()
    consumer = kafka_client.consumer(own)
    try:
        with kafka_client.told(own):
            partitions = [TopicPartition(source.topic, number) for number in topic.partitions]
            new = [partition for partition in partitions if consumer.committed(partition) is None]
            if new:
                consumer.assign(new)
                consumer.commit({p: OffsetAndMetadata(starts[p.partition], "", -1) for p in new})
    finally:
        consumer.close(autocommit=False)
    return f"{source.topic}: {len(partitions)} partitions, {len(new)} of them begun at {source.start}"
