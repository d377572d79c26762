"""Streams that give nothing: how long the ticks wait for them, and where they begin after a restart."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

from tests import people
from tests.run.hour import STREAMS, hour
from tests.run.kept import alerts, kept, retold
from tests.run.scene import Scene, Turn, crashed

RING, OTHER, EMPTY = STREAMS
QUIET = Turn(EMPTY, 0, 35.0)
ALL = [Turn(stream, 10_000) for stream in STREAMS]


def ring() -> dict[str, list[bytes]]:
    """An organisation that copies, someone else, and a stream that gives nothing."""
    asked = [
        one
        for account in range(4)
        for one in people.noise(f"r{account}", seed=account, n=40, at=people.START_US + account, group="ring")
    ]
    return {RING: people.log_of(people.in_order(asked)), OTHER: people.log_of(people.noise("n1", n=50)), EMPTY: []}


def watched(turns: Sequence[Turn], folder: Path, seen: list[int]) -> Iterator[Turn]:
    """The turns; before each, `seen` gets the number of alerts on groups that were told so far."""
    for turn in turns:
        seen.append(sum(alert.entity.kind == "organisation" for alert in alerts(folder)))
        yield turn


def test_ticks_wait_for_a_silent_stream_for_a_minute_and_a_snapshot(saved: Path, tmp_path: Path) -> None:
    seen: list[int] = []
    turns = [Turn(RING, 10_000), Turn(OTHER, 10_000), QUIET, Turn(RING, 0, 20.0), QUIET, QUIET]
    Scene(tmp_path, saved, ring(), watched(turns, tmp_path, seen)).run()
    assert seen[:5] == [0, 0, 0, 0, 0]
    assert seen[5] > 0


def test_a_source_that_is_away_is_not_silent(saved: Path, tmp_path: Path) -> None:
    seen: list[int] = []
    turns = [Turn(RING, 10_000), Turn(OTHER, 10_000), *[QUIET] * 5]
    runner = Scene(tmp_path, saved, ring(), watched(turns, tmp_path, seen)).runner()
    runner.settings.source.source.drained = lambda streams: set()  # type: ignore[union-attr]
    runner.run()
    assert set(seen) == {0}


def test_streams_begin_after_a_restart_where_they_began_first(saved: Path, tmp_path: Path) -> None:
    """A stream of which nothing came yet begins at the latest record: that is elsewhere later on."""
    clients = []
    for folder, ends in ((tmp_path / "once", [20]), (tmp_path / "restarted", [20, 25, 30])):
        for end in ends:
            scene = Scene(folder, saved, hour().streams, ALL if end == ends[-1] else [])
            scene.log.written = dict.fromkeys(STREAMS, end)
            scene.run(start=scene.log.written)
        clients.append(kept(folder).of("client"))
    assert clients[0] == clients[1]


def test_a_stream_that_appears_after_a_crash_changes_nothing_that_was_told_before(saved: Path, tmp_path: Path) -> None:
    """Old records of a group, in a stream that nobody knew of: they come too late for the ticks that were closed."""
    known = {RING: ring()[RING], OTHER: ring()[OTHER]}
    late = people.log_of(people.noise("r9", seed=9, n=40, group="ring"))
    still = Turn(RING, 0, 35.0)
    turns = [Turn(OTHER, 10_000), Turn(RING, 60), *[still] * 3, Turn(RING, 60), *[still] * 3]
    groups_told = 0
    for moments in range(4, 34, 2):
        folder = tmp_path / str(moments)
        first = Scene(folder, saved, known, turns)
        if crashed(first.runner(store={"snapshot_s": 40.0}), moments):
            groups_told += any(alert.entity.kind == "organisation" for alert in alerts(folder))
            then = Scene(folder, saved, known | {"made:9": late}, ALL[:2])
            then.log.written |= first.log.written | {"made:9": len(late)}
            then.run()
            assert kept(folder).told == retold(folder), moments
    assert groups_told
