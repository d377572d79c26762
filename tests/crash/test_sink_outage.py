"""One sink is away: the other goes on, and what waited arrives in its order, once."""

from __future__ import annotations

import pytest

from tests.crash.stage import Record, Stage, stored, told_to_file, waiting, written
from tests.run.kept import alerts

pytestmark = pytest.mark.server


@pytest.mark.parametrize("how", ["stopped", "hung"])
def test_alerts_wait_for_a_sink_that_is_away_and_the_others_go_on(stage: Stage, log: list[Record], how: str) -> None:
    part = log[: len(log) // 3]
    run = stage.new_run("outage", delivery={"heartbeat_s": 1.0, "drain_s": 5.0})
    child = stage.start(run)
    stage.write(part[:1000])
    child.until(lambda: stored(run) == 1000 and waiting(run) == 0, "the beginning, delivered")
    if how == "stopped":
        stage.elasticsearch.kill()
    else:
        stage.elasticsearch.pause()
    stage.write(part[1000:])
    child.until(lambda: stored(run) == len(part), "all records read")
    child.until(lambda: len(told_to_file(run)) == len(alerts(run.folder)), "all alerts in the file")
    child.until(lambda: "sink elasticsearch is busy" in written(run)[-1].message, "the outage in a heartbeat")
    behind = waiting(run)
    assert behind > 0
    assert child.get("/readyz")[0] == 200
    child.until(
        lambda: child.metrics()["querywarden_sink_backlog", "elasticsearch"] == behind, "the backlog to be shown"
    )
    child.until(lambda: child.metrics()["querywarden_sink_backlog", "file"] == 0, "that the file has all")
    assert child.metrics()["querywarden_sink_state", "elasticsearch", "busy"] == 1
    if how == "stopped":
        stage.elasticsearch.start()
    else:
        stage.elasticsearch.resume()
    stage.finish(run, child, len(part))
    assert stage.indexed(run) == [alert.id for alert in alerts(run.folder)]
    assert told_to_file(run) == [alert.id for alert in alerts(run.folder)]
    assert stage.indexed(run, health=True)
    assert not any(alert.kind == "health" for alert in alerts(run.folder))
