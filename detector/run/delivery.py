"""When a sink is called again: one courier a sink, with its own thread, pauses and place in the outbox.

At least once, in order: a courier hands over the next batch, hands over again what the sink wants again, and only then
moves on. A crash before it moved repeats the batch with the same ids. A sink that is away holds up nobody else.
"""

from __future__ import annotations

import random
import socket
import threading
import time
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Literal

import msgspec
import structlog

from detector.errors import SinkBusy, SinkRefused, StoreError
from detector.run.health import Health, heartbeat
from detector.run.outbox import Outbox, Waiting
from detector.settings import Settings
from sinks.contract import Delivery, SinkSettings

BASE_S = 0.5  # the first pause; each further one may be twice as long
CAP_S = 60.0
LONGEST_RETRY_AFTER_S = 3_600.0  # a wrong header must not silence a sink for days
IDLE_S = 5.0  # looks for alerts that another process put, for which nobody rings
GRACE_S = 5.0  # for the call that a sink is in when it has to stop

State = Literal["starting", "ok", "busy", "refused", "store", "stopped", "crashed"]
STATES: tuple[State, ...] = ("starting", "ok", "busy", "refused", "store", "stopped", "crashed")
SENTENCES: dict[State, str] = {
    "busy": "The sink is busy; its alerts wait",
    "refused": "The sink refuses everything; its alerts are held until someone mends it",
    "store": "The outbox cannot be used; the sink's alerts wait",
}


class Clock(msgspec.Struct, frozen=True):
    """Time as couriers know it. `wait` returns when the event is set or the seconds are over; earlier does no harm."""

    monotonic: Callable[[], float] = time.monotonic
    wall: Callable[[], float] = time.time
    wait: Callable[[threading.Event, float], object] = threading.Event.wait


class Standing(msgspec.Struct, frozen=True):
    """How a courier stands: its state, since when (wall clock, seconds), and the sink's own words for it."""

    sink: str
    state: State
    since: float
    reason: str = ""
    last_ack: float | None = None


class Courier:
    """Carries the outbox's alerts to one sink. `step` is the whole behaviour; the thread only calls it and waits.

    settings: of the sink, which is opened here (its errors are raised here).
    health: the newest Health, for the heartbeat; called from the courier's thread.
    start: where a sink that is new to the outbox begins.
    """

    def __init__(
        self,
        settings: SinkSettings,
        outbox: str | Path,
        health: Callable[[], Health],
        *,
        instance: str,
        start: Literal["newest", "oldest"] = "newest",
        heartbeat_s: float | None = 60.0,
        clock: Clock | None = None,
        jitter: Callable[[], float] = random.random,
    ) -> None:
        self.name = settings.name
        self._clock = clock or Clock()
        self._outbox_path = outbox
        self._join(start)  # now, not in the thread: an alert that is put meanwhile must not be taken for an old one
        self._sink = settings.open()
        self._batch_size = settings.batch_size
        self._health = health
        self._instance = instance
        self._heartbeat_s = heartbeat_s
        self._jitter = jitter
        self._outbox: Outbox | None = None
        self._hand: list[Waiting] = []  # what was taken from the outbox and is not settled
        self._batch_end = 0  # the last number of the batch that the hand is left of
        self._idle = False  # nothing waited when it was last looked at
        self._attempt = 0
        self._not_before = float("-inf")
        self._next_beat = self._clock.monotonic() if heartbeat_s else float("inf")
        self._stop_at: float | None = None
        self._wake = threading.Event()
        self._thread: threading.Thread | None = None
        self._standing = Standing(self.name, "starting", self._clock.wall())
        self._log = structlog.get_logger().bind(sink=self.name)

    def _join(self, start: Literal["newest", "oldest"]) -> None:
        outbox = Outbox(self._outbox_path)
        outbox.join(self.name, start)
        outbox.close()

    @property
    def standing(self) -> Standing:
        return self._standing

    def step(self) -> float:
        """Does what is due: at most one batch and one heartbeat. Returns the seconds until something is due again.

        Alerts go first: a sink that takes alerts but no heartbeat must still get them.
        """
        try:
            if self._resting() <= 0:
                self._pass_on()
            if self._resting() <= 0 and self._clock.monotonic() >= self._next_beat and self._stop_at is None:
                self._beat()
        except SinkBusy as error:
            self._hold("busy", str(error), self._pause(error.retry_after_s))
        except SinkRefused as error:
            self._hold("refused", str(error), CAP_S)
        except StoreError as error:
            self._hold("store", str(error), self._pause(None))
        return self._resting() if self._resting() > 0 else self._until_due()

    def _resting(self) -> float:
        return self._not_before - self._clock.monotonic()

    def _until_due(self) -> float:
        if not self._idle:
            return 0.0
        return max(0.0, min(IDLE_S, self._next_beat - self._clock.monotonic()))

    def _pass_on(self) -> None:
        if not self._hand:
            self._hand = list(self._open().undelivered(self.name, limit=self._batch_size))
            self._batch_end = self._hand[-1].seq if self._hand else self._batch_end
        self._idle = not self._hand
        if self._hand:
            self._settle(self._sink.deliver([waiting.alert for waiting in self._hand]))

    def _settle(self, delivery: Delivery) -> None:
        held = {waiting.alert.id for waiting in self._hand}
        refused = [refusal for refusal in delivery.refused if refusal.alert_id in held]
        again = set(delivery.retry) - {refusal.alert_id for refusal in refused}
        left = [waiting for waiting in self._hand if waiting.alert.id in again]
        reached = left[0].seq - 1 if left else self._batch_end
        some_settled = len(left) < len(self._hand)
        if some_settled:
            self._open().advance(self.name, reached, refused)
            self._attempt = 0
            self._taken()
        for refusal in refused:
            self._log.warning("The sink will never take an alert", alert=refusal.alert_id, reason=refusal.reason)
        self._hand = left
        if left:
            pause = self._pause(delivery.retry_after_s)
            if some_settled:
                self._not_before = self._clock.monotonic() + pause
            else:
                self._hold("busy", "it asks for every alert again", pause)

    def _beat(self) -> None:
        """Only the newest heartbeat matters: one that does not arrive is not sent again."""
        assert self._heartbeat_s is not None
        self._next_beat = self._clock.monotonic() + self._heartbeat_s
        outbox = self._open()
        beat = heartbeat(
            self._health(),
            instance=self._instance,
            sink=self.name,
            backlog=outbox.backlog(self.name),
            at_s=self._clock.wall(),
        )
        delivery = self._sink.deliver([beat])
        if delivery.refused:
            self._log.debug("The sink takes no heartbeats", reason=delivery.refused[0].reason)
        if not delivery.retry and not delivery.refused:
            outbox.advance(self.name, outbox.position(self.name))  # an acknowledgement too
            self._attempt = 0
            self._taken()

    def _pause(self, retry_after_s: float | None) -> float:
        """Exponential with full jitter (AWS Architecture Blog, 2015), never shorter than the sink asks for."""
        ceiling = min(CAP_S, BASE_S * 2.0 ** min(self._attempt, 32))
        self._attempt += 1
        return max(self._jitter() * ceiling, min(retry_after_s or 0.0, LONGEST_RETRY_AFTER_S))

    def _hold(self, state: State, reason: str, pause_s: float) -> None:
        self._not_before = self._clock.monotonic() + pause_s
        self._idle = False
        if self._standing.state != state:  # once a change, however often it is tried
            log = self._log.warning if state == "busy" else self._log.error
            log(SENTENCES[state], reason=reason)
        self._stand(state, reason)

    def _taken(self) -> None:
        if self._standing.state in SENTENCES:
            self._log.info("The sink takes alerts again", after_s=round(self._clock.wall() - self._standing.since, 1))
        self._stand("ok", "")
        self._standing = msgspec.structs.replace(self._standing, last_ack=self._clock.wall())

    def _stand(self, state: State, reason: str) -> None:
        old = self._standing
        since = old.since if old.state == state else self._clock.wall()
        self._standing = Standing(self.name, state, since, reason, old.last_ack)

    def _open(self) -> Outbox:
        if self._outbox is None:
            self._outbox = Outbox(self._outbox_path, wall=self._clock.wall)
        return self._outbox

    def start(self) -> None:
        """Starts the thread. It is a daemon: a sink that hangs in a call does not keep the process from ending."""
        self._thread = threading.Thread(target=self._run, name=f"courier {self.name}", daemon=True)
        self._thread.start()

    def ring(self) -> None:
        """There are new alerts."""
        self._wake.set()

    def stop(self, drain_s: float) -> None:
        """Asks for an end: at once when nothing waits, else after at most `drain_s` and the call that is under way."""
        self._stop_at = self._clock.monotonic() + drain_s
        self._wake.set()

    def join(self, timeout_s: float) -> bool:
        """Waits for the thread; False when it is still in a call of its sink."""
        if self._thread is None:
            return True
        self._thread.join(timeout_s)
        return not self._thread.is_alive()

    def _run(self) -> None:
        end: State = "crashed"  # unless the loop ends: what it does not catch is a mistake, and shows in the health
        try:
            while True:
                stop_at = self._stop_at
                if stop_at is not None and self._clock.monotonic() >= stop_at:
                    break
                due_s = self.step()
                if stop_at is not None:
                    if self._idle or self._not_before >= stop_at:
                        break
                    due_s = min(due_s, stop_at - self._clock.monotonic())
                if due_s > 0:
                    self._clock.wait(self._wake, due_s)
                    self._wake.clear()  # before the next look, so that no ring is lost
            end = "stopped"
        finally:
            self._stand(end, self._standing.reason)
            if self._outbox is not None:
                self._outbox.close()
            self._sink.close()


class Couriers:
    """All couriers of a process."""

    def __init__(self, couriers: Iterable[Courier]) -> None:
        self._couriers = tuple(couriers)

    def start(self) -> None:
        for courier in self._couriers:
            courier.start()

    def ring(self) -> None:
        """Call after `Outbox.put` added something."""
        for courier in self._couriers:
            courier.ring()

    def standings(self) -> tuple[Standing, ...]:
        return tuple(courier.standing for courier in self._couriers)

    def stop(self, drain_s: float = 10.0) -> tuple[str, ...]:
        """Drains all side by side; returns the sinks that still hang in a call. What is left waits in the outbox."""
        for courier in self._couriers:
            courier.stop(drain_s)
        until = time.monotonic() + drain_s + GRACE_S
        return tuple(c.name for c in self._couriers if not c.join(max(0.0, until - time.monotonic())))


def couriers_of(settings: Settings, outbox: Path, health: Callable[[], Health]) -> Couriers:
    """One for each sink of the settings. `health`: what their heartbeats say."""
    instance = f"{socket.gethostname()}:{settings.store.path}"
    heartbeat_s = settings.delivery.heartbeat_s
    return Couriers(
        Courier(sink, outbox, health, instance=instance, heartbeat_s=heartbeat_s) for sink in settings.sinks
    )
