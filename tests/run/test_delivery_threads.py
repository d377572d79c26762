from __future__ import annotations

import threading
from collections.abc import Sequence
from pathlib import Path

import pytest

from detector.alert import Alert
from detector.errors import SinkBusy
from detector.run.delivery import Clock, Courier, Couriers
from detector.run.health import Health
from detector.run.outbox import Outbox
from sinks.contract import Delivery
from tests.run.made import HandClock, ScriptedSettings, ScriptedSink, alert

REAL = Clock()


def courier(
    path: Path, name: str, sink: ScriptedSink, clock: Clock = REAL, *, heartbeat_s: float | None = None
) -> Courier:
    settings = ScriptedSettings(sink, name)
    return Courier(settings, path, Health, instance="i", heartbeat_s=heartbeat_s, clock=clock, jitter=lambda: 1.0)


def test_a_sink_that_is_away_for_an_hour_delays_no_other_and_loses_nothing(tmp_path: Path) -> None:
    hand, away = HandClock(), threading.Event()
    away.set()

    def script(alerts: Sequence[Alert]) -> Delivery:
        if away.is_set():
            raise SinkBusy("away")
        return Delivery()

    up, down, path = ScriptedSink(), ScriptedSink(script), tmp_path / "o.db"
    couriers = Couriers([courier(path, "up", up, hand.clock()), courier(path, "down", down, hand.clock())])
    couriers.start()
    outbox = Outbox(path)
    for minute in range(60):
        outbox.put([alert(minute)])
        couriers.ring()
        up.wait_for(minute + 1)  # at once, whatever the other does
        hand.move(60.0)
    assert down.taken == []
    away.clear()
    hand.move(61.0)
    down.wait_for(60)
    assert couriers.stop(0) == ()
    assert up.taken == down.taken == [alert(n).id for n in range(60)]
    assert {standing.sink: standing.state for standing in couriers.standings()} == {"up": "stopped", "down": "stopped"}
    assert (up.closed, down.closed) == (1, 1)


def test_new_alerts_wake_a_courier_at_once(tmp_path: Path) -> None:
    hand, sink, path = HandClock(), ScriptedSink(), tmp_path / "o.db"
    one = courier(path, "s", sink, hand.clock())
    one.start()
    Outbox(path).put([alert(1)])
    one.ring()
    sink.wait_for(1)  # though the hand clock never moved
    one.stop(0)
    assert one.join(5)


def test_stopping_drains_what_waits(tmp_path: Path) -> None:
    sink, path = ScriptedSink(), tmp_path / "o.db"
    one = courier(path, "s", sink, HandClock().clock())
    Outbox(path).put([alert(n) for n in range(55)])
    one.stop(30)
    one.start()
    assert one.join(10)
    assert len(sink.taken) == 55


def test_stopping_wakes_a_courier_from_its_pause_and_does_not_wait_for_a_sink_that_is_away(tmp_path: Path) -> None:
    called = threading.Event()

    def script(alerts: Sequence[Alert]) -> Delivery:
        called.set()
        raise SinkBusy("away", retry_after_s=600.0)

    sink, path = ScriptedSink(script), tmp_path / "o.db"
    couriers = Couriers([courier(path, "s", sink)])
    Outbox(path).put([alert(1)])
    couriers.start()
    assert called.wait(10)
    assert couriers.stop(drain_s=30) == ()  # returns at once: the next try lies behind the end
    assert Outbox(path).backlog("s") == 1


def test_a_mistake_in_a_sink_shows_and_ends_its_courier_only(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[str] = []
    monkeypatch.setattr(threading, "excepthook", lambda args: seen.append(args.exc_type.__name__))

    def script(alerts: Sequence[Alert]) -> Delivery:
        raise ZeroDivisionError

    broken, fine, path = ScriptedSink(script), ScriptedSink(), tmp_path / "o.db"
    couriers = Couriers([courier(path, "broken", broken), courier(path, "fine", fine)])
    Outbox(path).put([alert(1)])
    couriers.start()
    fine.wait_for(1)
    assert couriers.stop(1) == ()
    assert [standing.state for standing in couriers.standings()] == ["crashed", "stopped"]
    assert seen == ["ZeroDivisionError"]
    assert broken.closed == 1
