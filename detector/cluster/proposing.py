"""`querywarden policy apply`, `successor`, `forget` with `--workers`: asks all of them, and waits for what they say."""

from __future__ import annotations

import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import msgspec
from kafka import TopicPartition

from detector.cluster.forgetting import Forget
from detector.cluster.names import Names
from detector.cluster.passing import Handed
from detector.cluster.policies import Decision, Entry, Policies, asked, begun, proposed, takes_over
from detector.cluster.succession import horizon_us
from detector.errors import SettingsError, nearest_name
from detector.levels import TICK_US
from detector.policy import Policy
from detector.profile.artefact import Profile
from detector.run.successors import policy_of
from detector.settings import Settings
from detector.sources import kafka_client
from detector.sources.kafka import KafkaSettings

AHEAD_US = 600_000_000  # of log time, in front of the newest that is known
LATEST = 500  # messages that are looked at for the newest log time
PATIENCE_S = 60.0
READ_MS = 200


def begin(settings: Settings, source: KafkaSettings, policy: Policy) -> str:
    """The policy that holds at first, where none does; returns a sentence."""
    known = read(settings, source)
    if known.first is None:
        _write(settings, source, begun(policy))
        return f"The policy {policy.version} holds from the beginning"
    return f"The policy {known.dated()[-1].policy.version} holds"


def propose(
    settings: Settings, source: KafkaSettings, policy: Policy, since: int | None, patience_s: float = PATIENCE_S
) -> tuple[int, Decision | None]:
    """Proposes a policy from a log time on (microseconds; None: ten minutes after the newest). Returns that time, and
    what was decided; None when not all have answered within `patience_s`: they still may.
    """
    known(settings, source)
    return _proposed(settings, source, lambda id_, at: proposed(id_, at, policy), since, patience_s)


def approve(
    settings: Settings,
    source: KafkaSettings,
    profile: Profile,
    name: str,
    since: int | None,
    patience_s: float = PATIENCE_S,
) -> tuple[int, Decision | None]:
    """Proposes that a successor of the one-class model takes over, as `propose` does a policy. It has the thresholds of
    clients; all else stays as it is. Raises SettingsError for an unknown name.
    """
    policies = known(settings, source)
    if name not in policies.successors:
        raise SettingsError(f"there is no successor {name}; {nearest_name(name, policies.successors)}")
    policy = policy_of(profile, policies.successors[name], policies.dated()[-1].policy)
    within = horizon_us(profile)
    return _proposed(settings, source, lambda id_, at: takes_over(id_, at, policy, within), since, patience_s)


def forget(
    settings: Settings,
    source: KafkaSettings,
    kind: str,
    entity: str,
    *,
    keep_alerts: bool,
    patience_s: float = PATIENCE_S,
) -> bool:
    """Asks all workers to forget an entity. Returns whether they have done so within `patience_s`: else they will."""
    known(settings, source)
    one = Forget(uuid.uuid4().hex, kind, entity, keep_alerts)
    _write(settings, source, asked(one))
    end = time.monotonic() + patience_s
    while time.monotonic() < end:
        if one.id in read(settings, source).forgotten:
            return True
        time.sleep(READ_MS / 1000)
    return False


def known(settings: Settings, source: KafkaSettings) -> Policies:
    """All that was entered so far. Raises SettingsError where nothing was."""
    found = read(settings, source)
    if found.first is None:
        raise SettingsError("no policy holds yet: run `querywarden topics` first")
    return found


def _proposed(
    settings: Settings,
    source: KafkaSettings,
    entry: Callable[[str, int], Entry],
    since: int | None,
    patience_s: float,
) -> tuple[int, Decision | None]:
    """entry: the proposal, of its id and log time."""
    at = _newest(settings, source) + AHEAD_US if since is None else since
    id_ = uuid.uuid4().hex
    _write(settings, source, entry(id_, at))
    end = time.monotonic() + patience_s
    while time.monotonic() < end:
        if found := read(settings, source).decisions.get(id_):
            return at, found
        time.sleep(READ_MS / 1000)
    return at, None


def read(settings: Settings, source: KafkaSettings) -> Policies:
    """All that was entered so far."""
    found = Policies()
    with _reading(source, Names(settings.cluster.name).policies) as (consumer, partition):
        consumer.seek_to_beginning(partition)
        for record in _to_the_end(consumer, partition):
            found.take(record.key, record.value)
    return found


def _newest(settings: Settings, source: KafkaSettings) -> int:
    """The newest log time that any partition has closed."""
    newest = 0
    with _reading(source, Names(settings.cluster.name).town) as (consumer, partition):
        end = consumer.end_offsets([partition])[partition]
        consumer.seek(partition, max(end - LATEST, consumer.beginning_offsets([partition])[partition]))
        for record in _to_the_end(consumer, partition):
            newest = max(newest, msgspec.msgpack.decode(record.value, type=Handed).closed * TICK_US)
    return newest


@contextmanager
def _reading(source: KafkaSettings, topic: str) -> Iterator[tuple[Any, TopicPartition]]:
    own = msgspec.structs.replace(source, topic=topic, group=None)
    consumer, partition = kafka_client.consumer(own), TopicPartition(topic, 0)
    try:
        with kafka_client.told(own):
            consumer.assign([partition])
            yield consumer, partition
    finally:
        consumer.close(autocommit=False)


def _to_the_end(consumer: Any, partition: TopicPartition) -> Iterator[Any]:
    end = consumer.end_offsets([partition])[partition]
    while consumer.position(partition) < end:
        for records in consumer.poll(timeout_ms=READ_MS).values():
            yield from records


def _write(settings: Settings, source: KafkaSettings, entry: Entry) -> None:
    topic = Names(settings.cluster.name).policies
    own = msgspec.structs.replace(source, topic=topic)
    producer = kafka_client.producer(own)
    try:
        with kafka_client.told(own):
            key, value = entry
            producer.send(topic, value, key=key, partition=0).get(timeout=source.connect_timeout_s)
    finally:
        producer.close()
