"""Made values for these tests: alerts by number, points, a clock that tests move, a sink that follows a script."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence

import msgspec

from detector.alert import Alert, Entity, Promise
from detector.run.delivery import Clock
from detector.tape import Point
from sinks.contract import Delivery


def key(number: int) -> bytes:
    return number.to_bytes(16, "big")


def alert(number: int) -> Alert:
    return Alert(
        id=f"alert-{number:04d}",
        kind="extraction",
        action="open",
        case_id="case",
        at="2026-01-01T00:00:00Z",
        model="m",
        entity=Entity("client", "c"),
        severity="high",
        score=2.0,
        threshold=1.0,
        queries=number,
        query_id="q",
        promise=Promise(0.01, None, "30d", "measured"),
        reasons=(),
        techniques=(),
        profile="p",
        policy="1",
        message="m",
    )


def point(entity: int, n: int, *, at: int | None = None, budget: bool = False, level: int = 3) -> Point:
    return Point(
        key(entity),
        "m",
        "client",
        f"c{entity}",
        n if at is None else at,
        n,
        level,
        f"q{n}",
        budget=budget,
        evidence=(1, 2),
    )


class HandClock:
    """Time stands still until `move`. Threads that wait are woken to look again."""

    def __init__(self) -> None:
        self.now = 1_000_000.0
        self._waiting: set[threading.Event] = set()

    def clock(self) -> Clock:
        return Clock(lambda: self.now, lambda: self.now, self._wait)

    def _wait(self, event: threading.Event, seconds: float) -> None:
        self._waiting.add(event)
        assert event.wait(30), "nobody moved the clock"

    def move(self, seconds: float) -> None:
        self.now += seconds
        for event in tuple(self._waiting):
            event.set()


class ScriptedSink:
    """Answers as `script` says; keeps what it was handed and what it took."""

    def __init__(self, script: Callable[[Sequence[Alert]], Delivery] = lambda alerts: Delivery()) -> None:
        self.script = script
        self.calls: list[list[str]] = []
        self.taken: list[str] = []
        self.beats: list[Alert] = []
        self.took = threading.Condition()
        self.closed = 0

    def check(self) -> str:
        return "here"

    def deliver(self, alerts: Sequence[Alert]) -> Delivery:
        if alerts[0].kind != "health":
            self.calls.append([one.id for one in alerts])
        delivery = self.script(alerts)
        not_taken = set(delivery.retry) | {refusal.alert_id for refusal in delivery.refused}
        with self.took:
            for one in alerts:
                if one.id not in not_taken:
                    (self.beats.append(one) if one.kind == "health" else self.taken.append(one.id))
            self.took.notify_all()
        return delivery

    def wait_for(self, count: int) -> None:
        with self.took:
            assert self.took.wait_for(lambda: len(self.taken) >= count, 20), f"only {len(self.taken)} of {count}"

    def close(self) -> None:
        self.closed += 1


class ScriptedSettings(msgspec.Struct):
    sink: ScriptedSink
    name: str = "scripted"
    batch_size: int = 10

    def open(self) -> ScriptedSink:
        return self.sink
