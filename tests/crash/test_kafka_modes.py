"""Partitions that come later, and membership of a consumer group: neither changes what is found."""

from __future__ import annotations

import pytest

from detector.sources.kafka import KafkaSettings
from tests.crash.stage import PARTITIONS, Record, Stage, records, stored
from tests.run.child import until
from tests.run.kept import kept, retold

pytestmark = pytest.mark.server


def test_partitions_that_are_added_while_it_runs_and_is_killed(stage: Stage, log: list[Record]) -> None:
    """Their clients are new ones: where a client's records move between partitions, Kafka keeps no order.

    Clients are exact. Groups are not as if the partition had been known from the beginning: what it holds when it is
    found comes later than its ticks were closed, and counts in the first open one.
    """
    part = [record for record in log[:3000] if record.partition != PARTITIONS - 1]
    late = [r._replace(partition=PARTITIONS) for r in log[:3000] if r.partition == PARTITIONS - 1]
    bells = [
        *log[-PARTITIONS:],
        log[-1]._replace(partition=PARTITIONS, client="bell-late", line=log[-1].line.replace(b"bell-3", b"bell-late")),
    ]
    run = stage.new_run("killed")
    child = stage.start(run)
    stage.write(part)
    child.until(lambda: stored(run) > 0, "a snapshot")
    stage.grow(PARTITIONS + 1)
    stage.write(late[: len(late) // 2])
    child.kill()
    child = stage.start(run)
    child.until(lambda: stored(run) == len(part) + len(late) // 2, "the new partition")
    child.kill()
    child = stage.start(run)
    stage.write([*late[len(late) // 2 :], *bells])
    stage.finish(run, child, len(part) + len(late) + len(bells))
    found, expected = kept(run.folder), stage.undisturbed(len(part) + len(late) + len(bells))
    assert len(found.positions) == PARTITIONS + 1
    assert found.positions == expected.positions
    assert found.of("client") == expected.of("client")
    assert found.rows.keys() == expected.rows.keys()
    assert found.told == retold(run.folder)


def test_a_partition_of_which_nothing_came_begins_after_a_kill_where_it_began(stage: Stage, log: list[Record]) -> None:
    """With `start = "latest"`, what was there before is not read, and what came since is, killed or not."""
    before, since = log[:1000], [*log[1000:2000], *log[-PARTITIONS:]]
    stage.write(before)
    runs = [stage.new_run(name, source={"start": "latest"}) for name in ("killed", "undisturbed")]
    children = [stage.start(run) for run in runs]
    for run, child in zip(runs, children, strict=True):
        child.until(lambda run=run: stored(run) == len(before), "the positions at the start")
    children[0].kill()
    stage.write([record for record in since if record.partition == 0])
    child = stage.start(runs[0])
    child.until(lambda: records(child) > 0, "the first partition")
    child.kill()
    stage.write([record for record in since if record.partition != 0])
    for run, child in zip(runs, [stage.start(runs[0]), children[1]], strict=True):
        stage.finish(run, child, len(before) + len(since))
    assert kept(runs[0].folder) == kept(runs[1].folder)


def test_only_a_broker_that_answers_can_say_that_nothing_is_left(stage: Stage, log: list[Record]) -> None:
    stage.write(log[:500])
    source = KafkaSettings(brokers=(stage.kafka.bootstrap,), topic=stage.topic, start="earliest").connect()
    source.open({})
    streams = source.streams()
    assert source.drained(streams) == set()
    read = 0
    while read < 500:
        read += sum(len(chunk.payloads) for chunk in source.read(1.0))
    assert source.drained(streams) == set(streams)
    assert source.drained(streams[:1]) == set(streams[:1])
    stage.kafka.kill()
    assert source.drained(streams) == set()
    stage.kafka.start()
    stage.write(log[500:550])
    behind = {streams[record.partition] for record in log[500:550]}
    until(lambda: source.drained(streams) == set(streams) - behind, lambda: "the broker to say what is left")
    source.close()


def test_a_member_of_a_group_goes_on_where_its_store_stands(stage: Stage, log: list[Record]) -> None:
    part = log[:3000] + log[-PARTITIONS:]
    run = stage.new_run("member", source={"group": "querywarden"})
    stage.write(part[:2000])
    child = stage.start(run)
    child.until(lambda: stored(run) > 0, "a snapshot")
    child.kill()
    stage.write(part[2000:])
    child = stage.start(run)
    stage.finish(run, child, len(part))
    assert kept(run.folder) == stage.undisturbed(len(part))
