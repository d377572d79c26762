"""Creates the topics of workers, checks those that are there, and settles where reading the log begins."""

from __future__ import annotations

from typing import Any

import msgspec
from kafka import OffsetAndMetadata, TopicPartition
from kafka.admin import ConfigResource, ConfigResourceType

from detector.cluster import proposing
from detector.cluster.names import Names, Wanted, wanted
from detector.errors import SettingsError
from detector.policy import Policy
from detector.settings import Settings
from detector.sources import kafka_client
from detector.sources.kafka import KafkaSettings
from detector.sources.kafka_client import NoTopic, Topic
from detector.sources.kafka_reader import KafkaSource


def settle(settings: Settings, source: KafkaSettings, policy: Policy) -> list[str]:
    """Creates what is missing and checks the rest; returns what was found and done, a sentence a line. policy: holds
    from the beginning, where none does yet.

    Raises SettingsError for a topic that is not as it must be, SourceBusy or SourceRefused.
    """
    admin = kafka_client.connect_admin(source)
    try:
        known = _partitions(admin, source, Names(settings.cluster.name).state) is not None
        said = [_begun(settings, source, known=known)]
        for name, topic in wanted(settings).items():
            found = _partitions(admin, source, name)
            if found is None:
                _create(admin, source, settings, name, topic)
                said.append(f"{name}: created, {topic.partitions} partitions")
            else:
                _check(admin, source, name, topic, found)
                said.append(f"{name}: as it must be, {found} partitions")
    finally:
        admin.close()
    return [*said, proposing.begin(settings, source, policy)]


def check(settings: Settings, source: KafkaSettings) -> Topic:
    """Checks that all topics are as they must be; returns the log's. Raises as `settle` does."""
    admin = kafka_client.connect_admin(source)
    try:
        for name, topic in wanted(settings).items():
            found = _partitions(admin, source, name)
            if found is None:
                raise SettingsError(f"there is no topic {name}: run `querywarden topics` first")
            _check(admin, source, name, topic, found)
        return kafka_client.describe(admin, source)
    finally:
        admin.close()


def _partitions(admin: Any, source: KafkaSettings, name: str) -> int | None:
    try:
        return len(kafka_client.describe(admin, msgspec.structs.replace(source, topic=name)).partitions)
    except NoTopic:
        return None


def _create(admin: Any, source: KafkaSettings, settings: Settings, name: str, topic: Wanted) -> None:
    made = {
        "num_partitions": topic.partitions,
        "replication_factor": settings.cluster.replication,
        "configs": topic.configs,
    }
    with kafka_client.told(msgspec.structs.replace(source, topic=name)):
        admin.create_topics({name: made}, wait_for_metadata=True)


def _check(admin: Any, source: KafkaSettings, name: str, topic: Wanted, found: int) -> None:
    if found != topic.partitions:
        raise SettingsError(
            f"cluster.partitions: {topic.partitions}, but the topic {name} has {found}. A client's state lives in its "
            f"partition, so their number cannot change: set it to {found}, or take another cluster.name and begin anew"
        )
    with kafka_client.told(msgspec.structs.replace(source, topic=name)):
        answer = admin.describe_configs([ConfigResource(ConfigResourceType.TOPIC, name)], config_filter="all")
    is_set = next(iter(next(iter(answer.values())).values()))
    for key, value in topic.configs.items():
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
