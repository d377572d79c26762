"""Partitions that come later, and membership of a consumer group: neither changes what is found."""

from __future__ import annotations

import pytest

from tests.crash.stage import PARTITIONS, Record, Stage, stored
from tests.run.kept import kept, retold

pytestmark = pytest.mark.server


def test_partitions_that_are_added_while_it_runs_and_is_killed(stage: Stage, log: list[Record]) -> None:
    """Their clients are new ones: where a client's records move between partitions, Kafka keeps no order."""
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
    found = kept(run.folder)
    assert len(found.positions) == PARTITIONS + 1
    assert found == stage.undisturbed(len(part) + len(late) + len(bells))
    assert found.told == retold(run.folder)


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
