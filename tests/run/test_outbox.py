from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from detector.errors import StoreError
from detector.run.outbox import DAY_S, Outbox
from detector.run.store import Store
from sinks.contract import Refusal
from tests.run.made import HandClock, alert


@pytest.fixture
def hand() -> HandClock:
    return HandClock()


@pytest.fixture
def outbox(tmp_path: Path, hand: HandClock) -> Iterator[Outbox]:
    made = Outbox(tmp_path / "o.db", wall=lambda: hand.now)
    yield made
    made.close()


def waiting(outbox: Outbox, sink: str, limit: int = 1000) -> list[int]:
    return [one.alert.queries for one in outbox.undelivered(sink, limit=limit)]


def test_a_known_id_adds_nothing_and_uses_no_number(outbox: Outbox) -> None:
    outbox.join("s")
    assert outbox.put([alert(1), alert(2)]) == 2
    assert outbox.put([alert(1), alert(2), alert(3), alert(3)]) == 1
    assert waiting(outbox, "s") == [1, 2, 3]
    assert outbox.backlog("s") == 3
    assert [one.seq for one in outbox.undelivered("s")] == [1, 2, 3]
    assert outbox.put([]) == 0


def test_an_alert_comes_back_as_it_went_in(outbox: Outbox) -> None:
    outbox.put([alert(1)])
    assert outbox.undelivered("any", after=0)[0].alert == alert(1)


def test_a_new_sink_starts_at_the_newest_or_at_the_oldest(outbox: Outbox) -> None:
    outbox.join("early")
    outbox.put([alert(1), alert(2)])
    outbox.join("late")
    outbox.join("thorough", "oldest")
    outbox.put([alert(3)])
    assert [waiting(outbox, sink) for sink in ("early", "late", "thorough")] == [[1, 2, 3], [3], [1, 2, 3]]
    outbox.advance("late", 3)
    outbox.join("late", "oldest")  # known: it stays where it is
    assert waiting(outbox, "late") == []


def test_a_position_never_goes_back(outbox: Outbox, hand: HandClock) -> None:
    outbox.join("s")
    outbox.put([alert(n) for n in range(5)])
    outbox.advance("s", 3)
    outbox.advance("s", 1)
    assert outbox.position("s") == 3
    assert outbox.last_ack("s") == hand.now
    assert waiting(outbox, "s", limit=1) == [3]


def test_a_sink_that_never_joined_is_an_error(outbox: Outbox) -> None:
    for ask in (outbox.position, outbox.undelivered, lambda sink: outbox.advance(sink, 1)):
        with pytest.raises(StoreError, match="knows no sink other"):
            ask("other")


def test_refused_alerts_become_dead_letters_of_their_sink(outbox: Outbox) -> None:
    outbox.join("s")
    outbox.put([alert(1), alert(2)])
    outbox.advance("s", 2, [Refusal(alert(2).id, "too long")])
    outbox.advance("s", 2, [Refusal(alert(2).id, "too long")])  # a crash repeats it
    assert [(one.alert, one.reason) for one in outbox.refused("s")] == [(alert(2), "too long")]
    assert outbox.refused("other") == ()


def test_pruning_drops_what_all_sinks_have_but_remembers_the_ids(outbox: Outbox, hand: HandClock) -> None:
    outbox.join("fast")
    outbox.join("slow")
    outbox.put([alert(1), alert(2), alert(3)])
    outbox.advance("fast", 3)
    outbox.advance("slow", 1)
    hand.move(31 * DAY_S)
    assert outbox.prune(["fast", "slow"]) == 1
    assert waiting(outbox, "slow") == [2, 3]
    assert outbox.put([alert(1)]) == 0, "a replay told an old alert again"
    outbox.join("new", "oldest")
    assert waiting(outbox, "new") == [2, 3]
    assert outbox.backlog("new") == 2
    assert outbox.prune([]) == 0


def test_ids_go_in_the_end_and_numbers_are_not_used_twice(outbox: Outbox, hand: HandClock) -> None:
    outbox.join("s")
    outbox.put([alert(1), alert(2)])
    outbox.advance("s", 2)
    hand.move(500 * DAY_S)
    outbox.prune(["s"])
    outbox.join("later")
    outbox.put([alert(3)])
    assert [one.seq for one in outbox.undelivered("later")] == [3]
    assert outbox.backlog("s") == 1
    assert outbox.put([alert(1)]) == 1  # forgotten by now


def test_a_full_disk_is_a_clear_error_and_takes_all_or_nothing(outbox: Outbox) -> None:
    outbox.join("s")
    outbox.put([alert(1)])
    pages = outbox.db.connection.execute("PRAGMA page_count").fetchone()[0]
    outbox.db.connection.execute(f"PRAGMA max_page_count={pages + 1}")
    with pytest.raises(StoreError, match="could not take alerts: the disk is full"):
        outbox.put([alert(n) for n in range(2, 200)])
    assert waiting(outbox, "s") == [1]
    outbox.db.connection.execute("PRAGMA max_page_count=1000000")
    assert outbox.put([alert(n) for n in range(2, 200)]) == 198


@settings(max_examples=40, deadline=None)
@given(steps=st.lists(st.sampled_from(["read", "read", "put", "save", "crash"]), max_size=30), chunk=st.integers(1, 4))
def test_any_crash_and_replay_tells_the_same_alerts_once(
    tmp_path_factory: pytest.TempPathFactory, steps: list[str], chunk: int
) -> None:
    """The runner: read a chunk of the log, put its alerts, sometimes save the position; a crash forgets memory."""
    folder = tmp_path_factory.mktemp("replay")
    log = [alert(n) for n in range(12)]
    store, outbox = Store(folder / "s.db", profile="p"), Outbox(folder / "o.db")
    outbox.join("s")
    at, decided = 0, []
    for step in [*steps, *["read", "put", "save"] * len(log)]:
        if step == "read":
            decided += log[at : at + chunk]
            at = min(at + chunk, len(log))
        elif step == "put" or (step == "save" and decided):  # put always comes before save
            outbox.put(decided)
            decided = []
        if step == "save":
            store.save(positions={"log": at}, rows=[])
        elif step == "crash":
            store.close()
            outbox.close()
            store, outbox = Store(folder / "s.db", profile="p"), Outbox(folder / "o.db")
            at, decided = store.load().positions.get("log", 0), []
    assert [one.alert for one in outbox.undelivered("s", limit=100)] == log
    store.close()
    outbox.close()
